"""`salt lab-figure`: from the records of the lab to what a reader sees, without networks."""

from typing import Annotated, Literal

import typer

from salt.cli import app
from salt.cli.options import OutFolder, Records

Lab = Annotated[str, typer.Option("--lab", help="Scale of the lab: stem of a file in experiments/scales.")]
Phase = Annotated[
    Literal["explore", "confirm"],
    typer.Option("--phase", help="Whose training seeds: the first ones, or fresh ones."),
]


@app.command(name="lab-figure")
def lab_figure(
    name: Annotated[str, typer.Argument(help="As in experiments/lab/figures.yaml.")],
    lab: Lab,
    records: Records,
    phase: Phase,
    out: OutFolder,
) -> None:
    """One figure of the lab as PNG and PDF."""
    from salt.stages.lab_figure import run

    run(name, lab, records, phase, out)
