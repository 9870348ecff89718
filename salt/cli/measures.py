"""`salt score-vbench`, `score`, `score-controls`, `modes`, `defect`, `caches`, `training-curves`: to records."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from salt.cli import app, places
from salt.cli.options import (
    DEFAULT_SCALE,
    Cells,
    Details,
    Device,
    Latents,
    Long,
    OutFile,
    Overrides,
    Part,
    ScaleName,
    Seed,
    StudentWeights,
    TeacherFolder,
    Videos,
    Weights,
    as_mapping,
    part_of,
    written,
)
from salt.errors import SaltError

if TYPE_CHECKING:
    from salt.workflow.layout import Layout


@app.command(name="score-vbench")
def score_vbench(
    experiment: Annotated[str, typer.Argument(help="A student, or `teacher`.")],
    dimension: Annotated[str, typer.Argument(help="As VBench names it: temporal_flickering, ...")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    videos: Videos = None,
    details: Details = None,
    out: OutFile = None,
    seed: Seed = 0,
    part: Part = "0/1",
    long: Long = False,
    cell: Cells = None,
    device: Device = "cpu",
) -> None:
    """Score one dimension of one model's videos with the real VBench. To resume, run the same command again."""
    from salt.config import load_experiment
    from salt.evaluation.lengths import length_of

    config = load_experiment(experiment, scale)
    length = length_of(experiment, config, long)
    of_prompts, name = part_of(part), f"seed{seed}{'_long' if long else ''}"
    watched = places.out_of(videos, places.videos_of(experiment, seed, long), scale)
    kept = places.out_of(
        details, lambda layout: Path(layout.evaluation, "scores", experiment, name), scale, cell, "--details"
    )
    file = places.out_of(
        out, lambda layout: Path(layout.evaluation, "vbench", experiment, name, f"{dimension}.json"), scale, cell
    )

    from salt.stages.score_vbench import run

    run(experiment, dimension, config, seed, watched, kept, file, of_prompts, length, device, cell or ())


