"""`salt lab-report`: controls, claims and figures of the lab in one HTML file that needs nothing beside it.

It is made of the files that `salt lab-table` and `salt lab-figure` wrote, so it cannot say anything else. Where a
control fails, the page says so before anything else, and no claim has a verdict.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import asinh, floor, log10
from pathlib import Path
from typing import get_args

from salt.config.lab_claims import lab_claims
from salt.config.lab_figures import FIGURES, LabFigures, load_lab_figures
from salt.readers import read_rows, read_text
from salt.report.lab.plan import Lab
from salt.report.lab.tables import NAMED
from salt.report.lab.verdicts import RULE, Verdict
from salt.report.page.content import Chip, Claims, Controls, Page, Part, Picture, Row, Statement
from salt.report.page.forest import Axis, Span
from salt.report.page.frame import write_page
from salt.report.page.markup import markdown_to_html, picture, split_heading
from salt.report.page.of_scale import NO_INSTRUMENT, NO_MEANING, ORIGIN
from salt.report.records import records_commit

MARKED = (*get_args(Verdict), "yes", "no")
"""Words that have a colour where they are set in bold."""
CHIPS: dict[Verdict, Chip] = {
    "holds": Chip("holds", "good", "✓"),
    "holds, below the smallest effect": Chip("holds, but small", "small", "✓"),
    "opposite": Chip("opposite", "bad", "✗"),
    "absent": Chip("absent", "quiet", "0"),
    "not resolved": Chip("not resolved", "quiet", "≈"),
    "saturated": Chip("saturated", "quiet", "="),
    "no verdict": Chip("no verdict", "quiet", "?"),
}
AXIS = (
    "Right of 0 is the predicted side. The unit is the smallest effect that would matter; those on the grey band are "
    "smaller. The axis is straight near 0 and logarithmic far from it. Hollow: explored seeds; filled: confirming "
    "seeds, which alone decide."
)
TICKS = (1, 3, 10, 30, 100)
"""Ends that the axis may have, in smallest effects."""
BY = {"paper": "the paper", "us": "our own prediction"}
SHOWN = 3
"""Claims that a figure names."""

Line = Mapping[str, str]
"""Of a CSV."""


def make_lab_report(lab: Lab, results_dir: Path, figures_dir: Path, out: Path) -> Path:
    """Write the page; the same files give the same bytes.

    Args:
        lab: whose results these are.
        results_dir: holds `tables/lab_controls.*` and `tables/lab_claims.*`.
        figures_dir: holds `fig_lab*.png`.
        out: the HTML file; its folder is made where it is missing.

    Raises:
        SaltError: no controls or no claims: nothing may be shown without them.
    """
    tables = results_dir / "tables"
    texts = {name: _read(tables, name) for name in ("lab_controls", "lab_claims")}
    controls = _controls(_lines(tables / "lab_controls.csv"), texts["lab_controls"])
    lines = _lines(tables / "lab_claims.csv")
    drawn = load_lab_figures()
    pictures = {name: figures_dir / f"{name}.png" for name in FIGURES}
    page = Page(
        title=f"the lab ({lab.name})",
        heading="The lab: few-step distillation in worlds whose truth is known",
        about=lab.about,
        facts=(
            ("Explored seeds", _range(lab.explore)),
            ("Confirming seeds", _range(lab.confirm)),
        ),
        limits=lab.limits,
        controls=controls,
        claims=_claims(lines, texts["lab_claims"]),
        commit=records_commit(results_dir / "records"),
        warnings=(
            *([] if lab.meaningful else [NO_MEANING.format(lab.name)]),
            *([NO_INSTRUMENT.format(len(controls.failures))] if controls.failures else []),
        ),
        figures=tuple(
            Picture(name, drawn.spec(name).title, _found(name, drawn, lines), picture(path))
            for name, path in pictures.items()
            if path.exists()
        ),
        tables=tuple(_table(name, text) for name, text in (texts | _beside(tables)).items()),
        provenance=markdown_to_html(texts["lab_claims"].partition(ORIGIN)[2], MARKED),
        missing=[name for name, path in pictures.items() if not path.exists()],
    )
    return write_page(page, out)


def _beside(tables: Path) -> dict[str, str]:
    """Tables of other plans, where there are any."""
    others = [name for name, _ in NAMED.values() if name != "lab_claims"]
    return {name: _read(tables, name) for name in others if (tables / f"{name}.md").exists()}


def _controls(lines: Sequence[Line], text: str) -> Controls:
    failures = tuple(f"{line['text']} It fails: {line['reason']}." for line in lines if line["holds"] == "no")
    return Controls(_summary(text), not failures, failures)


def _claims(lines: Sequence[Line], text: str) -> Claims:
    """One statement a claim, with its explored and its confirming interval."""
    by_name: dict[str, list[Line]] = {}
    for line in lines:
        by_name.setdefault(line["claim"], []).append(line)
    furthest = max((abs(end) for line in lines if line["low"] for end in _ends(_span(line))), default=0.0)
    reach = next((tick for tick in TICKS if tick > 1 and tick >= furthest), TICKS[-1])
    statements = [_statement(name, phases, Axis(reach, asinh)) for name, phases in by_name.items()]
    rule = markdown_to_html(RULE, MARKED)
    return Claims(tuple(statements), tuple(CHIPS.values())[:1], _summary(text), rule, AXIS)


def _statement(name: str, phases: Sequence[Line], axis: Axis) -> Statement:
    line = phases[-1]
    chip = _chip(line)
    numbers = [(phase["phase"].capitalize(), _printed(phase)) for phase in phases if phase["low"]]
    numbers.append(("Smallest that would matter", line["smallest"]))
    if line["detectable"]:
        numbers.append(("Could have seen", f"{float(line['detectable']):.2g}"))
    row = Row(
        label=f"{line['metric']}: {line['effect']}",
        chip=chip,
        bars=tuple(axis.bar(_span(phase)) for phase in phases if phase["low"]),
        band=(axis.place(-1), axis.place(1)),
        numbers=tuple(numbers),
    )
    return Statement(f"claim-{name}", line["text"], f"{line['source']} ({BY[line['by']]})", chip, (row,))


def _chip(line: Line) -> Chip:
    return next(chip for verdict, chip in CHIPS.items() if verdict == line["verdict"])


def _span(line: Line) -> Span:
    """In units of the smallest effect, the predicted side positive."""
    span, unit = _measured(line), float(line["smallest"])
    side = {"greater": 1, "less": -1}[line["predicted"]]
    return replace(span, estimate=span.estimate / unit, low=span.low / unit, high=span.high / unit).turned(side)


def _measured(line: Line) -> Span:
    """In the unit of its metric."""
    estimate, low, high = (float(line[key]) for key in ("estimate", "low", "high"))
    return Span(estimate, low, high, _chip(line).tone, line["phase"] == "explore")


def _ends(span: Span) -> tuple[float, float]:
    return span.low, span.high


def _printed(line: Line) -> str:
    """Estimate and interval, to a hundredth of the smallest effect."""
    digits = 2 - floor(log10(float(line["smallest"])))
    span = _measured(line)
    return f"{span.estimate:+.{digits}f} {span.interval(digits)}"


def _found(name: str, drawn: LabFigures, lines: Sequence[Line]) -> tuple[str, ...]:
    """How many claims about the arms of a figure have which verdict, and those that are furthest from 0."""
    arms = {arm for _, arm in drawn.spec(name).named()}
    about = {key for key, claim in lab_claims().claims.items() if {cell.arm for cell in claim.cells} <= arms}
    decided = [line for line in lines if line["phase"] == "confirm" and line["claim"] in about]
    if not decided:
        return ("No claim of the plan is about these arms alone.",)
    counts = Counter(line["verdict"] for line in decided).most_common()
    told = ", ".join(f"{verdict}: {count}" for verdict, count in counts)
    clear = sorted((line for line in decided if line["low"]), key=lambda line: -abs(_span(line).estimate))
    first = f"Of {len(decided)} claims about the arms that it draws: {told}."
    return (first, *(f"{line['text']} {line['verdict'].capitalize()}: {_printed(line)}." for line in clear[:SHOWN]))


def _table(name: str, text: str) -> Part:
    title, rest = split_heading(text.partition(ORIGIN)[0])
    return Part(name, title, markdown_to_html(rest, MARKED))


def _summary(text: str) -> str:
    """The sentence in bold below a table's heading."""
    return " ".join(text.split("**")[1].split())


def _range(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if seeds else "none"


def _read(tables: Path, name: str) -> str:
    """A table's Markdown."""
    return read_text(tables / f"{name}.md", f"the folder that `salt lab-table {name}` wrote to")


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of a table's CSV."""
    return read_rows(path, (), "as `salt lab-table` wrote it")
