"""Weights of other repositories as an experiment's own, and the way back."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import whole_file, write_text
from salt.models.names import to_original
from salt.models.released import Which, merge_lora, released_weights
from salt.models.wan import save_wan, wan_of
from salt.training.provenance import NAME, provenance


def import_weights(experiment: Experiment, source: Path, which: Which | None, lora: Path | None, out: Path) -> None:
    """Write released weights in diffusers' format, with where they came from beside them.

    Args:
        experiment: what they are taken for: its backbone is the shape they must have.
        source: a file or a folder.
        which: the average or the last state, where it holds both.
        lora: merged into them.
        out: a folder like that of `salt train`.
    """
    weights, kind = released_weights(source, which)
    if lora is not None:
        weights = merge_lora(weights, lora)
    save_wan(wan_of(weights, experiment.scale.backbone, source), out)
    inputs = {"source": source} if lora is None else {"source": source, "lora": lora}
    about = provenance(experiment, 0, inputs, out) | {"released": kind, "iterations": None}
    write_text(out / NAME, json.dumps(about, indent=1))


def export_weights(folder: Path, layout: str, out: Path) -> None:
    """Write a network of diffusers' format under the original names.

    Args:
        folder: made by `salt train` or `salt import`, or any of diffusers' format.
        layout: "wan", safetensors with the names alone; "self-forcing", torch's format with `generator` and `model.`.
        out: the file.

    Raises:
        SaltError: the folder holds weights that Wan has not, or the file's ending is of another layout.
    """
    ending = {"wan": ".safetensors", "self-forcing": ".pt"}[layout]
    if out.suffix != ending:
        raise SaltError(f"--out {out}: a file ending in {ending} is accepted for --layout {layout}")
    weights, _ = released_weights(folder)
    original = {name: to_original(name) for name in weights}
    if foreign := [name for name, known in original.items() if known is None]:
        raise SaltError(f"{folder}: weights {foreign[0]!r}: not those of a WanTransformer3DModel")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as temporary:
        if layout == "wan":
            save_file({str(original[name]): value.contiguous() for name, value in weights.items()}, temporary)
        else:
            torch.save({"generator": {f"model.{original[name]}": value for name, value in weights.items()}}, temporary)
