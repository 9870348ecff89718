"""`salt lab-report`: controls, claims and figures of the lab in one HTML file that needs nothing beside it.

It is made of the files that `salt lab-table` and `salt figure` wrote, so it cannot say anything else. It opens with the
controls: where one fails, the page says so before anything else, and no claim has a verdict.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from markupsafe import Markup

from salt.config.lab_figures import FIGURES, load_lab_figures
from salt.errors import SaltError
from salt.report.html import NO_MEANING, Part, figure_html, markdown_to_html, write_page
from salt.report.lab.forest import forest
from salt.report.lab.plan import Lab
from salt.report.lab.verdicts import Verdict

PROVENANCE = "## Where the numbers come from"
MARKED = (*get_args(Verdict), "yes", "no")
"""Words that have a colour where they are set in bold."""
LAB_STYLE = Markup("""\
.v-holds, .v-yes { color: #00724f; } .v-holds-below-the-smallest-effect { color: #1f6f9c; }
.v-opposite, .v-no { color: #b34700; }
.v-absent, .v-not-resolved, .v-saturated, .v-no-verdict { color: var(--quiet); }
.forest { width: 100%; max-width: 1140px; font: 13px system-ui, sans-serif; } .forest .small { font-size: 11px; }
body { max-width: 1280px; } td:first-child { min-width: 12rem; } td:nth-child(2) { min-width: 7rem; }
td:last-child { min-width: 9rem; }""")


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
    controls, claims = (_read(tables, name) for name in ("lab_controls", "lab_claims"))
    drawn = load_lab_figures()
    pictures = {name: figures_dir / f"{name}.png" for name in FIGURES}
    figures = [
        Part(name, figure_html(path, drawn.spec(name).title)) for name, path in pictures.items() if path.exists()
    ]
    first = [part for part in figures if part.name == "fig_lab"]
    plot = forest(_lines(tables / "lab_claims.csv"))
    parts = [
        Part("lab_controls", markdown_to_html(controls[0], MARKED)),
        *first,
        Part("lab_claims", _with_plot(markdown_to_html(claims[0], MARKED), plot)),
        *(part for part in figures if part not in first),
        Part("provenance", markdown_to_html(claims[1], MARKED)),
    ]
    return write_page(
        out,
        "the lab",
        "The lab: few-step distillation in worlds whose truth is known",
        parts,
        missing=[name for name, path in pictures.items() if not path.exists()],
        warnings=[
            *([] if lab.meaningful else [NO_MEANING.format(lab.name)]),
            *_failures(_lines(tables / "lab_controls.csv")),
        ],
        source=f"scale {lab.name}",
        style=LAB_STYLE,
    )


def _read(tables: Path, name: str) -> tuple[str, str]:
    """A table's Markdown: what it says, and where its numbers come from."""
    path = tables / f"{name}.md"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        accepted = f"the folder that `salt lab-table {name}` wrote to"
        raise SaltError(f"{path}: cannot be read: {error.strerror}; accepted: {accepted}") from error
    said, _, source = text.partition(PROVENANCE)
    return said, PROVENANCE + source


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of a table's CSV."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise SaltError(f"{path}: cannot be read: {error.strerror}; accepted: as `salt lab-table` wrote it") from error


def _failures(controls: Sequence[Mapping[str, str]]) -> list[str]:
    """What is wrong with the instrument, in a paragraph; none where all controls hold."""
    told = [f"{line['text']} It fails: {line['reason']}." for line in controls if line["holds"] == "no"]
    return [" ".join([f"No verdict: the instrument fails {len(told)} of its controls.", *told])] if told else []


def _with_plot(table: Markup, plot: Markup) -> Markup:
    """The plot above the table, below its heading and summary."""
    before, found, after = table.partition('<div class="wide">')
    return Markup(before + plot + found + after)
