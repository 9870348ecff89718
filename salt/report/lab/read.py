"""The lab's records as figures read them: measurements of whole sets of arms, controls, clouds, and what runs say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from salt.config.files import relative
from salt.errors import SaltError

KEY = ["method", "world", "seed", "updates", "nfe", "solver", "cache", "chunk", "metric"]
COLUMNS = [*KEY, "value", "n", "protocol"]
CLOUD_COLUMNS = ["method", "caption", "solver", "nfe", "x", "y"]
TRUTH = "truth"
"""Method of the floors: truth against truth; their seeds are repeats."""
Ensemble = tuple[int, int]
"""First and last training seed."""


@dataclass(frozen=True)
class Run:
    """What a run says of itself."""

    commit: str
    lost: dict[str, list[int]]
    """Arm: seeds whose training diverged."""


def measurements(records: Path, sets: Sequence[str], ensembles: Sequence[Ensemble]) -> pd.DataFrame:
    """Every measurement of these sets of arms and of the controls.

    Args:
        records: `results/lab/records`.
        sets: of experiments/lab/arms.yaml.
        ensembles: of the phase; there is one file for each of them and each set.

    Raises:
        SaltError: a file that there is not, or that is none of the lab's.
    """
    paths = [records / f"{name}_{first}-{last}.csv.gz" for name in sets for first, last in ensembles]
    frames = [_table(path, COLUMNS) for path in [*paths, records / "controls.csv"]]
    return pd.concat(frames, ignore_index=True)


def clouds(records: Path, sets: Sequence[str], ensembles: Sequence[Ensemble]) -> pd.DataFrame:
    """Samples of the first member of the phase's first ensemble: method, caption, solver, nfe, x, y."""
    first, last = ensembles[0]
    frames = [_table(records / f"{name}_{first}-{last}_clouds.csv.gz", CLOUD_COLUMNS) for name in sets]
    return pd.concat(frames, ignore_index=True)


def runs(records: Path, sets: Sequence[str], ensembles: Sequence[Ensemble]) -> list[Run]:
    """What the runs of these sets left beside their measurements; those that left nothing are left out."""
    found = []
    for path in (records / f"{name}_{first}-{last}.json" for name in sets for first, last in ensembles):
        if not path.is_file():
            continue
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            commit = f"{(said['commit'] or 'unknown')[:7]}{' with uncommitted changes' if said['dirty'] else ''}"
            lost = {arm: list(seeds) for arm, seeds in said["lost"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SaltError(
                f"{relative(path)}: {error!r}; accepted: commit, dirty and lost, as a run writes"
            ) from error
        found.append(Run(commit, lost))
    return found


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise SaltError(
            f"{relative(path.absolute())}: no such file; accepted: one that the lab's rules made"
        ) from error
    except (OSError, ValueError, EOFError) as error:
        raise SaltError(f"{relative(path.absolute())}: cannot be read: {error}") from error
    if missing := [column for column in columns if column not in frame]:
        raise SaltError(f"{relative(path.absolute())}: no column {', '.join(missing)}; accepted: {', '.join(columns)}")
    return frame[list(columns)]
