"""`salt teacher`, `latents` and `ode-pairs`: what the training of students needs."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import (
    DEFAULT_SCALE,
    Device,
    Latents,
    OutAssets,
    OutFolder,
    Overrides,
    Part,
    RunDir,
    ScaleName,
    Seed,
    TeacherFolder,
    Wait,
    as_mapping,
    part_of,
)
from salt.errors import SaltError


@app.command()
def teacher(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    run_dir: RunDir,
    out: OutAssets,
    seed: Seed = 0,
    train: Annotated[bool, typer.Option("--train", help="Train even if the scale ships a teacher.")] = False,
    overrides: Overrides = None,
    device: Device = "cpu",
    wait: Wait = False,
) -> None:
    """Codec, text encoder and teacher of a scale: shipped, linked to released ones, or trained, as the scale says."""
    from salt.config import load_experiment

    experiment = load_experiment("teacher", scale, as_mapping(overrides))

    from salt.stages.teacher import run  # after what is quick to refuse: torch takes seconds

    run(experiment, seed, train, run_dir, out, device, wait)


@app.command()
def latents(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    out: OutFolder,
    part: Part = "0/1",
    device: Device = "cpu",
) -> None:
    """The bank of latents that students are trained on. To resume, run the same command again.

    Several commands with a part each may share the work; one without a part, after them, finishes it.
    """
    from salt.config import load_scale

    known, own = load_scale(scale), part_of(part)

    from salt.stages.latents import run

    run(known, teacher, out, device, own)


@app.command(name="ode-pairs")
def ode_pairs(
    experiment: Annotated[str, typer.Argument(help="The experiment that regresses on them: one with `pairs`.")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder,
    latents: Latents,
    out: OutFolder,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights of the causal teacher, if `pairs.teacher` names one.")
    ] = None,
    part: Part = "0/1",
    overrides: Overrides = None,
    device: Device = "cpu",
) -> None:
    """Trajectories of a teacher from noise to data. To resume, run the same command again.

    Several commands with a part each may share the work; one without a part, after them, finishes it.
    """
    from salt.config import load_experiment

    config = load_experiment(experiment, scale, as_mapping(overrides))
    if config.pairs is None:
        raise SaltError(f"{experiment}: it regresses no trajectories; an experiment with `pairs` is accepted")
    own = part_of(part)

    from salt.stages.ode_pairs import run

    run(config, teacher, latents, weights, out, device, own)
