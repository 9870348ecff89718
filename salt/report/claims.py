"""`salt claims`: each claim of the paper that the non-autoregressive half can test, our measurement, and a verdict.

Every claim is a number with a side of 0 that the paper stands on: a difference of two scores, or a relative change of a
diagnostic. `RULE` turns its interval into a verdict. are
stated here before any number is read; which of them hold is never typed.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from salt.config.load import load_scale
from salt.config.paper import paper_values
from salt.evaluation.statistics import Interval, seed_interval
from salt.files import write_text
from salt.report.metrics import title
from salt.report.records import Kind, Provenance, Records, Setting, one_protocol, read_measurements
from salt.report.render import NOT_RUN, interval_text, markdown_lines
from salt.report.tables import METHOD, differences

Verdict = Literal["reproduced", "not reproduced", "inconclusive", "not tested"]
Way = tuple[str, int]
"""An experiment and its number of function evaluations."""
TEST_STEPS = 4
"""K of the path on which the paper measures Eq. (16)."""
WANTED_SEEDS = range(100)
"""Claims use every training seed that has been measured."""
RULE = """\
* reproduced: the interval excludes 0 on the paper's side;
* not reproduced: it excludes 0 on the other side;
* inconclusive: it includes 0, or one training seed leaves it unbounded;
* not tested: no records, no such experiment here, or a scale whose numbers mean nothing.

