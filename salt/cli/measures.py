"""`salt score-vbench`, `score`, `score-controls`, `modes`, `defect`, `caches`: from videos and weights to records."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
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
    TeacherFolder,
    Weights,
    as_mapping,
    part_of,
    written,
)


@app.command(name="score-vbench")
def score_vbench(
    experiment: Annotated[str, typer.Argument(help="A student, or `teacher`.")],
    dimension: Annotated[str, typer.Argument(help="As VBench names it: temporal_flickering, ...")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    videos: Annotated[Path, typer.Option("--videos", help="Folder made by `salt sample`.")],
    details: Details,
    out: OutFile,
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
    of_prompts = part_of(part)

    from salt.stages.score_vbench import run

    run(experiment, dimension, config, seed, videos, details, out, of_prompts, length, device, cell or ())


@app.command()
def score(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the codec's ceiling).")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    videos: Annotated[Path, typer.Option("--videos", help="Folder made by `salt sample`.")],
    out: OutFile,
    details: Details,
    seed: Seed = 0,
    long: Long = False,
    cell: Cells = None,
) -> None:
    """Score all videos of one model, or its long ones."""
    from salt.config import load_experiment
    from salt.evaluation.lengths import length_of

    config = load_experiment("teacher" if experiment == "real" else experiment, scale)
    length = length_of(experiment, config, long)

    from salt.stages.score import run

    run(experiment, config, seed, videos, out, details, length, cell or ())


@app.command()
def modes(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the floor of all measures).")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    latents: Latents,
    out: OutFile,
    seed: Seed = 0,
    weights: Annotated[Path | None, typer.Option("--weights", help="Folder made by `salt train`.")] = None,
    cell: Cells = None,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Which futures and styles one model's samples are of, beside what their captions leave open."""
    from salt.cli.students import check_source
    from salt.config import load_experiment

    config = load_experiment("teacher" if experiment == "real" else experiment, scale, as_mapping(overrides))
    check_source(experiment, weights)

    from salt.stages.modes import run

    run(experiment, config, seed, teacher, latents, weights, out, device, cell or ())


@app.command()
def defect(
    weights: Weights,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    out: OutFile,
    alone: Annotated[
        bool, typer.Option("--alone", help="Eq. (16) alone: no cross-step distance, no path of the teacher's.")
    ] = False,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Semigroup defect (Eq. 16), cross-step distance and accumulated error of one student."""
    from salt.stages.defect import run

    run(weights, scale, as_mapping(overrides), teacher, out, device, alone)


@app.command()
def caches(
    weights: Weights,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    out: OutFile,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """The effect of the KV cache on one causal student: quality after caches of other step counts, defect, seams."""
    from salt.stages.caches import run

    run(weights, scale, as_mapping(overrides), teacher, out, device)


@app.command(name="score-controls")
def score_controls(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    videos: Annotated[
        Path, typer.Option("--videos", help="Folder for the corrupted videos.", callback=written("folder"))
    ],
    out: OutFile,
) -> None:
    """Score deliberately corrupted clips: what the ground-truth scorer detects, and what it does not."""
    from salt.config import load_scale
    from salt.evaluation.lengths import TrainingLength
    from salt.evaluation.scorers import scorer_of

    known = load_scale(scale)
    scorer_of(known, TrainingLength(known.evaluation)).require_clips("salt score-controls")

    from salt.stages.score_controls import run

    run(known, teacher, videos, out)
