"""`salt lab-table NAME`: the controls and the pre-registered claims of the lab, as CSV, Markdown and LaTeX.

The same records and the same plan give the same bytes.
"""

import csv
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, log10
from pathlib import Path
from typing import get_args

import pandas as pd

from salt.config.files import accepted
from salt.config.lab_arms import PLAN
from salt.config.lab_claims import CONTROL_LEVEL, Contrast, Control, LabCell, lab_claims
from salt.errors import SaltError
from salt.files import write_text
from salt.report.lab.plan import Lab
from salt.report.lab.provenance import provenance
from salt.report.lab.verdicts import RULE, Judged, Judgement, Tested, Verdict, cell_text, judge_lab
from salt.report.render import NOT_RUN, csv_cell, interval_text, latex_table, markdown_lines
from salt.report.statistics import Interval

Titles = Mapping[str, str]
"""Arm: how it prints."""
ANALYTIC_TITLES = {
    "truth": "Truth",
    "exact_teacher": "Exact teacher",
    "exact_map": "Exact map",
    "injected_error": "Injected error",
    "injected_error_closed_form": "Its closed form",
}
LINE = 120
"""Characters of a line of Markdown, tables aside."""
CONTROL_COLUMNS = (
    *("control", "text", "kind", "metric", "effect", "smallest"),
    *("estimate", "low", "high", "level", "seeds", "holds", "reason"),
)
CLAIM_COLUMNS = (
    *("claim", "text", "source", "metric", "effect", "predicted", "by", "smallest", "phase"),
    *("estimate", "low", "high", "level", "p", "holm_p", "detectable", "seeds", "lost", "n", "means", "floors"),
    *("verdict", "reason"),
)


@dataclass(frozen=True)
class _Printed:
    """A table as strings, and all that stands around it."""

    name: str
    title: str
    summary: str
    frame: pd.DataFrame
    texts: tuple[int, ...]
    """Columns that are set to the left."""
    columns: str
    """The same for LaTeX, with widths."""
    notes: tuple[str, ...]
    """How to read it, as paragraphs of Markdown."""
    provenance: tuple[str, ...]


def make_lab_table(name: str, lab: Lab, records_dir: Path, out_dir: Path, arms: Titles | None = None) -> list[Path]:
    """Write `{name}.csv`, `.md` and `.tex`.

    Args:
        name: lab_controls, lab_claims or lab_beyond.
        lab: whose records these are.
        records_dir: `results/lab/records`.
        out_dir: made where it is missing.
        arms: every arm that there is, and its title; None: names are not checked, and print as they are.

    Raises:
        SaltError: no such table, a wrong plan, or broken records.
    """
    if name not in TABLES:
        raise SaltError(f"lab-table {name}: no such table; {accepted(name, TABLES)}")
    printed, to_csv, plan = TABLES[name]
    judgement = judge_lab(lab, lab_claims(arms, plan), records_dir, plan)
    table = printed(judgement, arms or {})
    if not lab.meaningful:
        table = replace(table, summary=f"{lab.name}: numbers mean nothing. {table.summary}")
    out_dir.mkdir(parents=True, exist_ok=True)
    texts = {"csv": to_csv(judgement, arms or {}), "md": _markdown(table), "tex": _latex(table)}
    for kind, text in texts.items():
        write_text(out_dir / f"{name}.{kind}", text)
    return [out_dir / f"{name}.{kind}" for kind in texts]


NAMED = {
    PLAN: ("lab_claims", "Pre-registered claims of the lab"),
    "beyond": ("lab_beyond", "Pre-registered claims of the lab that go beyond the paper"),
}
"""Plan: the table that judges it, and its title."""


# ----------------------------------------------------------------------------------------------- the tables
def instrument(judgement: Judgement) -> str:
    """In a sentence: whether the instrument stands."""
    number, failed = len(judgement.controls), judgement.failed
    if not failed:
        return f"The instrument stands: all {number} controls hold."
    names = "; ".join(f"{tested.name} ({tested.why_not})" for tested in failed)
    return f"The instrument does not stand, and there is no verdict: {len(failed)} of {number} controls fail: {names}."


def count(judged: Sequence[Judged]) -> str:
    """`2 holds, 1 absent`."""
    counts = {verdict: sum(one.verdict == verdict for one in judged) for verdict in get_args(Verdict)}
    return "; ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)


def effect_text(contrast: Contrast, titles: Titles) -> str:
    """`DMD-8 at 16 + Start at 4 - DMD-8 at 4 - Start at 16`."""
    titles = {**ANALYTIC_TITLES, **titles}

    def told(cell: LabCell) -> str:
        return cell_text(cell, titles.get(cell.arm, cell.arm))

    if isinstance(contrast, Control) and contrast.halves is not None:
        return f"{told(contrast.halves)}: even less odd seeds"
    plus, minus = ([told(cell) for cell in cells] for cells in (contrast.plus, contrast.minus))
    return " − ".join([" + ".join(plus), *minus])


