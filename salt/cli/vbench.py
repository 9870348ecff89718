"""`salt vbench-env` and `salt vbench`: the real VBench in its own environment."""

from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import Device, Out, Part, ScaleName, Seed, part_of
from salt.cli.student import Long
from salt.errors import SaltError


@app.command(name="vbench-env")
def vbench_env(
    python: Annotated[str | None, typer.Option("--python", help="A Python 3.11; default: this one, if it is.")] = None,
) -> None:
    """Make VBench's environment in $SALT_VBENCH/venv, and put its prompts beside it."""
    from salt.cli.vbench_jobs import make_environment
    from salt.config.vbench import vbench_folder

    print(make_environment(vbench_folder(), python))


@app.command(name="score-vbench")
def vbench(
    experiment: Annotated[str, typer.Argument(help="A student, or `teacher`.")],
    dimension: Annotated[str, typer.Argument(help="As VBench names it: temporal_flickering, ...")],
    scale: ScaleName,
    videos: Annotated[Path, typer.Option("--videos", help="Folder made by `salt sample`.")],
    details: Annotated[Path, typer.Option("--details", help="Folder for files in VBench's layout.")],
    out: Out,
    seed: Seed = 0,
    part: Part = "0/1",
    long: Long = False,
    device: Device = "cpu",
) -> None:
    """Score one dimension of one model's videos with the real VBench. To resume, run the same command again."""
    from salt.config import load_experiment
    from salt.evaluation.cells import long_of

    config = load_experiment(experiment, scale)
    lasting = long_of(experiment, config) if long else None
    asked = config.scale.evaluation.vbench if lasting is None else lasting.vbench
    if asked is None:
        raise SaltError(
            f"experiments/scales/{scale}.yaml: evaluation.vbench is missing; accepted: a mapping, as paper has"
        )
    of_prompts = part_of(part)

    from salt.cli.scoring import model_cells
    from salt.cli.vbench_jobs import jobs_of, score_dimension

    cells = model_cells(experiment, config, seed, lasting)
    every = [job for cell in cells for job in jobs_of(cell, config.scale, asked, videos, details, of_prompts, device)]
    chosen = [job for job in every if job.dimension == dimension]
    if not chosen:
        names = ", ".join(dict.fromkeys(job.dimension for job in every))
        raise SaltError(f"{dimension}: no prompt asks for it; accepted: {names}")
    score_dimension(chosen, out)
