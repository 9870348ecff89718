"""`salt training-curves`: what a training took, and how its losses went, as one small record.

The weights of a student say how long its training took; the curves are in its run directory, for as long as that is
kept. The record has one line for each number: experiment, seed, quantity, update, value.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from salt.errors import SaltError
from salt.files import write_text
from salt.readers import read_json, read_jsonl

COLUMNS = ("experiment", "seed", "quantity", "update", "value")
UPDATES = "updates"
"""The quantity of how many updates there were."""
SECONDS = "seconds"
"""The quantity of how long they took, where the weights say so."""
QUIET = ("lr", "grad_norm", "steps")
"""Endings of what is logged but no curve."""
POINTS = 20
"""Of a curve: means over equal parts of the updates."""


def make_training_curves(weights: Path, run_dir: Path, out: Path) -> Path:
    """Write the record; the same weights and run give the same bytes.

    Args:
        weights: folder of a student's weights, with `provenance.json`.
        run_dir: its run directory, with `metrics.jsonl`; without curves where that is gone.
        out: the file; its folder is made where it is missing.

    Raises:
        SaltError: no weights that were trained here, or a broken file.
    """
    path = weights / "provenance.json"
    accepted = "as `salt train` left it"
    try:
        made = read_json(path, accepted)
        name, seed, last = made["experiment"]["name"], made["seed"], made["iterations"]
        points = [(UPDATES, last, float(last))]
        points += [(SECONDS, last, made[SECONDS])] if SECONDS in made else []
        points += _curves(run_dir / "metrics.jsonl", last, accepted)
    except (ValueError, KeyError, TypeError) as error:
        raise SaltError(f"{path}: cannot be read with its run: {error!r}; accepted: {accepted}") from error
    frame = pd.DataFrame([(name, seed, *point) for point in points], columns=COLUMNS)
    text = frame.sort_values(["quantity", "update"]).to_csv(index=False, float_format="%.5g", lineterminator="\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)
    return out


def _curves(path: Path, last: int, accepted: str) -> Iterator[tuple[str, int, float]]:
    """`(quantity, update, mean up to it)` for each part of the updates."""
    if not path.exists():
        return
    logged = pd.DataFrame(read_jsonl(path, accepted)).drop_duplicates("step", keep="last")
    part = ((logged["step"] - 1) * POINTS // last + 1).clip(upper=POINTS)
    for quantity in (name for name in logged.columns if "/" in name and not name.endswith(QUIET)):
        means = logged.groupby(part)[quantity].mean().dropna()
        for place, value in zip(means.index.tolist(), means.tolist(), strict=True):
            yield quantity, round(place * last / POINTS), value
