"""`salt lab-table` and `lab-report`: what the lab decides, from its records, without networks."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import OutFile, OutFolder, Records

LabScale = Annotated[str, typer.Option("--lab", help="Stem of a file in experiments/scales that has exact worlds.")]


@app.command("lab-table")
def lab_table(
    name: Annotated[str, typer.Argument(help="lab_controls or lab_claims.")],
    lab: LabScale,
    records: Records,
    out: OutFolder,
) -> None:
    """The lab's controls, or its pre-registered claims, as CSV, Markdown and LaTeX."""
    from salt.stages.lab_table import run

    run(name, lab, records, out)


@app.command("lab-report")
def lab_report(
    lab: LabScale,
    results: Annotated[Path, typer.Option("--results", help="Folder of the lab's tables.")],
    figures: Annotated[Path, typer.Option("--figures", help="Folder of the figures.")],
    out: OutFile,
) -> None:
    """Everything that the lab decides in one HTML file."""
    from salt.stages.lab_report import run

    run(lab, results, figures, out)
