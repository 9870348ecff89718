"""`salt lab-controls`: what the lab measures of students whose faults are known."""

from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import OutFile

LabScale = Annotated[str, typer.Option("--lab", help="A scale of the lab: experiments/scales/NAME.yaml.")]


@app.command(name="lab-controls")
def lab_controls(lab: LabScale, out: OutFile) -> None:
    """Controls of the lab without any training: exact teachers, exact maps, injected errors, floors."""
    from salt.stages.lab_controls import run

    run(lab, out)
