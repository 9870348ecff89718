"""Where trained weights come from: `provenance.json` beside them, written last, so that its presence means complete."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from salt.config.hashing import training_hash
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import sha256
from salt.git import ask_git
from salt.readers import read_json

NAME = "provenance.json"
LIBRARIES = ("torch", "diffusers", "numpy")


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
    return {str(file.relative_to(base)): sha256(file) for file in files if file.name != NAME}


def git_state() -> dict[str, Any] | None:
    """Commit, and whether program or experiments were changed since; None where this is no git checkout."""
    folder = Path(__file__).parent
    commit = ask_git(folder, "rev-parse", "HEAD")
    changed = ask_git(folder, "status", "--porcelain", "--", "..", "../../experiments")
    return None if commit is None or changed is None else {"commit": commit, "dirty": bool(changed)}


def is_complete(out: Path, experiment: Experiment, seed: int) -> bool:
    """Whether `out` holds the whole, unchanged weights of exactly this training."""
    try:
        known = read_json(out / NAME, "as `salt train` wrote it")
        same = (known["training_hash"], known["seed"]) == (training_hash(experiment), seed)
        trained = "released" not in known  # `salt import-released` writes the same, of weights that others trained
        return same and trained and known["weights"].items() <= hash_files(out).items()
    except (SaltError, OSError, KeyError, TypeError, AttributeError):
        return False
