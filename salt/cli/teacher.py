"""`salt teacher` and `salt latents`: what is made once per scale."""

from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import (
    Device,
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
    check_device,
    part_of,
)


@app.command()
def teacher(
    scale: ScaleName,
    run_dir: RunDir,
    out: OutAssets,
    seed: Seed = 0,
    train: Annotated[bool, typer.Option("--train", help="Train even where the scale ships a teacher.")] = False,
    overrides: Overrides = None,
    device: Device = "cpu",
    wait: Wait = False,
) -> None:
    """Codec, text encoder and teacher of a scale: shipped, linked to released ones, or trained, as the scale says."""
    from salt.config import load_experiment

    experiment = load_experiment("teacher", scale, as_mapping(overrides))

    from salt.cli.assets import link_released, use_shipped  # after what is quick to refuse: torch takes seconds
    from salt.cli.own_teacher import make_teacher

    check_device(device)
    if experiment.scale.teacher == "linked":
        link_released(experiment.scale, out)
    elif experiment.scale.teacher == "shipped" and not train:
        use_shipped(experiment.scale, out)
    else:
        make_teacher(experiment, seed, run_dir, out, device, wait)


@app.command()
def latents(
    scale: ScaleName, teacher: TeacherFolder, out: OutFolder, part: Part = "0/1", device: Device = "cpu"
) -> None:
    """The bank of latents that students are trained on. To resume, run the same command again.

    Several commands with a part each may share the work; one without a part, after them, finishes it.
    """
    import torch

    from salt.cli.assets import load_assets
    from salt.cli.latents import make_bank
    from salt.config import load_scale

    own = part_of(part)
    check_device(device)
    torch.set_num_threads(1)
    make_bank(load_assets(teacher, load_scale(scale)), out, device, own)
