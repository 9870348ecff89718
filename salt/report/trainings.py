"""`salt trainings`: what the trainings of a scale took, and their learning curves, as one small record.

The weights of a student say how long its training took; the curves are in its run directory, for as long as that is
kept. `trainings.csv.gz` has one line for each number: experiment, seed, quantity, update, value.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from salt.errors import SaltError
from salt.files import whole_file

COLUMNS = ("experiment", "seed", "quantity", "update", "value")
SECONDS = "seconds"
"""The quantity of how long a training took; its update is the last."""
QUIET = ("lr", "grad_norm", "steps")
"""Endings of what is logged but no curve."""
POINTS = 20
"""Of a curve: means over equal parts of the updates."""


def make_trainings(weights_dir: Path, runs_dir: Path, out: Path) -> Path:
    """Write the record; the same weights and runs give the same bytes.

    Args:
        weights_dir: holds `{experiment}/seed{n}/provenance.json`.
        runs_dir: holds `{experiment}/seed{n}/{hash}/` with `config.json` and `metrics.jsonl`, as far as they are kept.
        out: the file; its folder is made where it is missing.

    Raises:
        SaltError: no training is there, or what one left is broken.
    """
    lines = [line for path in sorted(weights_dir.glob("*/seed*/provenance.json")) for line in _training(path, runs_dir)]
    if not lines:
        raise SaltError(f"{weights_dir}: no trained weights; accepted: the folder of weights of a scale")
    frame = pd.DataFrame(lines, columns=COLUMNS).sort_values(["experiment", "seed", "quantity", "update"])
    out.parent.mkdir(parents=True, exist_ok=True)
    text = frame.to_csv(index=False, float_format="%.5g", lineterminator="\n")
    with whole_file(out) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
    return out


def _training(path: Path, runs: Path) -> Iterator[tuple[str, int, str, int, float]]:
    """All numbers of one training."""
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        if SECONDS not in made:  # weights that others published
            return
        name, seed, last = made["experiment"]["name"], made["seed"], made["iterations"]
        yield name, seed, SECONDS, last, made[SECONDS]
        for folder in sorted((runs / name / f"seed{seed}").glob("*")):
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            if _within({key: value for key, value in config.items() if key != "seed"}, made["experiment"]):
                yield from ((name, seed, *point) for point in _curves(folder / "metrics.jsonl", last))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SaltError(f"{path}: cannot be read with its run: {error!r}; accepted: as `salt train` left it") from error


def _within(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether a configuration says nothing that the other does not say as well."""
    return all(
        _within(value, whole[key]) if isinstance(value, dict) and isinstance(whole.get(key), dict)
        else key in whole and whole[key] == value
        for key, value in part.items()
    )  # fmt: skip


def _curves(path: Path, last: int) -> Iterator[tuple[str, int, float]]:
    """`(quantity, update, mean up to it)` for each part of the updates."""
    logged = pd.read_json(path, lines=True).drop_duplicates("step", keep="last")
    part = ((logged["step"] - 1) * POINTS // last + 1).clip(upper=POINTS)
    for quantity in (name for name in logged.columns if "/" in name and not name.endswith(QUIET)):
        means = logged.groupby(part)[quantity].mean().dropna()
        for place, value in zip(means.index.tolist(), means.tolist(), strict=True):
            yield quantity, round(place * last / POINTS), value
