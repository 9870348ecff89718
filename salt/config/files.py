"""Where the experiment files lie, and how one YAML file is read.

`experiments/` lies in `SALT_ROOT`, or beside the `salt` package. It holds one file per experiment, `scales/` with one
per scale, `schema/` with the JSON schemas for editors, and three files that are no experiments: `tables.yaml` (which
rows make which table), `paper_values.yaml` (the published numbers) and `claims.yaml` (what the paper claims).
"""

import difflib
import os
from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

import salt
from salt.config import strict_yaml
from salt.errors import SaltError
from salt.readers import read_text

NOT_EXPERIMENTS = ("claims", "paper_values", "tables")


def repository_root() -> Path:
    """The folder that holds `experiments/`: `SALT_ROOT` if it is set, else the one the `salt` package lies in.

    Raises:
        SaltError: that folder has no `experiments/scales`.
    """
    stated = os.environ.get("SALT_ROOT")
    root = Path(stated) if stated else Path(salt.__file__).parents[1]
    if not (root / "experiments" / "scales").is_dir():
        whence = f"SALT_ROOT={stated}" if stated else f"the salt package in {root}"
        raise SaltError(
            f"{whence}: there is no folder {root / 'experiments' / 'scales'}; "
            "accepted: SALT_ROOT=FOLDER, where FOLDER is a checkout of this repository"
        )
    return root.absolute()


def experiment_names() -> list[str]:
    """The stems of `experiments/*.yaml`, sorted, without the files that are no experiments."""
    found = (path.stem for path in (repository_root() / "experiments").glob("*.yaml"))
    return sorted(name for name in found if name not in NOT_EXPERIMENTS)


def scale_names() -> list[str]:
    """The stems of `experiments/scales/*.yaml`, sorted."""
    return sorted(path.stem for path in (repository_root() / "experiments" / "scales").glob("*.yaml"))


def accepted(wrong: str, names: Iterable[str]) -> str:
    """The end of a message about a misspelt name: the nearest valid one, and all of them."""
    names = list(names)
    near = difflib.get_close_matches(wrong, names, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"accepted: {', '.join(names) or 'none'}"


@lru_cache(maxsize=512)
def _parsed(text: str | bytes) -> Any:
    """The value of a text. One configuration reads the same few files dozens of times, and parsing is slow."""
    return strict_yaml.load(text)


def parse_yaml(text: str | bytes, source: str) -> Any:
    """The value of a YAML text.

    Raises:
        SaltError: it is not YAML; the message names `source` and, in a text of several lines, the line.
    """
    try:
        return deepcopy(_parsed(text))
    except yaml.MarkedYAMLError as error:
        where = f"{source}, line {error.problem_mark.line + 1}" if error.problem_mark else source
        raise SaltError(f"{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SaltError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        SaltError: the file is absent, empty, not YAML, or not a mapping at its top level.
    """
    source = relative(path)
    return as_mapping(parse_yaml(read_text(path, "a mapping of keys to values, in YAML", source), source), source)


def as_mapping(value: Any, source: str) -> dict[str, Any]:
    """`value` itself if it is a mapping; otherwise a `SaltError` that begins with `source`."""
    if value is None:
        raise SaltError(f"{source}: is empty; accepted: a mapping of keys to values")
    if not isinstance(value, dict):
        raise SaltError(f"{source}: is of type {type(value).__name__}; accepted: a mapping of keys to values")
    return value


def relative(path: Path) -> str:
    """The path as messages print it: from the root of the repository where it lies within."""
    root = repository_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
