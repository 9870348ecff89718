"""A run directory: one configuration and seed, one process at a time.

It holds `config.json` (what decides the weights), `checkpoints/`, `metrics.jsonl`, and the lock of whoever works in it.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from salt.config.hashing import NOT_TRAINING
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import write_text


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Be the only process that works in a run directory.

    Raises:
        SaltError: another process is at work there (the message names it), or the directory cannot be made.
    """
    holder = run / "lock.holder"
    lock = FileLock(run / "lock")
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        who = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
        raise SaltError(f"{run}: {who} is training in this run directory; wait for it, or stop it first") from error
    except OSError as error:
        raise SaltError(f"{run}: no run directory can be had here: {error.strerror or error}") from error
    try:
        write_text(holder, f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def claim_run(run: Path, experiment: Experiment, seed: int) -> None:
    """Mark a new run directory with its configuration, or check that this is the one it was begun with.

    Raises:
        SaltError: it was begun with another one; the message names the keys that differ.
    """
    path = run / "config.json"
    wanted = {"seed": seed} | experiment.model_dump(mode="json", exclude=NOT_TRAINING)
    if not path.exists():
        write_text(path, json.dumps(wanted, indent=1) + "\n")
        return
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SaltError(f"{path}: not JSON: {error}; delete {run} to begin anew") from error
    old, new = _flat(begun), _flat(wanted)
    differences = [
        f"{key} (there {json.dumps(old.get(key))}, now {json.dumps(new.get(key))})"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if differences:
        raise SaltError(
            f"{run}: this run was begun with another configuration: {'; '.join(differences)}; "
            "use another run directory, or delete this one to begin anew"
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
