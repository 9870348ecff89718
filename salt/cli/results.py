"""From records and videos to what a reader sees, without networks.

`salt table`, `figure`, `claims`, `clips`, `report` and `guide`.
"""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app, places
from salt.cli.options import DEFAULT_SCALE, OutFile, OutFolder, Records, ScaleName

Name = Annotated[str, typer.Argument(help="As in experiments/tables.yaml.")]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="Training seeds; default: as experiments/tables.yaml says.")
]


@app.command()
def table(
    name: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    records: Records = None,
    out: OutFolder = None,
    seeds: Seeds = None,
) -> None:
    """One table as CSV, Markdown and LaTeX."""
    from salt.stages.table import run

    folder = places.out_of(out, lambda layout: Path(layout.results, "tables"), scale, seeds)
    run(name, scale, records_in(records, scale), seeds, folder)


@app.command()
def agreement(
    name: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    records: Annotated[Path, typer.Option("--records", help="Folder of the new records.")],
    committed: Annotated[
        Path | None,
        typer.Option("--committed", help="Folder of the records of all training seeds. Default: the workflow's."),
    ] = None,
) -> None:
    """How far a table made anew with training seed 0 is from the committed one, and how far it was expected to be."""
    from salt.report.reproduced import agreement, describe

    print(describe(agreement(name, scale, records, records_in(committed, scale))))


@app.command()
def figure(
    name: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    records: Records = None,
    videos: Annotated[
        Path | None, typer.Option("--videos", help="Folder of the videos. Default: the workflow's.")
    ] = None,
    out: OutFolder = None,
    seeds: Seeds = None,
) -> None:
    """One figure as PNG and PDF."""
    from salt.stages.figure import run

    folder = places.out_of(out, lambda layout: layout.figures, scale, seeds)
    watched = places.out_of(videos, lambda layout: layout.videos, scale)
    run(name, scale, records_in(records, scale), watched, folder, seeds)


@app.command()
def claims(scale: ScaleName = DEFAULT_SCALE, *, records: Records = None, out: OutFolder = None) -> None:
    """Each claim of the paper against our measurements, as CSV and Markdown."""
    from salt.stages.claims import run

    run(scale, records_in(records, scale), places.out_of(out, lambda layout: layout.results, scale))


@app.command()
def clips(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    videos: Annotated[
        Path | None, typer.Option("--videos", help="Folder of the videos. Default: the workflow's.")
    ] = None,
    out: OutFolder = None,
) -> None:
    """The videos whose frames the figures show, whole, in one small picture for the report."""
    from salt.stages.clips import run

    watched = places.out_of(videos, lambda layout: layout.videos, scale)
    run(scale, watched, places.out_of(out, lambda layout: layout.results, scale))


@app.command()
def report(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of tables and claims. Default: the workflow's.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder of the figures. Default: the workflow's.")
    ] = None,
    out: OutFile = None,
) -> None:
    """Everything in one HTML file."""
    from salt.stages.report import run

    made = places.out_of(results, lambda layout: layout.results, scale)
    drawn = places.out_of(figures, lambda layout: layout.figures, scale)
    run(scale, made, drawn, places.out_of(out, lambda layout: Path(layout.results, "report.html"), scale))


@app.command()
def guide(
    results: Annotated[Path, typer.Option("--results", help="Folder of the results of all scales.")] = Path("results"),
    figures: Annotated[Path, typer.Option("--figures", help="Folder of their figures.")] = Path("paper_figures"),
    out: OutFile = None,
) -> None:
    """The way through the results: ten minutes, verdicts, files, cost, glossary."""
    from salt.stages.guide import run

    run(results, figures, out or results / "README.md")


def records_in(given: Path | None, scale: str) -> Path:
    """The folder of the records that are read."""
    return places.out_of(given, lambda layout: layout.records, scale)