def _controls(judgement: Judgement, titles: Titles) -> _Printed:
    lines = [
        {
            "Control": tested.control.text,
            "Effect": effect_text(tested.control, titles),
            "Metric": tested.control.metric,
            "Must": _must(tested.control),
            "Estimate": _estimate(tested.interval, tested.control.smallest),
            "Seeds": str(len(tested.seeds) or NOT_RUN),
            "Holds": "**yes**" if tested.holds else f"**no**: {tested.why_not}",
        }
        for tested in judgement.controls
    ]
    how = (
        f"Intervals of level {CONTROL_LEVEL:g} over explored training seeds, or, of methods that nobody trains, over "
        "repeats with other noise. Of two halves, the even seeds are compared with the odd ones, unpaired. An interval "
        "that is too wide to lie within the smallest effect is a control that fails."
    )
    summary, frame = instrument(judgement), pd.DataFrame(lines).set_index("Control")
    return _Printed(
        "lab_controls", "Controls of the lab", summary, frame, (0, 1, 2, 3, 6), "p{4.2cm}p{4.2cm}lp{2.6cm}rrp{2cm}",
        (how,), tuple(provenance(judgement)),
    )  # fmt: skip


def _claims(judgement: Judgement, titles: Titles) -> _Printed:
    lines = []
    for explored, confirmed in zip(judgement.explore, judgement.confirm, strict=True):
        claim = confirmed.claim
        lines.append(
            {
                "Claim": f"{claim.text} ({claim.source})",
                "Verdict": f"**{confirmed.verdict}**" + (f": {confirmed.reason}" if confirmed.reason else ""),
                "Predicted": f"{'>' if claim.side > 0 else '<'} 0 ({'paper' if claim.by == 'paper' else 'us'})",
                "Explore": _estimate(explored.interval, claim.smallest),
                "Confirm": _estimate(confirmed.interval, claim.smallest),
                "Holm p": p_text(confirmed.adjusted),
                "Smallest": f"{claim.smallest:g}",
                "Detectable": _number(confirmed.detectable, claim.smallest),
                "Seeds": str(len(confirmed.seeds) or NOT_RUN),
                "Effect": f"{claim.metric}: {effect_text(claim, titles)}",
            }
        )
    level = judgement.claims.family.level
    how = (
        f"An effect is taken seed by seed and averaged; in brackets the {100 * level:g} % interval over seeds. "
        "`Detectable` is the true effect that these seeds find four times in five, before the correction. `Holm p` is "
        f"corrected for all {len(lines)} claims. The verdict is that of the confirming seeds; what was explored chose "
        "the claims, so its verdict decides nothing."
    )
    saw = [f"- {one.claim.text} {one.claim.saw}" for one in judgement.confirm if one.claim.saw]
    notes = (how, "## The rule", RULE, *(["## What exploration saw", "\n".join(map(_wrap, saw))] if saw else []))
    summary, frame = _summary(judgement), pd.DataFrame(lines).set_index("Claim")
    return _Printed(
        *NAMED[judgement.plan.name], summary, frame, (0, 1, 2, 9),
        "p{4cm}p{2.4cm}lrrrrrrp{4cm}", notes, tuple(provenance(judgement)),
    )  # fmt: skip


def _summary(judgement: Judgement) -> str:
    """The count of verdicts; where no control holds, why there is none."""
    number = len(judgement.confirm)
    paper, ours = ([one for one in judgement.confirm if one.claim.by == who] for who in ("paper", "us"))
    counted = " ".join(
        f"Of {len(claims)} claims of {whose} on confirming seeds: {count(claims)}."
        for whose, claims in (("the paper", paper), ("our own", ours))
        if claims
    )
    explored = f"Of all {number} on explored seeds: {count(judgement.explore)}."
    return " ".join([*([instrument(judgement)] if judgement.failed else []), counted, explored, judgement.plan.age])


def _must(control: Control) -> str:
    smallest = "" if control.smallest is None else f"{control.smallest:g}"
    return {
        "improves": "lie below 0",
        "worsens": "lie above 0",
        "no_worse": f"end below {smallest}",
        "nothing": f"include 0, within ±{smallest}",
        "matches": f"include 0, within ±{smallest}",
    }[control.kind]


# ------------------------------------------------------------------------------------------------------ CSV
def _controls_csv(judgement: Judgement, titles: Titles) -> str:
    """One line a control, full precision."""
    return _csv(CONTROL_COLUMNS, [_control_line(tested, titles) for tested in judgement.controls])


