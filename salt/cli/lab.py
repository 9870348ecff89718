"""The verbs of the lab, from nothing to what is read."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from salt.cli import app, places
from salt.cli.options import OutFile, OutFolder, Records, worked_in

DEFAULT_LAB = "lab"
LabScale = Annotated[str, typer.Option("--lab", help="Stem of a file in experiments/scales that has exact worlds.")]
Arms = Annotated[
    Path | None,
    typer.Option(
        "--scratch",
        help="Run directories and weights; the same command continues there. Default: the workflow's.",
        callback=worked_in,
    ),
]


Phase = Annotated[
    Literal["explore", "confirm"],
    typer.Option("--phase", help="Whose training seeds: the first ones, or fresh ones."),
]


@app.command("lab-truth")
def lab_truth(lab: LabScale = DEFAULT_LAB, out: OutFile = None) -> None:
    """Records of what is known in closed form: exact maps, injected errors, truth against truth."""
    from salt.stages.lab_truth import run

    run(lab, places.of_lab(out, lambda found: Path(found.records, "controls.csv"), lab))


@app.command("lab-arms")
def lab_arms(
    name: Annotated[str, typer.Argument(help="A set of experiments/lab/arms.yaml.")],
    lab: LabScale = DEFAULT_LAB,
    *,
    first: Annotated[int, typer.Option("--first", min=0, help="Seed of the ensemble's first member.")],
    scratch: Arms = None,
    out: OutFolder = None,
) -> None:
    """Train the arms of one set for one ensemble of seeds, and measure them. To resume, run the same command again."""
    from salt.config.lab_arms import ensemble

    ensemble(name, lab, first)

    from salt.stages.lab_arms import run  # after what is quick to refuse: torch takes seconds

    runs = places.of_lab(scratch, lambda found: Path(found.scratch, "arms"), lab)
    run(name, lab, first, runs, places.of_lab(out, lambda found: found.records, lab))


@app.command("lab-table")
def lab_table(
    name: Annotated[str, typer.Argument(help="lab_controls, lab_claims or lab_beyond.")],
    lab: LabScale = DEFAULT_LAB,
    records: Records = None,
    out: OutFolder = None,
) -> None:
    """The lab's controls, or its pre-registered claims, as CSV, Markdown and LaTeX."""
    from salt.stages.lab_table import run

    read = places.of_lab(records, lambda found: found.records, lab)
    run(name, lab, read, places.of_lab(out, lambda found: Path(found.results, "tables"), lab))


@app.command(name="lab-figure")
def lab_figure(
    name: Annotated[str, typer.Argument(help="As in experiments/lab/figures.yaml.")],
    lab: LabScale = DEFAULT_LAB,
    records: Records = None,
    out: OutFolder = None,
    phase: Phase = "confirm",
) -> None:
    """One figure of the lab as PNG and PDF."""
    from salt.stages.lab_figure import run

    read = places.of_lab(records, lambda found: found.records, lab)
    run(name, lab, read, phase, places.of_lab(out, lambda found: found.figures, lab))


@app.command("lab-report")
def lab_report(
    lab: LabScale = DEFAULT_LAB,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of the lab's tables. Default: the workflow's.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Folder of the figures. Default: the workflow's.")
    ] = None,
    out: OutFile = None,
) -> None:
    """Everything that the lab decides in one HTML file."""
    from salt.stages.lab_report import run

    made = places.of_lab(results, lambda found: found.results, lab)
    drawn = places.of_lab(figures, lambda found: found.figures, lab)
    run(lab, made, drawn, places.of_lab(out, lambda found: Path(found.results, "report.html"), lab))
