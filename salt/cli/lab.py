"""The verbs of the lab, from nothing to what is read."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from salt.cli import app
from salt.cli.options import OutFile, OutFolder, Records, followed

LabScale = Annotated[str, typer.Option("--lab", help="Stem of a file in experiments/scales that has exact worlds.")]
Arms = Annotated[
    Path,
    typer.Option("--scratch", help="Run directories and weights; the same command continues there.", callback=followed),
]


Phase = Annotated[
    Literal["explore", "confirm"],
    typer.Option("--phase", help="Whose training seeds: the first ones, or fresh ones."),
]


@app.command("lab-truth")
def lab_truth(lab: LabScale, out: OutFile) -> None:
    """Records of what is known in closed form: exact maps, injected errors, truth against truth."""
    from salt.stages.lab_truth import run

    run(lab, out)


@app.command("lab-arms")
def lab_arms(
    name: Annotated[str, typer.Argument(help="A set of experiments/lab/arms.yaml.")],
    lab: LabScale,
    first: Annotated[int, typer.Option("--first", min=0, help="Seed of the ensemble's first member.")],
    scratch: Arms,
    out: OutFolder,
) -> None:
    """Train the arms of one set for one ensemble of seeds, and measure them. To resume, run the same command again."""
    from salt.config.lab_arms import ensemble

    ensemble(name, lab, first)

    from salt.stages.lab_arms import run  # after what is quick to refuse: torch takes seconds

    run(name, lab, first, scratch, out)


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


@app.command(name="lab-figure")
def lab_figure(
    name: Annotated[str, typer.Argument(help="As in experiments/lab/figures.yaml.")],
    lab: LabScale,
    records: Records,
    out: OutFolder,
    phase: Phase = "confirm",
) -> None:
    """One figure of the lab as PNG and PDF."""
    from salt.stages.lab_figure import run

    run(name, lab, records, phase, out)


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