Over one training seed, a verdict is about these two trained models and not about their recipes. Nothing corrects for
the number of claims: of twenty true zeros, one would exclude 0."""
COLUMNS = ("claim", "where", "measured", "unit", "paper", "ours", "low", "high", "covers", "seeds", "verdict")


@dataclass(frozen=True)
class Claim:
    """One claim: what the paper says, and the number that tests it."""

    says: str
    where: str
    measured: str
    unit: str
    side: int
    """+1 or -1: the sign that the paper claims."""
    paper: float | None
    measure: Callable[[Records], tuple[Interval, tuple[int, ...]] | None]
    """The interval and its training seeds; None where it cannot be measured."""


@dataclass(frozen=True)
class Judged:
    """A claim and what became of it."""

    claim: Claim
    interval: Interval | None
    seeds: tuple[int, ...]
    verdict: Verdict


def make_claims(scale: str, records_dir: Path, out_dir: Path) -> list[Path]:
    """Write `claims.csv` and `claims.md`; the same records give the same bytes.

    Args:
        scale: whose records these are.
        records_dir: `results/{scale}/records`.
        out_dir: made where it is missing.

    Raises:
        SaltError: broken records, or records of different protocols.
    """
    records = Records(records_dir, load_scale(scale))
    judged = [judge(claim, records) for claim in claims(records.scale.evaluation.main_solver)]
    out_dir.mkdir(parents=True, exist_ok=True)
    texts = {"csv": to_csv(judged), "md": to_markdown(judged, _provenance(records, judged))}
    for kind, text in texts.items():
        write_text(out_dir / f"claims.{kind}", text)
    return [out_dir / f"claims.{kind}" for kind in texts]


def judge(claim: Claim, records: Records) -> Judged:
    """Measure a claim and apply the rule."""
    found = claim.measure(records)
    if found is None:
        return Judged(claim, None, (), "not tested")
    interval, seeds = found
    return Judged(claim, interval, seeds, verdict(interval, claim.side) if records.scale.meaningful else "not tested")


def verdict(interval: Interval, side: int) -> Verdict:
    """The rule, for a claim that has been measured."""
    low, high = sorted((side * interval.low, side * interval.high))
    if low > 0:
        return "reproduced"
    return "not reproduced" if high < 0 else "inconclusive"


# ------------------------------------------------------------------------------------------ what is claimed
def claims(solver: str) -> list[Claim]:
    """All claims, in the order of the paper."""
    return [
        *_more_steps(solver),
        *_table4(solver),
        *_two_steps(solver),
        *_defect(solver),
        *_motion(solver),
        *_untested(),
    ]


def _more_steps(solver: str) -> list[Claim]:
    where = "Sec. 3.2, Fig. 1"
    worse = "More steps make DMD worse"
    dynamics = "SC-DMD improves from 4 to 8 steps, where DMD-8 loses quality and motion"
    students = [
        _score(worse, where, ("dmd_16_bs", 16), ("dmd_4_bs", 4), metric, -1, solver) for metric in ("total", "semantic")
    ]
    own = [_score(worse, where, (e, 16), (e, 4), "total", -1, solver) for e in ("dmd_4", "dmd_8")]
    grown = [
        _score(dynamics, "Sec. 3.2", (experiment, 8), (experiment, 4), metric, side, solver)
        for experiment, side in (("dmd_8", -1), ("sc_dmd", 1))
        for metric in ("quality", "dynamic_degree")
    ]
    return [*students, *own, *grown]


def _table4(solver: str) -> list[Claim]:
    denser = "A denser training grid alone makes DMD worse at 4 steps"
    better = "SC-DMD is better than both DMD students at 4 steps"
    metrics = (
        *("total", "quality", "semantic", "spatial_relationship"),
        *("multiple_objects", "object_class", "imaging_quality"),
    )
    where = "Sec. 4.4, Tab. 4"
    paper = _printed("table4", "DMD-8", "DMD-4", "total", 4)
    found = [_score(denser, where, ("dmd_8", 4), ("dmd_4", 4), "total", -1, solver, paper)]
    for base, row in (("dmd_4", "DMD-4"), ("dmd_8", "DMD-8")):
        for metric in metrics:
            paper = _printed("table4", "SC-DMD (Ours)", row, metric, 4)
            found.append(_score(better, where, ("sc_dmd", 4), (base, 4), metric, 1, solver, paper))
    return found


def _two_steps(solver: str) -> list[Claim]:
    says = "SC-DMD is better than DMD at 2 steps, too"
    found = []
    for metric in ("total", "quality"):
        paper = _printed("table2", "Ours (SC-DMD)", "DMD", metric, 2)
        found.append(_score(says, "Sec. 4.2, Tab. 2", ("sc_dmd", 2), ("dmd_4", 2), metric, 1, solver, paper))
    return found


def _defect(solver: str) -> list[Claim]:
    lower = "SC-DMD has a lower semigroup defect, Eq. (16)"
    closer = "The improvement is smaller in the last, low-noise interval"
    steady = "SC-DMD is more consistent across step counts"
    dmd, sc = (v.value for v in paper_values() if v.metric == "semigroup_defect")
    mean = [
        _change(lower, "App. A.1", "sc_dmd", base, "defect_mean", solver, (TEST_STEPS,), 100 * (sc / dmd - 1))
        for base in ("dmd_8", "dmd_4")
    ]
    gaps = f"mean gap (DMD-8 minus SC-DMD) of the first three intervals minus that of the last, {solver} path"
    last = Claim(closer, "App. A.1", gaps, "1e-3", 1, None, lambda records: _last_interval(records, solver))
    across = [
        _change(steady, "Sec. 4.4, Fig. 5", "sc_dmd", "dmd_4", f"cross_step[{few},{many}]", path, (few, many), None)
        for path in ("euler", "cm")
        for few, many in ((2, 4), (4, 8))
    ]
    return [*mean, last, *across]


def _motion(solver: str) -> list[Claim]:
    says = "SC-DMD moves less than DMD (the paper: I2V 14B only)"
    paper = _printed("table1", "Ours", "DMD", "dynamic_degree", 4)
    return [_score(says, "Sec. 4.2, Tab. 1", ("sc_dmd", 4), ("dmd_4", 4), "dynamic_degree", -1, solver, paper)]


def _untested() -> list[Claim]:
    def never(records: Records) -> None:
        return None

    rcm = "SC-DMD is better than rCM"
    image = "SC-DMD is better than DMD from image to video"
    ours = "Ours (SC-DMD)"
    return [
        Claim(rcm, "Tab. 2", "Total; no rCM here", "points", 1, _printed("table2", ours, "rCM", "total", 4), never),
        Claim(rcm, "App. A.2", "Total; no rCM here", "points", 1, _printed("tableA1", ours, "rCM", "total", 4), never),
        Claim(image, "Tab. 1", "I2V score; none here", "points", 1, _printed("table1", "Ours", "DMD", "i2v", 4), never),
    ]


def _printed(table: str, row: str, baseline: str, metric: str, nfe: int) -> float:
    """The paper's difference of two rows."""
    values = {v.row: v.value for v in paper_values() if (v.table, v.metric, v.nfe) == (table, metric, nfe)}
    return values[row] - values[baseline]


# ------------------------------------------------------------------------------------------ how it is measured
def _score(
    says: str, where: str, method: Way, baseline: Way, metric: str, side: int, solver: str, paper: float | None = None
) -> Claim:
    """A difference of two scores, over captions and training seeds."""
    (one, steps), (other, base_steps) = method, baseline
    at = f" at {base_steps}" if base_steps != steps else ""
    name = f"{title(metric)}: {_label(one)} at {steps} NFE minus {_label(other)}{at}"

    def measure(records: Records) -> tuple[Interval, tuple[int, ...]] | None:
        seeds = _shared(records, "scores", one, other)
        if not seeds or not _sampled(records, solver, steps, base_steps):
            return None
        pair = [Setting(experiment, "extended", solver, nfe) for experiment, nfe in (method, baseline)]
        return differences(records, *pair, seeds)[metric], seeds

    return Claim(says, where, name, "points", side, paper, measure)


