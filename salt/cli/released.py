"""`salt import-released` and `salt export`: weights from other repositories, and for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from salt.cli import app, places
from salt.cli.options import DEFAULT_SCALE, WEIGHTS, OutWeights, ScaleName, TeacherFolder, check_written, written
from salt.errors import SaltError

if TYPE_CHECKING:
    from salt.config.schema import Experiment

Layout = Literal["wan", "self-forcing", "diffusers", "shipped"]
PIPELINE = ("README.md", "codec", "model_index.json", "scheduler", "text_encoder", "tokenizer", "transformer", "vae")
"""What is in a pipeline's folder; with anything else it is somebody's own."""
Which = Literal["ema", "regular"]


@app.command(name="import-released")
def import_released(
    experiment: Annotated[str, typer.Argument(help="Stem of a file in experiments/: whose weights they replace.")],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    out: OutWeights = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source",
            help="A .pt or .safetensors file, an index of shards, or a folder with one of these; default: what the "
            "experiment's `released` names, below SALT_WEIGHTS.",
        ),
    ] = None,
    which: Annotated[Which | None, typer.Option("--which", help="Needed if a file holds both.")] = None,
    lora: Annotated[Path | None, typer.Option("--lora", help="A LoRA to merge into them.")] = None,
) -> None:
    """Import released weights for an experiment, in diffusers' format. No code in the file is run."""
    from salt.config import load_experiment

    config = load_experiment(experiment, scale)
    if source is None:
        source, which, lora = _published(config, which, lora)

    from salt.stages.import_released import run

    folder = places.out_of(out, lambda layout: Path(layout.scratch, "released", experiment, "seed0"), scale)
    run(config, source, which, lora, folder)


def _published(config: "Experiment", which: Which | None, lora: Path | None) -> tuple[Path, Which | None, Path | None]:
    """The source that the experiment's own file names, for `salt import-released` without `--source`."""
    file, released = f"experiments/{config.name}.yaml", config.released
    if released is None:
        place = f"scales.{config.scale.name}.released"
        raise SaltError(f"{config.name}: --source is missing, and {file} has no {place}; accepted: one of them")
    if which is not None or lora is not None:
        raise SaltError(f"{config.name}: --which and --lora belong to --source; {file} says its own; leave them out")
    source, lora = released.files(file)
    return source, released.which, lora


@app.command()
def export(
    weights: Annotated[
        Path, typer.Argument(help="Folder made by `salt train` or `salt import-released`, or any of diffusers' format.")
    ],
    scale: ScaleName = DEFAULT_SCALE,
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="A file: .safetensors for `wan`, .pt for `self-forcing`; a folder for the other layouts.",
            callback=written(None),
        ),
    ],
    layout: Annotated[
        Layout,
        typer.Option(
            "--layout",
            help="wan: the original names, for Wan 2.1 and LightX2V; self-forcing: the same below `generator`, for "
            "Self-Forcing and its descendants; diffusers: a whole pipeline with a model card, for "
            "`WanPipeline.from_pretrained`; shipped: as assets/students keeps one.",
        ),
    ] = "wan",
    teacher: TeacherFolder = None,
) -> None:
    """Weights for other programs, under the original names of Wan or as a whole pipeline."""
    if layout in ("wan", "self-forcing"):
        check_written("--out", out, "file")
    else:
        check_written("--out", out, "folder", PIPELINE if layout == "diffusers" else WEIGHTS)
    networks = teacher or places.teacher_of(scale) if layout == "diffusers" else None

    from salt.stages.export import run

    run(weights, layout, scale, networks, out)
