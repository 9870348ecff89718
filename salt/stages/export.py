"""`salt export`: weights as other programs read them. No rule of the workflow needs it."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from salt.config import load_experiment
from salt.config.hashing import training_hash
from salt.errors import SaltError
from salt.files import whole_file, write_text
from salt.models.names import to_original
from salt.models.released import released_weights
from salt.models.wan import save_wan
from salt.readers import read_json
from salt.stages.shared.networks import load_weights, trained_as
from salt.stages.shared.pipeline import write_pipeline
from salt.training.provenance import NAME, check_unchanged, hash_files

ENDINGS = {"wan": ".safetensors", "self-forcing": ".pt"}
"""Of the layouts that are one file; the others are folders."""


def run(folder: Path, layout: str, scale: str, teacher: Path | None, out: Path) -> None:
    """Write a network in another layout.

    Args:
        folder: made by `salt train` or `salt import-released`; for one file, any other in diffusers' format as well.
        layout: "wan": safetensors with Wan's names; "self-forcing": torch's format, below `generator`, with the prefix
            `model.`; "diffusers": a whole pipeline; "shipped": as the repository keeps its own students, in float16.
        scale: of a pipeline and of what is shipped.
        teacher: of a pipeline: the folder of its autoencoder and text encoder.
        out: the file or folder.

    Raises:
        SaltError: the folder holds weights that Wan does not have, or not those of the scale, or the file's ending
            belongs to another layout.
    """
    if layout == "diffusers":
        assert teacher is not None  # the command line looks for it
        write_pipeline(folder, scale, teacher, out)
    elif layout == "shipped":
        ship(folder, scale, out)
    else:
        _write_file(folder, layout, out)


def ship(folder: Path, scale: str, out: Path) -> None:
    """Write a student in half the bytes, with its provenance; the scale's own name may have changed since.

    Raises:
        SaltError: the scale's files say today that other weights would be trained.
    """
    check_unchanged(folder)
    known, _ = trained_as(folder)
    experiment = load_experiment(known.name, scale)
    if training_hash(experiment) != training_hash(known):
        raise SaltError(f"{folder}: trained with another configuration than {known.name} has at scale {scale} today")
    trained = read_json(folder / NAME)
    save_wan(load_weights(folder, experiment), out, torch.float16)
    stored = {"experiment": experiment.model_dump(mode="json"), "weights": hash_files(out)}
    origin = {"from": {"scale": known.scale.name, "weights": trained["weights"], "stored_as": "float16"}}
    write_text(out / NAME, json.dumps(trained | stored | origin, indent=1) + "\n")


def _write_file(folder: Path, layout: str, out: Path) -> None:
    ending = ENDINGS[layout]
    if out.suffix != ending:
        raise SaltError(f"--out {out}: a file ending in {ending} is accepted for --layout {layout}")
    check_unchanged(folder)
    weights, _ = released_weights(folder)
    original = _original_names(weights, folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as temporary:
        if layout == "wan":
            save_file({name: value.contiguous() for name, value in original.items()}, temporary)
        else:
            with temporary.open("wb") as file:  # torch tells of a full disk by the file's own error alone
                torch.save({"generator": {f"model.{name}": value for name, value in original.items()}}, file)


def _original_names(weights: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    original = {name: to_original(name) for name in weights}
    if foreign := [name for name, known in original.items() if known is None]:
        raise SaltError(f"{folder}: weights {foreign[0]!r}: not those of a WanTransformer3DModel")
    return {str(original[name]): value for name, value in weights.items()}
