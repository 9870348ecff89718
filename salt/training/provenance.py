"""Where weights come from: `provenance.json` beside them, written last, so that its presence means complete.

It holds the hash of every file, and whoever loads weights compares them: all files, at every scale, once in a process
and in the first of several processes. For the teacher that the repository ships that takes 10 ms; for a 14B network and
UMT5-XXL in 16 bits, 40 GB, about a minute on one core (.5 to 1.5 GB/s), of a job of hours.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from salt.config.hashing import training_hash
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import sha256
from salt.foreign import one_line
from salt.git import ask_git
from salt.readers import read_json

NAME = "provenance.json"
LIBRARIES = ("torch", "diffusers", "numpy")
LOADED = (".safetensors", ".json")
"""Ends the names of files that loaders look for."""
GRAIN = 2.0
"""Seconds after which a file that is changed again shows another time."""


def provenance(experiment: Experiment, seed: int, inputs: Mapping[str, Path], weights: Path) -> dict[str, Any]:
    """What is known of weights at the moment they are exported.

    Args:
        experiment: the resolved configuration.
        seed: of all random streams.
        inputs: name -> file or folder that went into the training (teacher, latents).
        weights: folder of the exported weights, hashed file by file.
    """
    return {
        "experiment": experiment.model_dump(mode="json"),
        "training_hash": training_hash(experiment),
        "seed": seed,
        "iterations": experiment.train.iterations,
        "inputs": {name: hash_files(path) for name, path in inputs.items()},
        "weights": hash_files(weights),
        "git": git_state(),
        "versions": {library: version(library) for library in LIBRARIES},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def hash_files(path: Path) -> dict[str, str]:
    """File name -> SHA-256, of a file or of all files below a folder except its own provenance."""
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    base = path.parent if path.is_file() else path
    return {str(file.relative_to(base)): _hash(file) for file in files if file.name != NAME}


def _hash(path: Path) -> str:
    """The SHA-256 of a file, computed once while it stays as it is."""
    known = path.stat()
    if time.time() - known.st_ctime < GRAIN:
        return sha256(path)
    return _hash_of(path, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns)


@lru_cache(maxsize=4096)
def _hash_of(path: Path, *_: int) -> str:
    return sha256(path)


def recorded(folder: Path) -> dict[str, str] | None:
    """File name -> SHA-256 by the provenance of a folder, or of the folder that it is a part of; None without one.

    Raises:
        SaltError: it has no such hashes.
    """
    within = ""
    path = folder / NAME
    if not path.is_file():
        path, within = folder.parent / NAME, f"{folder.name}/"
        if not path.is_file():
            return None
    known = read_json(path)
    files = known.get("weights", known.get("files"))
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise SaltError(f"{path}: `weights` or `files` is expected: the SHA-256 of every file")
    names = {name.removeprefix(within): digest for name, digest in files.items() if name.startswith(within)}
    return names if names or not within else None


def check_unchanged(folder: Path) -> None:
    """Refuse weights that are not those of their provenance, where they have one.

    Args:
        folder: of one network, or of what goes with it.

    Raises:
        SaltError: a file is missing or has another hash, or loaders would find one that is not known.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    known = recorded(folder)
    if known is None:
        return
    found = hash_files(folder)
    for name in sorted(known.keys() | {name for name in found if name.endswith(LOADED)}):
        if (digest := found.get(name)) != known.get(name):
            there = f"its SHA-256 is {digest[:12]}..." if digest else "it is missing"
            wanted = f"{one_line(known[name], 12)}... was recorded" if name in known else "none was recorded"
            raise SaltError(
                f"{folder}/{one_line(name)}: {there}, but {wanted} in {NAME}: accepted: the files as they were written"
            )


def git_state() -> dict[str, Any] | None:
    """Commit, and whether program or experiments were changed since; None where this is no git checkout."""
    folder = Path(__file__).parent
    commit = ask_git(folder, "rev-parse", "HEAD")
    changed = ask_git(folder, "status", "--porcelain", "--", "..", "../../experiments")
    return None if commit is None or changed is None else {"commit": commit, "dirty": bool(changed)}


def is_complete(out: Path, experiment: Experiment, seed: int) -> bool:
    """Whether `out` holds the whole, unchanged weights of exactly this training."""
    try:
        known = read_json(out / NAME)
        same = (known["training_hash"], known["seed"]) == (training_hash(experiment), seed)
        trained = "released" not in known  # `salt import-released` writes the same, of weights that others trained
        return same and trained and known["weights"].items() <= hash_files(out).items()
    except (SaltError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
