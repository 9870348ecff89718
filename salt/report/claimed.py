"""What the paper claims, as numbers: differences of two scores, or relative changes of a diagnostic.

Every claim has the side of 0 that the paper stands on, the paper's own number where it prints one, and how ours is
measured.
"""

from collections.abc import Callable
from dataclasses import dataclass

from salt.config.paper import paper_values
from salt.config.scale import Scale
from salt.evaluation.cells import Cell, Prompts
from salt.report.metrics import title
from salt.report.records import Kind, Records
from salt.report.statistics import Interval, seed_interval
from salt.report.tables import differences

Way = tuple[str, int]
"""An experiment and its number of function evaluations."""
TEST_STEPS = 4
"""K of the path on which the paper measures Eq. (16)."""
WANTED_SEEDS = range(100)
"""Claims use every training seed that has been measured."""
FAMILIES = {"self_forcing": "Self Forcing", "longlive": "LongLive", "causal_forcing": "Causal Forcing"}
"""Autoregressive baselines, as the paper prints them; ours on top of X is `salt_X`."""
SALT_CF = "salt_causal_forcing"
LABELS = {
    "rcm": "rCM",
    **FAMILIES,
    **{f"salt_{name}": f"Ours - {label}" for name, label in FAMILIES.items()},
    "causal_forcing_naive_sc": "CF + naive SC",
    "causal_forcing_mixed_sc": "CF + mixed + SC",
}


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


