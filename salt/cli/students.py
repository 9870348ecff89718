"""`salt train` and `salt sample`: one student, and its videos."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app, places
from salt.cli.options import (
    DEFAULT_SCALE,
    Cells,
    Device,
    Latents,
    Long,
    OutWeights,
    Overrides,
    RunDir,
    ScaleName,
    Seed,
    TeacherFolder,
    Wait,
    as_mapping,
    written,
)
from salt.errors import SaltError

Name = Annotated[str, typer.Argument(help="Stem of a file in experiments/.")]


@app.command()
def train(
    experiment: Name,
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    latents: Latents,
    run_dir: RunDir,
    out: OutWeights,
    seed: Seed = 0,
    init: Annotated[
        Path | None, typer.Option("--init", help="Weights of the experiment that `init` names, if it names one.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Folder made by `salt ode-pairs`, for experiments with `pairs`.")
    ] = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    wait: Wait = False,
) -> None:
    """Train one student. To resume, run the same command again."""
    from salt.config import load_experiment

    config = load_experiment(experiment, scale, as_mapping(overrides))

    from salt.stages.train import run  # after what is quick to refuse: torch takes seconds

    run(config, seed, teacher, latents, init, pairs, run_dir, out, device, wait)


@app.command()
def sample(
    experiment: Annotated[str, typer.Argument(help="A student, `teacher`, or `real` (the codec's ceiling).")],
    scale: ScaleName = DEFAULT_SCALE,
    seed: Seed = 0,
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="Folder made by `salt teacher`. Default: the workflow's, or the shipped one."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Folder made by `salt train`. Default: the workflow's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where the videos go. Default, with --prompts: samples/SCALE/EXPERIMENT_seedSEED.",
            callback=written("folder"),
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            help="Your own captions, one a line; such videos are not scored. With --long a line may be `caption A => "
            "caption B`: A for the first half of the chunks, B for the rest; any number of captions, equal parts. "
            'For image-to-video networks, a .jsonl with {"caption": ..., "image": FILE} on each line.',
        ),
    ] = None,
    long: Long = False,
    cell: Cells = None,
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """All videos of one model: every caption variant, solver and number of function evaluations of the scale."""
    from salt.config import load_experiment
    from salt.data.prompts import read_prompts
    from salt.evaluation.lengths import length_of

    config = load_experiment("teacher" if experiment == "real" else experiment, scale, as_mapping(overrides))
    length = length_of(experiment, config, long)
    own = [] if prompts is None else read_prompts(prompts, length.chunks(config))
    if out is None and prompts is None:
        raise SaltError("--out is missing: where the videos of the evaluation's prompts go; a folder is accepted")
    if weights is None and experiment not in ("teacher", "real"):
        weights = places.weights_of(experiment, scale, seed)
    check_source(experiment, weights, prompts)
    teacher = teacher or places.teacher_of(scale)

    from salt.stages.sample import run  # after what is quick to refuse: torch takes seconds

    folder = out or places.videos_of(experiment, scale, seed)
    run(experiment, config, seed, teacher, weights, folder, device, own, length, cell or ())
    if prompts is not None:
        print(f"{len(own)} captions: {folder}")


def check_source(name: str, weights: Path | None, prompts: Path | None = None) -> None:
    """Refuse a student without weights, weights that would not be used, and captions that have no clip."""
    reference = name in ("teacher", "real")
    if weights is None and not reference:
        raise SaltError(f"{name}: --weights is missing; the folder made by `salt train` is accepted")
    if weights is not None and reference:
        raise SaltError(f"{name}: --weights {weights}: only a student has weights of its own; leave it out")
    if prompts is not None and name == "real":
        raise SaltError(f"real: --prompts {prompts}: there are no clips of other captions; leave it out")
