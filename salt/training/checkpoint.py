"""Checkpoints: folders `step_000100/` that hold everything, are written atomically, and are verified when read.

Each holds a `state.json` with the counters and its own digest, and the tensors. If every process holds the networks
whole, these are one safetensors file, written by the first process, with its SHA-256. If the networks are split, they
are files of torch.distributed.checkpoint, each hashed by the process that wrote it, which any number of processes can
read. (For the 30 MB of a tiny run, the latter took 3 times as long to write as the single file and 18 times as long to
read.)

A newest checkpoint that is damaged is set aside, as `damaged_step_000100/`, and the one before it is taken: what
follows is computed again and comes out the same.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from salt.digest import json_digest
from salt.errors import SaltError
from salt.files import sha256, unfinished, whole_folder
from salt.foreign import check_file, one_line, reason
from salt.readers import read_json
from salt.training.parallel import ALONE, Workers
from salt.training.sharding import read_parts, stored_shapes, write_parts
from salt.training.state import TrainState

WHOLE = "state.safetensors"
COUNTERS, DIGEST, PARTS = "state.json", "digest", "parts"
"""A file, and keys in it: the digest of all else that it says; of split networks name -> SHA-256."""
METADATA = ".metadata"
"""Of torch.distributed.checkpoint."""

log = logging.getLogger(__name__)


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
        if workers.first:
            with whole_folder(target) as temporary:
                _write(temporary, state, workers)
        elif state.split:
            _write_part(unfinished(target), state, workers)
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
        known[PARTS] = _write_part(folder, state, workers)
    else:
        save_file(state.tensors(), folder / WHOLE)
        known["sha256"] = sha256(folder / WHOLE)
    text = json.dumps(known | {DIGEST: json_digest(known)}, indent=1)
    (folder / COUNTERS).write_text(text, encoding="utf-8")


def _write_part(folder: Path, state: TrainState, workers: Workers) -> dict[str, str]:
    """Write this process's share of split networks; the hashes of all of them."""
    workers.wait()  # now the folder exists for all
    write_parts(folder, state.tensors())
    own = [*sorted(folder.glob(f"__{workers.rank}_*")), *([folder / METADATA] if workers.first else [])]
    try:
        hashes: dict[str, str] | None = {path.name: sha256(path) for path in own}
    except OSError:
        hashes = None
    found = workers.gather(hashes)
    if None in found:
        raise OSError(f"process {found.index(None)} cannot read what it wrote")
    return {name: digest for part in found for name, digest in part.items()}


# ------------------------------------------------------------------------------------------------ reading
def load_checkpoint(folder: Path, state: TrainState, workers: Workers = ALONE) -> None:
    """Fill `state` from the newest whole checkpoint below `folder`; without any, leave it as it is.

    Every process calls it, and all take the same one. What is damaged is renamed, which a warning says.

    Raises:
        SaltError: no checkpoint is whole (the message says which folder to delete), or the newest was written with
            another `train.shard`.
    """
    found = list_checkpoints(folder)
    for path, before in reversed(list(zip(found, [None, *found], strict=False))):
        known: dict[str, Any] = {}
        trouble = _trouble(lambda: known.update(_counters(path)), workers)  # noqa: B023
        if trouble is None and state.split != (PARTS in known or "sizes" in known):
            raise SaltError(f"{path}: written with train.shard={not state.split}; that is accepted to continue")
        trouble = trouble or _trouble(lambda: _verify(path, known, workers), workers)  # noqa: B023
        trouble = trouble or _trouble(lambda: state.restore(_read(path, state), known), workers)  # noqa: B023
        if trouble is None:
            return
        if before is None:
            raise SaltError(f"{path}: damaged checkpoint: {trouble}; delete {path} to continue from the beginning")
        aside = path.with_name(f"damaged_{path.name}")
        log.warning("%s: damaged checkpoint: %s; kept as %s; continuing from %s", path, trouble, aside, before.name)
        if workers.first:
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        workers.wait()


def _trouble(action: Callable[[], None], workers: Workers) -> str | None:
    """Why something failed in this process or in another; None if it succeeded in all of them."""
    failed: str | None = None
    try:
        action()
    except (SaltError, OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        failed = str(error) if isinstance(error, SaltError) else reason(error)
    return (failed or "another process cannot read it") if workers.any(failed is not None) else None


def _counters(path: Path) -> dict[str, Any]:
    """What `state.json` says; that of an earlier version has no digest."""
    known = read_json(path / COUNTERS)
    if DIGEST in known and known.pop(DIGEST) != json_digest(known):
        raise SaltError(f"the digest of {COUNTERS} is not the one that it states")
    if path.name != f"step_{int(known['step']):06d}":
        raise SaltError(f"{COUNTERS} is of step {one_line(known['step'])}")
    return known


def _verify(path: Path, known: Mapping[str, Any], workers: Workers) -> None:
    """Compare this process's share of the files with what `state.json` says of them."""
    if PARTS in known or "sizes" in known:  # sizes: of an earlier version
        stated = known.get(PARTS, known.get("sizes"))
        share = sorted(stated.items())[workers.rank :: workers.size]
    else:  # every process reads it whole
        share = [(WHOLE, known["sha256"])]
    for name, mark in share:
        file = path / Path(name).name
        check_file(file)
        found = file.stat().st_size if isinstance(mark, int) else sha256(file)
        if found != mark:
            raise SaltError(f"{name} is not as {COUNTERS} says: {one_line(found, 15)}, not {one_line(mark, 15)}")


def _read(path: Path, state: TrainState) -> dict[str, Tensor]:
    if not state.split:
        return load_file(path / WHOLE)
    tensors = state.room(stored_shapes(path))
    read_parts(path, tensors)
    return tensors
