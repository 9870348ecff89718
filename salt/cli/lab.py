"""The verbs of the lab, from nothing to what is read."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import OutFolder, followed

LabName = Annotated[str, typer.Option("--lab", help="Scale of the lab: lab, or lab_smoke.")]
Arms = Annotated[
    Path,
    typer.Option("--scratch", help="Run directories and weights; the same command continues there.", callback=followed),
]


@app.command("lab-arms")
def lab_arms(
    name: Annotated[str, typer.Argument(help="A set of experiments/lab/arms.yaml.")],
    lab: LabName,
    first: Annotated[int, typer.Option("--first", min=0, help="Seed of the ensemble's first member.")],
    scratch: Arms,
    out: OutFolder,
) -> None:
    """Train the arms of one set for one ensemble of seeds, and measure them. To resume, run the same command again."""
    from salt.config.lab_arms import check_ensemble

    check_ensemble(name, lab, first)

    from salt.stages.lab_arms import run  # after what is quick to refuse: torch takes seconds

    run(name, lab, first, scratch, out)
