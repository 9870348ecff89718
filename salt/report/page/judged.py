"""The claims of the paper as statements for the page, from the `claims.csv` that `salt claims` wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from salt.config.scale import Scale
from salt.errors import SaltError
from salt.readers import read_rows
from salt.report.claims import COLUMNS, RULE, Verdict
from salt.report.page.content import Chip, Claims, Row, Statement
from salt.report.page.forest import Axis, Span, axis_of
from salt.report.page.markup import markdown_to_html
from salt.report.paper_claims import Claim, claims
from salt.report.render import NOT_RUN

CHIPS: dict[Verdict, Chip] = {
    "reproduced": Chip("reproduced", "good", "✓"),
    "not reproduced": Chip("against the paper", "bad", "✗"),
    "inconclusive": Chip("not distinguishable", "quiet", "≈"),
    "saturated": Chip("saturated", "quiet", "="),
    "not tested": Chip("not testable here", "quiet", "–"),
}
"""How the page calls the verdicts of `claims.csv`."""
IN_PART: dict[Verdict, Chip] = {
    "reproduced": Chip("reproduced in part", "good", "✓"),
    "not reproduced": Chip("against it in part", "bad", "✗"),
}
"""Of a statement of whose measurements fewer than half decide, all to the same side."""
BOTH = Chip("both ways", "mixed", "±")
NO_VERDICT = Chip("no verdict", "quiet", "?")
"""Of every claim where a control of the instrument fails."""
AXIS = (
    "Right of 0 is the paper's side. A dot is our difference, its line the 95 % interval, a diamond the paper's own "
    "number where it prints one; each statement and unit has its own scale. Could have seen: the true difference that "
    "these captions and seeds would find four times in five."
)
NAMES = (
    "On this page `not reproduced` of claims.csv is called against the paper, `inconclusive` not distinguishable, and "
    "`not tested` not testable here. Those of a statement's measurements that are reproduced, or against the paper, "
    "decide on it: in part, where they are fewer than half; both ways, where there are both. Where none decides, it "
    "has the commonest verdict."
)


@dataclass(frozen=True)
class Measured:
    """A claim with the line of `claims.csv` that tells what became of it."""

    claim: Claim
    verdict: Verdict
    span: Span | None
    """In the unit of the claim; None: not measured."""
    detectable: float | None
    covers: str
    seeds: tuple[int, ...]

    @property
    def printed(self) -> str:
        """Estimate, interval and unit."""
        if self.span is None:
            return NOT_RUN
        return f"{number(self.span.estimate)} {self.span.interval(2)} {self.claim.unit}"

    @property
    def clear(self) -> float:
        """How far from 0 the estimate is, in widths of its interval."""
        if self.span is None or self.span.high == self.span.low:
            return 0.0
        return abs(self.span.estimate) / (self.span.high - self.span.low)


def read_claims(scale: Scale, path: Path) -> list[Measured]:
    """The claims of a scale, in their order.

    Raises:
        SaltError: there is no such file, or it is of other claims.
    """
    accepted = f"as `salt claims --scale {scale.name}` writes it now"
    lines, stated = read_rows(path, COLUMNS, accepted), claims(scale)
    if any(tuple(line) != COLUMNS for line in lines) or [line["measured"] for line in lines] != [
        claim.measured for claim in stated
    ]:
        raise SaltError(f"{path}: its columns or claims are not those of experiments/claims.yaml; accepted: {accepted}")
    return [_measured(claim, line) for claim, line in zip(stated, lines, strict=True)]


def statements(measured: Sequence[Measured], stands: bool) -> Claims:
    """The page's claims.

    Args:
        measured: as `read_claims` gives them.
        stands: whether the controls hold; where one fails, no claim has a verdict.
    """
    by_text: dict[str, list[Measured]] = {}
    for one in measured:
        by_text.setdefault(one.claim.says, []).append(one)
    found = [_statement(f"claim-{place}", ones, stands) for place, ones in enumerate(by_text.values(), 1)]
    return Claims(tuple(found), tuple(CHIPS.values()), _sure(measured), markdown_to_html(f"{RULE}\n\n{NAMES}"), AXIS)


def together(verdicts: Sequence[Verdict]) -> Chip:
    """What all measurements of a statement say."""
    deciding = [verdict for verdict in IN_PART if verdict in verdicts]
    if len(deciding) == 2:
        return BOTH
    if not deciding:
        return CHIPS[max(verdicts, key=verdicts.count)]
    (side,) = deciding
    return CHIPS[side] if 2 * verdicts.count(side) >= len(verdicts) else IN_PART[side]


def number(value: float) -> str:
    """With its sign, as tables print it."""
    return f"{value:+.2f}"


def _statement(name: str, ones: Sequence[Measured], stands: bool) -> Statement:
    rows: dict[int, Row] = {}
    places = sorted(range(len(ones)), key=lambda place: ones[place].claim.unit)
    for _, of_unit in groupby(places, key=lambda place: ones[place].claim.unit):
        same = list(of_unit)
        axis = _axis([ones[place] for place in same])
        rows |= {place: _row(ones[place], axis, stands) for place in same}
    where = "; ".join(dict.fromkeys(one.claim.where for one in ones))
    chip = together([one.verdict for one in ones]) if stands else NO_VERDICT
    return Statement(name, ones[0].claim.says, where, chip, tuple(rows[place] for place in range(len(ones))))


def _axis(ones: Sequence[Measured]) -> Axis:
    spans = [one.span for one in ones if one.span is not None]
    return axis_of(spans, [one.claim.paper for one in ones if one.claim.paper is not None])


def _row(one: Measured, axis: Axis, stands: bool) -> Row:
    claim, seen = one.claim, one.detectable
    numbers = [("Here", one.printed)]
    if claim.paper is not None:
        numbers.append(("Paper", f"{number(claim.paper)} {claim.unit}"))
    if seen is not None and one.verdict == "inconclusive":
        numbers.append(("Could have seen", f"{seen:.2f} {claim.unit}"))
    bars = () if one.span is None else (axis.bar(one.span.turned(claim.side)),)
    paper = None if claim.paper is None else axis.place(claim.side * claim.paper)
    return Row(claim.measured, CHIPS[one.verdict] if stands else NO_VERDICT, bars, paper, numbers=tuple(numbers))


def _measured(claim: Claim, line: Mapping[str, str]) -> Measured:
    verdict = next(known for known in CHIPS if known == line["verdict"])
    seeds = tuple(map(int, line["seeds"].split()))
    if not line["ours"]:
        return Measured(claim, verdict, None, None, "", seeds)
    span = Span(float(line["ours"]), float(line["low"]), float(line["high"]), CHIPS[verdict].tone)
    detectable = float(line["detectable"]) if line["detectable"] else None
    return Measured(claim, verdict, span, detectable, line["covers"], seeds)


def _sure(measured: Sequence[Measured]) -> str:
    """What the intervals are over, how many decide, and how many would by chance."""
    tested = [one for one in measured if one.verdict != "not tested"]
    if not tested:
        return "Nothing is measured that could decide a claim."
    seeds = sorted({len(one.seeds) for one in tested})
    over = sorted({one.covers for one in tested})
    decided = sum(one.verdict in ("reproduced", "not reproduced") for one in tested)
    many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{len(tested)} measurements, each with a 95 % interval over {', or '.join(over)} ({many} training "
        f"seed{'s' * (seeds[-1] > 1)}). {decided} of them exclude 0; if no method differed from another, about "
        f"{round(0.05 * len(tested), 1):g} would."
    )
