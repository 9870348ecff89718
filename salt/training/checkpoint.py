"""Checkpoints: folders `step_000100/` that hold everything, appear whole or not at all, and are read with suspicion.

Each is one safetensors file and a `state.json` with the counters and the file's SHA-256. Networks are replicated over
the processes, so one file by the first process is enough, and it holds no pickles. (torch.distributed.checkpoint does
the same work for sharded networks; for the 30 MB of a tiny run it took 3 times as long to write and 18 times to read.)
"""

import json
import re
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from salt.errors import SaltError
from salt.files import sha256, whole_folder
from salt.training.state import TrainState


def list_checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints below a folder, oldest first."""
    found = {int(match[1]): path for path in folder.glob("step_*") if (match := re.fullmatch(r"step_(\d+)", path.name))}
    return [found[step] for step in sorted(found)]


def save_checkpoint(folder: Path, state: TrainState, keep: int) -> None:
    """Write `state` below `folder`, then delete all but the newest `keep` checkpoints.

    Raises:
        SaltError: it could not be written (a full disk); older checkpoints are as they were.
    """
    target = folder / f"step_{state.step:06d}"
    try:
        with whole_folder(target) as temporary:
            save_file(state.tensors(), temporary / "state.safetensors")
            counters = state.counters() | {"sha256": sha256(temporary / "state.safetensors")}
            (temporary / "state.json").write_text(json.dumps(counters, indent=1), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        last = list_checkpoints(folder)
        rest = f"the last whole checkpoint is {last[-1]}" if last else "there is no earlier checkpoint"
        raise SaltError(f"{target}: the checkpoint could not be written: {error}; {rest}") from error
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def load_checkpoint(folder: Path, state: TrainState) -> None:
    """Fill `state` from the newest checkpoint below `folder`; without one, leave it as it is.

    Raises:
        SaltError: the newest checkpoint is damaged; the message says which folder to delete.
    """
    found = list_checkpoints(folder)
    if not found:
        return
    path = found[-1] / "state.safetensors"
    try:
        counters = json.loads((found[-1] / "state.json").read_text(encoding="utf-8"))
        if sha256(path) != counters["sha256"]:
            raise SaltError("its SHA-256 is not the one in state.json")
        state.restore(load_file(path), counters)
    except (SaltError, OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        rest = f"from {found[-2].name}" if len(found) > 1 else "from the beginning"
        raise SaltError(f"{path}: damaged checkpoint: {error}; delete {found[-1]} to continue {rest}") from error
