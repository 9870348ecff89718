"""From records, videos and trainings to what a reader sees, without networks.

`salt table`, `figure`, `claims`, `clips`, `training-curves`, `report` and `guide`.
"""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
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
    records: Records,
    out: OutFolder,
    seeds: Seeds = None,
) -> None:
    """One table as CSV, Markdown and LaTeX."""
    from salt.stages.table import run

    run(name, scale, records, seeds, out)


@app.command()
def agreement(
    name: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    records: Records,
    committed: Annotated[Path, typer.Option("--committed", help="Folder of the records of all training seeds.")],
) -> None:
    """How far a table made anew with training seed 0 is from the committed one, and how far it was expected to be."""
    from salt.report.reproduced import agreement, describe

    print(describe(agreement(name, scale, records, committed)))


@app.command()
def figure(
    name: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    records: Records,
    videos: Annotated[Path, typer.Option("--videos", help="Folder of the videos.")],
    out: OutFolder,
    seeds: Seeds = None,
) -> None:
    """One figure as PNG and PDF."""
    from salt.stages.figure import run

    run(name, scale, records, videos, out, seeds)


@app.command()
def claims(scale: ScaleName = DEFAULT_SCALE, *, records: Records, out: OutFolder) -> None:
    """Each claim of the paper against our measurements, as CSV and Markdown."""
    from salt.stages.claims import run

    run(scale, records, out)


@app.command()
def clips(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    videos: Annotated[Path, typer.Option("--videos", help="Folder of the videos.")],
    out: OutFolder,
) -> None:
    """The videos whose frames the figures show, whole, in one small picture for the report."""
    from salt.stages.clips import run

    run(scale, videos, out)


@app.command()
def training_curves(
    weights: Annotated[Path, typer.Argument(help="Folder of a student's weights.")],
    *,
    run_dir: Annotated[Path, typer.Option("--run-dir", help="Its run directory.")],
    out: OutFile,
) -> None:
    """What a training took, and how its losses went, as one small record for the report."""
    from salt.stages.training_curves import run

    run(weights, run_dir, out)


@app.command()
def report(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    results: Annotated[Path, typer.Option("--results", help="Folder of tables and claims.")],
    figures: Annotated[Path, typer.Option("--figures", help="Folder of the figures.")],
    out: OutFile,
) -> None:
    """Everything in one HTML file."""
    from salt.stages.report import run

    run(scale, results, figures, out)


@app.command()
def guide(
    results: Annotated[Path, typer.Option("--results", help="Folder of the results of all scales.")] = Path("results"),
    figures: Annotated[Path, typer.Option("--figures", help="Folder of their figures.")] = Path("paper_figures"),
    out: OutFile = Path("results/README.md"),
) -> None:
    """The way through the results: ten minutes, verdicts, files, cost, glossary."""
    from salt.stages.guide import run

    run(results, figures, out)
