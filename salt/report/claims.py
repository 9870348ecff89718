"""`salt claims`: each claim of the paper (`paper_claims`), our measurement, and a verdict.

`RULE` turns the interval of a claim into a verdict. Claims and rule are stated before any number is read; which of them
hold is never typed.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from salt.config.load import load_scale
from salt.files import write_text
from salt.report.paper_claims import Claim, claims
from salt.report.records import Kind, Provenance, Records, one_protocol, read_measurements, released_in
from salt.report.render import NOT_RUN, csv_cell, interval_text, markdown_lines
from salt.report.statistics import Interval, minimum_detectable_difference
from salt.report.tables import METHOD

Verdict = Literal["reproduced", "not reproduced", "inconclusive", "saturated", "not tested"]
RULE = """\
* reproduced: the interval excludes 0 on the paper's side;
* not reproduced: it excludes 0 on the other side;
* inconclusive: it includes 0, or one training seed leaves it unbounded;
* saturated: it includes 0, and both are as good as real clips: no score is more than 1 point below theirs, or both
  measures are what real clips may have, that is within what 95 of 100 sets of as many real clips stay below;
* not tested: no records, no such experiment here, or a scale whose numbers mean nothing.

Over one training seed, a verdict is about these two trained models and not about their recipes. Nothing corrects for
the number of claims: of twenty true zeros, one would exclude 0."""
COLUMNS = (
    *("claim", "where", "measured", "unit", "paper"),
    *("ours", "low", "high", "covers", "detectable"),
    *("seeds", "verdict"),
)
"""Of `claims.csv`; detectable: the true difference that these captions and seeds would find four times in five."""


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
    judged = [judge(claim, records) for claim in claims(records.scale)]
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
    if not records.scale.meaningful:
        return Judged(claim, interval, seeds, "not tested")
    become = verdict(interval, claim.side)
    if become == "inconclusive" and claim.saturated(records, seeds):
        become = "saturated"
    return Judged(claim, interval, seeds, become)


def verdict(interval: Interval, side: int) -> Verdict:
    """The rule, for a claim that has been measured."""
    low, high = sorted((side * interval.low, side * interval.high))
    if low > 0:
        return "reproduced"
    return "not reproduced" if high < 0 else "inconclusive"


# ------------------------------------------------------------------------------------------------ what is written
def to_csv(judged: Sequence[Judged]) -> str:
    """One line per claim, full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in judged:
        interval, claim = one.interval, one.claim
        ours = [""] * 5 if interval is None else _numbers(interval)
        seeds = " ".join(map(str, one.seeds))
        paper = "" if claim.paper is None else f"{claim.paper:.10g}"
        line = [claim.says, claim.where, claim.measured, claim.unit, paper, *ours, seeds, one.verdict]
        writer.writerow(map(csv_cell, line))
    return out.getvalue()


def _numbers(interval: Interval) -> list[str]:
    detectable = repr(minimum_detectable_difference(interval)) if interval.bounded else ""
    return [repr(interval.estimate), repr(interval.low), repr(interval.high), interval.covers, detectable]


def to_markdown(judged: Sequence[Judged], provenance: Sequence[str]) -> str:
    """The claims with their verdicts, a count of them, the rule, and where the numbers come from."""
    rows = [_line(one, before) for one, before in zip(judged, [None, *judged], strict=False)]
    counts = ", ".join(f"{sum(one.verdict == v for one in judged)} {v}" for v in get_args(Verdict))
    header = ["Claim", "Measured", "Paper", "Here", "95 % interval", "Over", "Verdict"]
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
    protocols, every = [], []
    for kind in get_args(Kind):
        files = sorted(records.folder.glob(f"*_seed*_{kind}.csv"))
        frames = [read_measurements(path) for path in files]
        every += frames
        protocols += [f"{kind} {one_protocol(frames, f'{records.folder}, claims')}"] if frames else []
    untested = tuple(dict.fromkeys(f"{one.claim.says} ({one.claim.where})" for one in judged if one.interval is None))
    measured = ", ".join(protocols) or "none"
    return Provenance(records.scale, seeds, measured, METHOD, untested, records.commit, released_in(every)).lines()
