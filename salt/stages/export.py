"""`salt export`: weights under Wan's original names, for other repositories. No rule of the workflow needs it."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from salt.errors import SaltError
from salt.files import whole_file
from salt.models.names import to_original
from salt.models.released import released_weights


def run(folder: Path, layout: str, out: Path) -> None:
    """Write a network in diffusers' format under the original names.

    Args:
        folder: made by `salt train` or `salt import-released`, or any other in diffusers' format.
        layout: "wan": safetensors with Wan's names; "self-forcing": torch's format, below `generator`, with the prefix
            `model.`.
        out: the file.

    Raises:
        SaltError: the folder holds weights that Wan does not have, or the file's ending belongs to another layout.
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
