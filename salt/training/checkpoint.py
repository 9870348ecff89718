"""Checkpoints: folders `step_000100/` that hold everything, are written atomically, and are verified when read.

Each holds a `state.json` with the counters, and the tensors. If every process holds the networks whole, these are one
safetensors file, written by the first process, with its SHA-256. If the networks are split, they are files of
torch.distributed.checkpoint, with their sizes, which any number of processes can read. (For the 30 MB of a tiny run,
the latter took 3 times as long to write as the single file and 18 times as long to read.)
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from salt.errors import SaltError
from salt.files import sha256, unfinished, whole_folder
from salt.training.parallel import ALONE, Workers
from salt.training.sharding import read_parts, stored_shapes, write_parts
from salt.training.state import TrainState

WHOLE = "state.safetensors"


def list_checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints below a folder, oldest first."""
    found = {int(match[1]): path for path in folder.glob("step_*") if (match := re.fullmatch(r"step_(\d+)", path.name))}
    return [found[step] for step in sorted(found)]


def save_checkpoint(folder: Path, state: TrainState, keep: int, workers: Workers = ALONE) -> None:
    """Write `state` below `folder`, then delete all but the newest `keep` checkpoints. Called by every process.

    Raises:
        SaltError: it could not be written (e.g. the disk is full); older checkpoints are kept.
    """
    target = folder / f"step_{state.step:06d}"
    try:
        if state.split and not workers.first:
            workers.wait()
            write_parts(unfinished(target), state.tensors())
        elif workers.first:
            with whole_folder(target) as temporary:
                _write(temporary, state, workers)
    except (OSError, SafetensorError) as error:
        last = list_checkpoints(folder)
        rest = f"the last whole checkpoint is {last[-1]}" if last else "there is no earlier checkpoint"
        raise SaltError(f"{target}: the checkpoint could not be written: {error}; {rest}") from error
    if workers.first:
        for old in list_checkpoints(folder)[:-keep]:
            shutil.rmtree(old)


def _write(folder: Path, state: TrainState, workers: Workers) -> None:
    """Write the first process's part: counters, and all or its share of the tensors."""
    known: dict[str, Any] = dict(state.counters())
    if state.split:
        workers.wait()  # now the folder exists for all
        write_parts(folder, state.tensors())
        known["sizes"] = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    else:
        save_file(state.tensors(), folder / WHOLE)
        known["sha256"] = sha256(folder / WHOLE)
    (folder / "state.json").write_text(json.dumps(known, indent=1), encoding="utf-8")


def load_checkpoint(folder: Path, state: TrainState) -> None:
    """Fill `state` from the newest checkpoint below `folder`; without one, leave it as it is.

    Raises:
        SaltError: the newest checkpoint is damaged (the message says which folder to delete), or was written with
            another `train.shard`.
    """
    found = list_checkpoints(folder)
    if not found:
        return
    path = found[-1]
    try:
        known = json.loads((path / "state.json").read_text(encoding="utf-8"))
        other = state.split != ("sizes" in known)
        if not other:
            state.restore(_read_split(path, state, known) if state.split else _read_whole(path, known), known)
    except (SaltError, OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        rest = f"from {found[-2].name}" if len(found) > 1 else "from the beginning"
        raise SaltError(f"{path}: damaged checkpoint: {error}; delete {path} to continue {rest}") from error
    if other:
        raise SaltError(f"{path}: written with train.shard={not state.split}; that is accepted to continue")


def _read_whole(folder: Path, known: Mapping[str, Any]) -> dict[str, Tensor]:
    if sha256(folder / WHOLE) != known["sha256"]:
        raise SaltError(f"the SHA-256 of {WHOLE} is not the one in state.json")
    return load_file(folder / WHOLE)


def _read_split(folder: Path, state: TrainState, known: Mapping[str, Any]) -> dict[str, Tensor]:
    for name, size in known["sizes"].items():
        if (there := (folder / name).stat().st_size) != size:
            raise SaltError(f"{name} has {there} bytes, not the {size} of state.json")
    tensors = state.room(stored_shapes(folder))
    read_parts(folder, tensors)
    return tensors
