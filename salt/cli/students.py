"""`salt train` and `salt sample`: one student, and its videos."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import (
    Cells,
    Device,
    Latents,
    Long,
    OutFolder,
    OutWeights,
    Overrides,
    RunDir,
    ScaleName,
    Seed,
    TeacherFolder,
    Wait,
    as_mapping,
)
from salt.errors import SaltError

Name = Annotated[str, typer.Argument(help="Stem of a file in experiments/.")]


@app.command()
def train(
    experiment: Name,
    scale: ScaleName,
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
    scale: ScaleName,
    teacher: TeacherFolder,
    out: OutFolder,
    seed: Seed = 0,
    weights: Annotated[Path | None, typer.Option("--weights", help="Folder made by `salt train`.")] = None,
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
    check_source(experiment, weights, prompts)

    from salt.stages.sample import run  # after what is quick to refuse: torch takes seconds

    run(experiment, config, seed, teacher, weights, out, device, own, length, cell or ())


def check_source(name: str, weights: Path | None, prompts: Path | None = None) -> None:
    """Refuse a student without weights, weights that would not be used, and captions that have no clip."""
    reference = name in ("teacher", "real")
    if weights is None and not reference:
        raise SaltError(f"{name}: --weights is missing; the folder made by `salt train` is accepted")
    if weights is not None and reference:
        raise SaltError(f"{name}: --weights {weights}: only a student has weights of its own; leave it out")
    if prompts is not None and name == "real":
        raise SaltError(f"real: --prompts {prompts}: there are no clips of other captions; leave it out")
