"""Records of the lab: read, checked, and never repaired.

`results/lab/records/` holds, of each set of arms and each ensemble of seeds that are trained together, the measurements
`{set}_{first}-{last}.csv.gz` and what is known of the run, `{set}_{first}-{last}.json`; besides `controls.csv`, methods
that nobody trains, whose seeds are repeats; and `{set}_{first}-{last}_clouds.csv.gz`, samples for figures. A seed whose
training diverged is left out of its arm as a whole, also of what was measured before.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salt.config.files import accepted
from salt.config.lab_claims import ANALYTIC, TRUTH
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError
from salt.evaluation.lab.columns import CLOUD_COLUMNS, COLUMNS, KEY
from salt.readers import read_json, read_table
from salt.report.lab.measured import LabRecords, Measured, Run, RunInfo

CONTROLS = "controls.csv"
_MEASURED = re.compile(r"([a-z][a-z0-9_]*?)_(\d+)-(\d+)\.csv\.gz")
_CLOUDS = re.compile(r"[a-z][a-z0-9_]*_\d+-\d+_clouds\.csv\.gz")
_TEXTS = ("method", "experiment", "world", "solver", "metric", "protocol", "caption")
_REALS = ("value", "x", "y")
Ensemble = tuple[int, int]
"""First and last training seed."""


def read_lab(folder: Path, explore: Sequence[int], confirm: Sequence[int]) -> LabRecords:
    """Read and check the records of a lab.

    Args:
        folder: `results/lab/records`.
        explore: seeds with which everything was chosen.
        confirm: fresh seeds.

    Raises:
        SaltError: no records, a file that is not the lab's, a broken file, or measurements of different protocols.
    """
    wanted = {"explore": explore, "confirm": confirm}
    phases: dict[str, list[tuple[Run, pd.DataFrame]]] = {name: [] for name in wanted}
    for path in sorted(folder.glob("[!.]*.csv*")):
        if path.name == CONTROLS or _CLOUDS.fullmatch(path.name):
            continue
        run, frame = _read_run(path)
        phase = next((name for name, seeds in wanted.items() if {*run.seeds} <= {*seeds}), None)
        if phase is None:
            ranges = " or ".join(f"{seeds[0]} to {seeds[-1]} ({name})" for name, seeds in wanted.items())
            raise SaltError(f"{path}: seeds {run.seeds[0]} to {run.seeds[-1]}; accepted: of {ranges}")
        phases[phase].append((run, frame))
    if not any(phases.values()):
        raise SaltError(f"{folder}: no records of the lab; accepted: a folder with core_0-15.csv.gz and others")
    made = {name: _together(folder, found) for name, found in phases.items()}
    controls = _read_controls(folder) if (folder / CONTROLS).exists() else _together(folder, [])
    protocols = _protocols(folder, [*made.values(), controls])
    return LabRecords(made["explore"], made["confirm"], controls, protocols)


def read_sets(folder: Path, sets: Sequence[str], ensembles: Sequence[Ensemble]) -> tuple[Measured, Measured]:
    """Read and check what a figure needs, and no other file: some sets of arms, and the methods that nobody trains.

    Args:
        folder: `results/lab/records`.
        sets: of experiments/lab/arms.yaml.
        ensembles: there is one file for each of them and each set.

    Raises:
        SaltError: a file that is not there, and as `read_lab`.
    """
    runs = [_read_run(folder / f"{name}_{first}-{last}.csv.gz") for name in sets for first, last in ensembles]
    measured, controls = _together(folder, runs), _read_controls(folder)
    _protocols(folder, [measured, controls])
    return measured, controls


def read_clouds(folder: Path, sets: Sequence[str], ensemble: Ensemble) -> pd.DataFrame:
    """Samples of one member of an ensemble, for figures; with `CLOUD_COLUMNS`."""
    first, last = ensemble
    paths = [folder / f"{name}_{first}-{last}_clouds.csv.gz" for name in sets]
    return pd.concat([_read_csv(path, CLOUD_COLUMNS) for path in paths], ignore_index=True)


# -------------------------------------------------------------------------------------------------- reading
def read_measurements(path: Path) -> pd.DataFrame:
    """One tidy file, with a column more, `file`.

    Raises:
        SaltError: it is no CSV of these columns, a number is not finite, or a measurement is there twice.
    """
    frame = _read_csv(path, COLUMNS)
    twice = frame[frame.duplicated(KEY)]
    if len(twice):
        raise SaltError(f"{path}: {_row(twice.iloc[0])}: measured twice")
    return frame.assign(file=path.name)


def _read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table with these columns, whose numbers are numbers."""
    frame = read_table(path, columns, "one that the lab's rules made", _TEXTS)
    for column in [column for column in columns if column not in _TEXTS]:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        real = column in _REALS
        bad = frame[~(np.isfinite(numbers) & (real or (numbers % 1 == 0) & (numbers >= 0)))]
        if len(bad):
            row = bad.iloc[0]
            wanted = "a finite number" if real else "a whole number from 0"
            raise SaltError(f"{path}: {_row(row)}: {column} = {row[column] or 'nothing'}; accepted: {wanted}")
        frame[column] = numbers if real else numbers.astype(int)
    return frame


