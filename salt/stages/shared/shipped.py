"""The codec, text encoder and teacher that the repository ships at small scales."""

import shutil
from pathlib import Path

from salt.config.files import repository_root
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.files import whole_folder
from salt.training.provenance import hash_files, recorded


# --------------------------------------------------------------------------------------------- shipped
def shipped_files(scale: Scale) -> dict[str, str]:
    """Name -> SHA-256 of the assets that the repository ships; every file is checked against its recorded hash.

    Raises:
        SaltError: they are missing, or a file was changed.
    """
    source = repository_root() / scale.assets
    known = recorded(source)
    if known is None:
        raise SaltError(
            f"{source}: no shipped teacher; `teacher: train` in experiments/scales/{scale.name}.yaml makes one"
        )
    found = hash_files(source)
    for name in sorted(known.keys() | found.keys()):
        if known.get(name) != found.get(name):
            raise SaltError(f"{source / name}: sha256 is {found.get(name)}, but {known.get(name)} was shipped")
    return found


def use_shipped(scale: Scale, out: Path) -> None:
    """Check and copy the shipped files."""
    shipped_files(scale)
    with whole_folder(out) as folder:
        shutil.copytree(repository_root() / scale.assets, folder, dirs_exist_ok=True)
