"""`salt teacher`, `latents` and `ode-pairs`: what the training of students needs."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app, places
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
    run_dir: RunDir = None,
    out: OutAssets = None,
    seed: Seed = 0,
    train: Annotated[bool, typer.Option("--train", help="Train even if the scale ships a teacher.")] = False,
    overrides: Overrides = None,
    device: Device = "cpu",
    wait: Wait = False,
) -> None:
    """Codec, text encoder and teacher of a scale: shipped, linked to released ones, or trained, as the scale says."""
    from salt.config import load_experiment

    experiment = load_experiment("teacher", scale, as_mapping(overrides))
    changed = overrides or train or seed
    folder = places.out_of(out, lambda layout: Path(layout.scratch, "teacher"), scale, changed)
    run_in = places.out_of(run_dir, lambda layout: layout.run_of_teacher(), scale, changed, "--run-dir")

    from salt.stages.teacher import run  # after what is quick to refuse: torch takes seconds

    run(experiment, seed, train, run_in, folder, device, wait)


@app.command()
def latents(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    out: OutFolder = None,
    part: Part = "0/1",
    device: Device = "cpu",
) -> None:
    """The bank of latents that students are trained on. To resume, run the same command again.

    Several commands with a part each may share the work; one without a part, after them, finishes it.
    """
    from salt.config import load_scale

    known, own = load_scale(scale), part_of(part)
    folder = places.out_of(out, lambda layout: layout.latents, scale)
    networks = teacher or places.teacher_of(scale)

    from salt.stages.latents import run

    run(known, networks, folder, device, own)


@app.command(name="ode-pairs")
def ode_pairs(
    experiment: Annotated[str, typer.Argument(help="The experiment that regresses on them: one with `pairs`.")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    teacher: TeacherFolder = None,
    latents: Latents = None,
    out: OutFolder = None,
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
    folder = places.out_of(out, lambda layout: Path(layout.pairs_of(experiment)[0]).parent, scale, overrides)
    if weights is None and config.pairs.teacher not in ("teacher", "exact"):
        weights = places.weights_of(config.pairs.teacher, scale, 0)
    networks, bank = teacher or places.teacher_of(scale), latents or places.latents_of(scale)

    from salt.stages.ode_pairs import run

    run(config, networks, bank, weights, folder, device, own)