def _row(row: "pd.Series[Any]") -> str:
    return " ".join(f"{key}={row[key]}" for key in KEY if key in row)


def _read_controls(folder: Path) -> Measured:
    path = folder / CONTROLS
    controls = Measured(folder, read_measurements(path))
    for arm in sorted(controls.arms - {*ANALYTIC}):
        raise SaltError(f"{path}: method = {arm}; {accepted(arm, ANALYTIC)}")
    return controls


def _read_run(path: Path) -> tuple[Run, pd.DataFrame]:
    """One ensemble, its seeds checked against its name and against those that it says are lost."""
    named = _MEASURED.fullmatch(path.name)
    if named is None:
        raise SaltError(
            f"{path}: not of the lab; accepted: SET_FIRST-LAST.csv.gz, SET_FIRST-LAST_clouds.csv.gz, {CONTROLS}"
        )
    seeds = tuple(range(int(named[2]), int(named[3]) + 1))
    beside = path.with_name(path.name.removesuffix(".csv.gz") + ".json")
    if not seeds:
        raise SaltError(f"{path}: no seeds from {named[2]} to {named[3]}; accepted: SET_FIRST-LAST.csv.gz")
    frame = read_measurements(path)
    values = read_json(beside, f"what the lab's rules knew of {path.name}")
    info = validate(RunInfo, Merged([Layer(values, str(beside))]), str(beside))
    wanted = f"seeds {seeds[0]} to {seeds[-1]}, without those that are lost"
    for arm, found in frame.groupby("method")["seed"]:
        measured, lost = {*map(int, found)}, {*info.lost.get(str(arm), ())}
        if foreign := sorted(measured - {*seeds}):
            raise SaltError(f"{path}: {arm}: seed = {foreign[0]}; accepted: {wanted}")
        if missing := sorted({*seeds} - measured - lost):
            odd = f"seed {missing[0]} is not there, and not among the lost of {beside.name}"
            raise SaltError(f"{path}: {arm}: {odd}; accepted: {wanted}")
    diverged = [seed in info.lost.get(arm, ()) for arm, seed in zip(frame["method"], frame["seed"], strict=True)]
    return Run(path, named[1], seeds, info), frame[~np.array(diverged, dtype=bool)]


def _together(folder: Path, found: Sequence[tuple[Run, pd.DataFrame]]) -> Measured:
    frames = [frame for _, frame in found]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*COLUMNS, "file"])
    twice = frame[frame.duplicated(KEY, keep=False)].sort_values([*KEY, "file"])
    if len(twice):
        files = " and ".join(twice["file"].iloc[:2])
        raise SaltError(f"{folder}: {_row(twice.iloc[0])}: measured in {files}; accepted: an arm and seed in one file")
    return Measured(folder, frame, tuple(run for run, _ in found))


def _protocols(folder: Path, measured: Sequence[Measured]) -> dict[str, str]:
    """World: its one protocol, which students share with the truth."""
    rows = pd.concat([one.frame[["method", "world", "protocol", "file"]] for one in measured])
    pairs = rows[~rows["method"].isin({*ANALYTIC} - {TRUTH})].drop_duplicates(["world", "protocol"])
    for world, part in pairs.groupby("world"):
        if len(part) > 1:
            told = " and ".join(f"{row.protocol} ({row.file})" for row in part.iloc[:2].itertuples())
            raise SaltError(
                f"{folder}: {world}: measured under different protocols: {told}; accepted: one. Measure again"
            )
    return {str(row.world): str(row.protocol) for row in pairs.sort_values("world").itertuples()}