def _change(
    says: str,
    where: str,
    method: str,
    baseline: str,
    metric: str,
    solver: str,
    nfes: tuple[int, ...],
    paper: float | None,
) -> Claim:
    """A relative change of a diagnostic that should fall, over training seeds; recorded under the last of `nfes`."""

    def measure(records: Records) -> tuple[Interval, tuple[int, ...]] | None:
        seeds = _shared(records, "defect", method, baseline)
        if not seeds or not _sampled(records, solver, *nfes):
            return None
        ours, base = (
            records.values("defect", Setting(name, "extended", solver, nfes[-1]), seeds, metric)
            for name in (method, baseline)
        )
        return seed_interval([100 * (a / b - 1) for a, b in zip(ours, base, strict=True)]), seeds

    return Claim(
        says, where, f"{metric}, {solver} path: {_label(method)} against {_label(baseline)}", "%", -1, paper, measure
    )


def _last_interval(records: Records, solver: str) -> tuple[Interval, tuple[int, ...]] | None:
    seeds = _shared(records, "defect", "sc_dmd", "dmd_8")
    if not seeds or not _sampled(records, solver, TEST_STEPS):
        return None
    gaps = []
    for i in range(TEST_STEPS):
        dmd, sc = (
            records.values("defect", Setting(name, "extended", solver, TEST_STEPS), seeds, f"defect[{i}]")
            for name in ("dmd_8", "sc_dmd")
        )
        gaps.append([1000 * (a - b) for a, b in zip(dmd, sc, strict=True)])
    *early, last = gaps
    return seed_interval([sum(e) / len(e) - one for *e, one in zip(*early, last, strict=True)]), seeds


def _shared(records: Records, kind: Kind, *experiments: str) -> tuple[int, ...]:
    found = [set(records.seeds(kind, experiment, WANTED_SEEDS)) for experiment in experiments]
    return tuple(sorted(set.intersection(*found)))


def _sampled(records: Records, solver: str, *nfes: int) -> bool:
    """Whether this scale samples its students so."""
    evaluation = records.scale.evaluation
    return solver in evaluation.solvers and set(nfes) <= set(evaluation.nfe)


def _label(experiment: str) -> str:
    """`SC-DMD` for `sc_dmd`."""
    return experiment.upper().replace("_", "-")


# ------------------------------------------------------------------------------------------------ what is written
def to_csv(judged: Sequence[Judged]) -> str:
    """One line per claim, full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in judged:
        interval, claim = one.interval, one.claim
        ours = ["", "", "", ""] if interval is None else _numbers(interval)
        seeds = " ".join(map(str, one.seeds))
        paper = "" if claim.paper is None else f"{claim.paper:.10g}"
        writer.writerow([claim.says, claim.where, claim.measured, claim.unit, paper, *ours, seeds, one.verdict])
    return out.getvalue()


def _numbers(interval: Interval) -> list[str]:
    return [repr(interval.estimate), repr(interval.low), repr(interval.high), interval.covers]


def to_markdown(judged: Sequence[Judged], provenance: Sequence[str]) -> str:
    """The claims with their verdicts, a count of them, the rule, and where the numbers come from."""
    rows = [_line(one, before) for one, before in zip(judged, [None, *judged], strict=False)]
    counts = ", ".join(f"{sum(one.verdict == v for one in judged)} {v}" for v in get_args(Verdict))
    header = ["Claim", "Measured", "Paper", "Ours", "95 % interval", "Over", "Verdict"]
    table = markdown_lines(header, rows, texts=(0, 1, 5, 6))
    parts = [
        "# Claims of the paper",
        f"{counts}.",
        "\n".join(table),
        "## The rule",
        RULE,
        "## Where the numbers come from",
        "\n".join(f"- {line}" for line in provenance),
    ]
    return "\n\n".join(parts) + "\n"


def _line(one: Judged, before: Judged | None) -> list[str]:
    """A claim as printed; what it says stands once, above all its measurements."""
    claim, interval = one.claim, one.interval
    said = before is not None and before.claim.says == claim.says
    ours = [NOT_RUN] * 3
    if interval is not None:
        seeds = f"{len(one.seeds)} training seed{'s' * (len(one.seeds) > 1)}"
        over = "captions, " * ("captions" in interval.covers) + seeds
        ours = [f"{interval.estimate:+.2f}", interval_text(interval), over]
    return [
        "" if said else f"{claim.says} ({claim.where})",
        f"{claim.measured} ({claim.unit})",
        NOT_RUN if claim.paper is None else f"{claim.paper:+.2f}",
        *ours,
        f"**{one.verdict}**",
    ]


def _provenance(records: Records, judged: Sequence[Judged]) -> list[str]:
    seeds = tuple(sorted({seed for one in judged for seed in one.seeds}))
    protocols = []
    for kind in get_args(Kind):
        files = sorted(records.folder.glob(f"*_seed*_{kind}.csv"))
        frames = [read_measurements(path) for path in files]
        protocols += [f"{kind} {one_protocol(frames, f'{records.folder}, claims')}"] if frames else []
    untested = tuple(dict.fromkeys(f"{one.claim.says} ({one.claim.where})" for one in judged if one.interval is None))
    return Provenance(records.scale, seeds, ", ".join(protocols) or "none", METHOD, untested).lines()