# ------------------------------------------------------------------------------------------ what is claimed
def claims(scale: Scale) -> list[Claim]:
    """All claims, in the order of the paper; those of image-to-video at its scales, all others at the rest."""
    solver = scale.evaluation.main_solver
    if scale.first_frame is not None:
        return _images(solver)
    return [
        *_more_steps(solver),
        *_table4(solver),
        *_two_steps(solver),
        *_rcm(solver),
        *_defect(solver),
        *_motion(solver),
        *_families(solver),
        *_long(solver),
        *_components(solver),
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


def _rcm(solver: str) -> list[Claim]:
    says = "SC-DMD is better than rCM"

    def compared(where: str, table: str, metric: str, prompts: Prompts) -> Claim:
        paper = _printed(table, "Ours (SC-DMD)", "rCM", metric, 4)
        return _score(says, where, ("sc_dmd", 4), ("rcm", 4), metric, 1, solver, paper, prompts)

    return [
        *(compared("Sec. 4.2, Tab. 2", "table2", metric, "extended") for metric in ("total", "quality")),
        *(compared("App. A.2, Tab. 1", "tableA1", metric, "short") for metric in ("total", "quality", "semantic")),
    ]


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


def _families(solver: str) -> list[Claim]:
    better = "Salt improves every autoregressive baseline at 4 steps"
    short = "Salt improves every autoregressive baseline on short prompts, too"
    found = [
        _pair(better, "Sec. 4.3, Tab. 2", "table2", family, metric, solver)
        for family in FAMILIES
        for metric in ("total", "quality")
    ]
    fewer = "Salt with 2 steps is better than Causal Forcing with 4"
    for metric in ("total", "quality"):
        paper = _value("table2", "Ours - Causal Forcing", metric, 2) - _value("table2", "Causal Forcing", metric, 4)
        ways = ("salt_causal_forcing", 2), ("causal_forcing", 4)
        found.append(_score(fewer, "Sec. 4.3, Tab. 2", *ways, metric, 1, solver, paper))
    return found + [
        _pair(short, "App. A.2, Tab. 1", "tableA1", family, "total", solver, "short") for family in FAMILIES
    ]


def _long(solver: str) -> list[Claim]:
    says = "The gains carry over to long videos"
    return [
        _pair(says, "Sec. 4.3, Tab. 3", "table3", family, metric, solver, "long")
        for family in ("longlive", "causal_forcing")
        for metric in ("total", "semantic")
    ]


def _components(solver: str) -> list[Claim]:
    where, naive, mixed, full = "Sec. 4.4, Tab. 5", "causal_forcing_naive_sc", "causal_forcing_mixed_sc", SALT_CF
    rows = {naive: "Causal Forcing + naive SC", mixed: "Causal Forcing + mixed-step + SC", SALT_CF: "Ours (full)"}
    rows["causal_forcing"] = "Causal Forcing (official baseline)"

    def step(says: str, method: str, baseline: str, metric: str, side: int, nfe: int = 4) -> Claim:
        paper = _printed("table5", rows[method], rows[baseline], metric, nfe)
        return _score(says, where, (method, nfe), (baseline, nfe), metric, side, solver, paper)

    aligned = "Alignment improves on mixed steps and SC"
    return [
        step("SC without mixed steps hurts Causal Forcing", naive, "causal_forcing", "total", -1),
        step("Mixed steps make SC work", mixed, "causal_forcing", "total", 1),
        *(step(aligned, full, mixed, metric, 1, nfe) for nfe in (4, 2) for metric in ("total", "semantic")),
    ]


def _images(solver: str) -> list[Claim]:
    """Table 1."""
    better, still = "SC-DMD is better than DMD from image to video", "SC-DMD moves less than DMD"
    metrics = [
        "i2v",
        "quality",
        "background_consistency",
        "motion_smoothness",
        "imaging_quality",
        "temporal_flickering",
    ]
    signs = [(better, metric, 1) for metric in metrics] + [(still, "dynamic_degree", -1)]
    where, steps = "Sec. 4.2, Tab. 1", TEST_STEPS
    return [
        _score(
            says,
            where,
            ("sc_dmd", steps),
            ("dmd_4", steps),
            metric,
            side,
            solver,
            _printed("table1", "Ours", "DMD", metric, steps),
        )
        for says, metric, side in signs
    ]


def _printed(table: str, row: str, baseline: str, metric: str, nfe: int) -> float:
    """The paper's difference of two rows."""
    return _value(table, row, metric, nfe) - _value(table, baseline, metric, nfe)


def _value(table: str, row: str, metric: str, nfe: int) -> float:
    (value,) = (v.value for v in paper_values() if (v.table, v.row, v.metric, v.nfe) == (table, row, metric, nfe))
    return value


def _pair(
    says: str, where: str, table: str, family: str, metric: str, solver: str, prompts: Prompts = "extended"
) -> Claim:
    """Salt on top of a baseline against it, at 4 steps."""
    row, nfe = FAMILIES[family], TEST_STEPS
    paper = _printed(table, f"Ours - {row}", row, metric, nfe)
    return _score(says, where, (f"salt_{family}", nfe), (family, nfe), metric, 1, solver, paper, prompts)


# ------------------------------------------------------------------------------------------ how it is measured
def _score(
    says: str,
    where: str,
    method: Way,
    baseline: Way,
    metric: str,
    side: int,
    solver: str,
    paper: float | None = None,
    prompts: Prompts = "extended",
) -> Claim:
    """A difference of two scores, over captions and training seeds."""
    (one, steps), (other, base_steps) = method, baseline
    at = f" at {base_steps}" if base_steps != steps else ""
    on = {"extended": "", "short": ", short prompts", "long": ", long videos"}[prompts]
    name = f"{title(metric)}: {_label(one)} at {steps} NFE minus {_label(other)}{at}{on}"

    def measure(records: Records) -> tuple[Interval, tuple[int, ...]] | None:
        pair = [Cell(experiment, prompts, solver, nfe) for experiment, nfe in (method, baseline)]
        seeds = _shared(records, pair[0].kind, one, other)
        if not seeds or not _sampled(records, solver, steps, base_steps, prompts=prompts):
            return None
        intervals = differences(records, *pair, seeds)
        return (intervals[metric], seeds) if metric in intervals else None

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
            records.values("defect", Cell(name, "extended", solver, nfes[-1]), seeds, metric)
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
            records.values("defect", Cell(name, "extended", solver, TEST_STEPS), seeds, f"defect[{i}]")
            for name in ("dmd_8", "sc_dmd")
        )
        gaps.append([1000 * (a - b) for a, b in zip(dmd, sc, strict=True)])
    *early, last = gaps
    return seed_interval([sum(e) / len(e) - one for *e, one in zip(*early, last, strict=True)]), seeds


def _shared(records: Records, kind: Kind, *experiments: str) -> tuple[int, ...]:
    found = [set(records.seeds(kind, experiment, WANTED_SEEDS)) for experiment in experiments]
    return tuple(sorted(set.intersection(*found)))


def _sampled(records: Records, solver: str, *nfes: int, prompts: Prompts = "extended") -> bool:
    """Whether this scale samples its students so."""
    evaluation = records.scale.evaluation
    long = () if evaluation.long is None else evaluation.long.nfe
    made = {"extended": evaluation.nfe, "short": evaluation.short_nfe, "long": long}
    return solver in evaluation.solvers and set(nfes) <= set(made[prompts])


def _label(experiment: str) -> str:
    """`SC-DMD` for `sc_dmd`."""
    return LABELS.get(experiment, experiment.upper().replace("_", "-"))