@app.command()
def score(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the codec's ceiling).")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    videos: Videos = None,
    out: OutFile = None,
    details: Details = None,
    seed: Seed = 0,
    long: Long = False,
    cell: Cells = None,
    names: Annotated[
        Literal["salt", "vbench"],
        typer.Option(
            "--names",
            help="vbench: videos made elsewhere, PROMPT-I.mp4 of VBench's prompts in one folder; EXPERIMENT is any "
            "name for them, and the real VBench scores them.",
        ),
    ] = "salt",
    results: Annotated[
        list[Path] | None,
        typer.Option("--results", help="What VBench's own command line wrote of such videos; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="With --names vbench: where VBench computes.")] = "cpu",
) -> None:
    """Score all videos of one model, or its long ones; or videos made elsewhere."""
    if names == "vbench" or results:
        _score_elsewhere(experiment, scale, videos, results or [], out, details, device)
        return
    from salt.config import load_experiment
    from salt.evaluation.lengths import length_of

    config = load_experiment("teacher" if experiment == "real" else experiment, scale)
    length = length_of(experiment, config, long)

    name = f"seed{seed}{'_long' if long else ''}"
    watched = places.out_of(videos, places.videos_of(experiment, seed, long), scale)
    file = places.out_of(out, places.record_of(experiment, seed, "long" if long else "scores"), scale, cell)
    kept = places.out_of(
        details, lambda layout: Path(layout.evaluation, "scores", experiment, name), scale, cell, "--details"
    )

    from salt.stages.score import run

    run(experiment, config, seed, watched, file, kept, length, cell or ())


def _score_elsewhere(
    name: str, scale: str, videos: Path | None, results: list[Path], out: Path | None, details: Path | None, device: str
) -> None:
    from salt.cli.students import REFERENCES
    from salt.config import load_scale
    from salt.config.files import experiment_names

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in (*REFERENCES, *experiment_names()):
        raise SaltError(
            f"{name}: videos made elsewhere are of no experiment; accepted: a name that experiments/ does not have, of "
            "letters, digits and _.-"
        )
    if (videos is None) == (not results):
        raise SaltError("--names vbench: accepted: --videos FOLDER, or the --results of VBench's own command line")
    if out is None or details is None:
        raise SaltError("--out and --details: videos made elsewhere have no place of their own; both are needed")

    from salt.stages.score import run_elsewhere

    run_elsewhere(name, load_scale(scale), videos, results, out, details, device)
    print(out)


@app.command()
def modes(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the floor of all measures).")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    latents: Latents = None,
    out: OutFile = None,
    seed: Seed = 0,
    weights: StudentWeights = None,
    cell: Cells = None,
    any_step: Annotated[bool, typer.Option("--any-step", help="Clips at the scale's `any_step` evaluations.")] = False,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Which futures and styles one model's samples are of, beside what their captions leave open."""
    from salt.cli.students import REFERENCES, check_source
    from salt.config import load_experiment

    config = load_experiment("teacher" if experiment == "real" else experiment, scale, as_mapping(overrides))
    if weights is None and experiment not in REFERENCES:
        weights = places.weights_of(experiment, scale, seed)
    check_source(experiment, weights)
    networks, bank = teacher or places.teacher_of(scale), latents or places.latents_of(scale)
    record = places.record_of(experiment, seed, "any_step" if any_step else "modes")
    file = places.out_of(out, record, scale, cell or overrides)

    from salt.stages.modes import run

    run(experiment, config, seed, networks, bank, weights, file, device, cell or (), any_step)


@app.command()
def defect(
    weights: Weights,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    out: OutFile = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Eq. (16) alone: no cross-step distance, no path of the teacher's.")
    ] = False,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Semigroup defect (Eq. 16), cross-step distance and accumulated error of one student."""
    from salt.stages.defect import run

    networks = teacher or places.teacher_of(scale)
    file = places.out_of(out, places.record_of(*_student(weights), "defect"), scale, overrides or alone)
    run(weights, scale, as_mapping(overrides), networks, file, device, alone)


@app.command()
def caches(
    weights: Weights,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    out: OutFile = None,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """The effect of the KV cache on one causal student: quality after caches of other step counts, defect, seams."""
    from salt.stages.caches import run

    networks = teacher or places.teacher_of(scale)
    file = places.out_of(out, places.record_of(*_student(weights), "caches"), scale, overrides)
    run(weights, scale, as_mapping(overrides), networks, file, device)


@app.command(name="training-curves")
def training_curves(
    weights: Weights,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="The run directory of its training. Default: the workflow's.")
    ] = None,
    out: OutFile = None,
) -> None:
    """What the training of one student took, and how its losses went."""
    from salt.stages.training_curves import run

    def trained(layout: "Layout") -> str:
        return layout.run_of(*map(str, _student(weights)))

    def record(layout: "Layout") -> Path:
        return places.record_of(*_student(weights), "curves")(layout)

    run(weights, places.out_of(run_dir, trained, scale), places.out_of(out, record, scale))


def _student(weights: Path) -> tuple[str, int]:
    """Name and seed of the student whose weights these are."""
    from salt.stages.shared.networks import trained_as

    known, seed = trained_as(weights)
    return known.name, seed


@app.command(name="score-controls")
def score_controls(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    videos: Annotated[
        Path | None,
        typer.Option(
            "--videos", help="Folder for the corrupted videos. Default: the workflow's.", callback=written("folder")
        ),
    ] = None,
    out: OutFile = None,
) -> None:
    """Score deliberately corrupted clips: what the ground-truth scorer detects, and what it does not."""
    from salt.config import load_scale
    from salt.evaluation.lengths import TrainingLength
    from salt.evaluation.scorers import scorer_of

    known = load_scale(scale)
    scorer_of(known, TrainingLength(known.evaluation)).require_clips("salt score-controls")

    networks = teacher or places.teacher_of(scale)
    folder = places.out_of(videos, lambda layout: Path(layout.videos, "controls"), scale)
    file = places.out_of(out, lambda layout: Path(layout.records, "controls.csv"), scale)

    from salt.stages.score_controls import run

    run(known, networks, folder, file)