def _control_line(tested: Tested, titles: Titles) -> dict[str, object]:
    control = tested.control
    return {
        "control": tested.name,
        "text": control.text,
        "kind": control.kind,
        "metric": control.metric,
        "effect": effect_text(control, titles),
        "smallest": "" if control.smallest is None else repr(control.smallest),
        "seeds": " ".join(map(str, tested.seeds)),
        "holds": "yes" if tested.holds else "no",
        "reason": tested.why_not,
    } | _interval_line(tested.interval)


def _claims_csv(judgement: Judgement, titles: Titles) -> str:
    """One line a claim and phase, full precision."""
    pairs = zip(judgement.explore, judgement.confirm, strict=True)
    lines = [
        _claim_line(one, phase, titles)
        for pair in pairs
        for phase, one in zip(("explore", "confirm"), pair, strict=True)
    ]
    return _csv(CLAIM_COLUMNS, lines)


def _claim_line(one: Judged, phase: str, titles: Titles) -> dict[str, object]:
    claim = one.claim
    return {
        "claim": one.name,
        "text": claim.text,
        "source": claim.source,
        "metric": claim.metric,
        "effect": effect_text(claim, titles),
        "predicted": claim.predicted,
        "by": claim.by,
        "smallest": repr(claim.smallest),
        "phase": phase,
        "p": "" if one.p is None else repr(one.p),
        "holm_p": "" if one.adjusted is None else repr(one.adjusted),
        "detectable": "" if one.detectable is None else repr(one.detectable),
        "seeds": " ".join(map(str, one.seeds)),
        "lost": "; ".join(f"{arm}: {' '.join(map(str, seeds))}" for arm, seeds in one.lost.items()),
        "n": " ".join(map(str, one.samples)),
        "means": " ".join(map(repr, one.means)),
        "floors": " ".join("-" if floor is None else f"{floor.low!r}..{floor.high!r}" for floor in one.floors),
        "verdict": one.verdict,
        "reason": one.reason,
    } | _interval_line(one.interval)


def _interval_line(interval: Interval | None) -> dict[str, object]:
    if interval is None:
        return {}
    keys = ("estimate", "low", "high", "level") if interval.bounded else ("estimate", "level")
    return {key: repr(getattr(interval, key)) for key in keys}


def _csv(columns: Sequence[str], lines: Sequence[Mapping[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in line.items()} for line in lines)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------ as strings
def p_text(p: float | None) -> str:
    """`0.012`, or `< 0.001`."""
    if p is None:
        return NOT_RUN
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _digits(smallest: float | None) -> int:
    """Two more than the smallest effect needs."""
    return 4 if smallest is None else max(2, ceil(-log10(smallest)) + 2)


def _number(value: float | None, smallest: float) -> str:
    return NOT_RUN if value is None else f"{value:.{_digits(smallest)}f}"


def _estimate(interval: Interval | None, smallest: float | None) -> str:
    """`+0.0170 [+0.0060, +0.0280]`."""
    if interval is None:
        return NOT_RUN
    digits = _digits(smallest)
    return f"{interval.estimate:+.{digits}f} {interval_text(interval, digits)}"


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LINE, subsequent_indent="  " * text.startswith("- ")))


def _markdown(table: _Printed) -> str:
    frame = table.frame.reset_index()
    rows = [list(map(str, row)) for row in frame.to_numpy().tolist()]
    parts = [
        f"# {table.title}",
        _wrap(f"**{table.summary}**"),
        "\n".join(markdown_lines(list(frame.columns), rows, texts=table.texts)),
        *(note if note.startswith(("#", "*", "-")) else _wrap(note) for note in table.notes),
        "## Where the numbers come from",
        "\n".join(_wrap(f"- {line}") for line in table.provenance),
    ]
    return "\n\n".join(parts) + "\n"


def _latex(table: _Printed) -> str:
    frame = table.frame.map(lambda text: str(text).replace("**", "").replace("−", "-").replace("±", "+-"))
    caption = " ".join([f"{table.title}.", table.summary, table.notes[0], *table.provenance])
    return latex_table(frame, caption, f"tab:{table.name}", table.columns)


TABLES: dict[str, tuple[Callable[[Judgement, Titles], _Printed], Callable[[Judgement, Titles], str], str]] = {
    "lab_controls": (_controls, _controls_csv, PLAN),
    "lab_claims": (_claims, _claims_csv, PLAN),
    "lab_beyond": (_claims, _claims_csv, "beyond"),
}
"""Each as printed, as CSV, and the plan that it judges."""
