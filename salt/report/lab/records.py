"""Records of the lab: read, checked, and never repaired.

`results/lab/records/` holds, of each set of arms and each ensemble of seeds that are trained together, the measurements
`{set}_{first}-{last}.csv.gz` and what is known of the run, `{set}_{first}-{last}.json`; besides `controls.csv`, methods
that nobody trains, whose seeds are repeats; and `{set}_{first}-{last}_clouds.csv.gz`, samples for figures, not read
here. A seed whose training diverged is left out of its arm as a whole, also of what was measured before.
"""

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salt.config.base import Section
from salt.config.files import accepted, as_mapping
from salt.config.lab_claims import ANALYTIC, LabCell
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError

KEY = ["method", "world", "seed", "updates", "nfe", "solver", "cache", "chunk", "metric"]
COLUMNS = ["method", "experiment", *KEY[1:], "value", "n", "protocol"]
CONTROLS = "controls.csv"
TRUTH = "truth"
FLOOR_LEVEL = 0.95
"""Of the repeats of truth against truth, this share lies in a floor's range."""
_MEASURED = re.compile(r"([a-z][a-z0-9_]*?)_(\d+)-(\d+)\.csv\.gz")
_CLOUDS = re.compile(r"[a-z][a-z0-9_]*_\d+-\d+_clouds\.csv\.gz")
_TEXTS = ("method", "experiment", "world", "solver", "metric", "protocol")


class RunInfo(Section):
    """What a run leaves beside its measurements."""

    commit: str | None
    """Of the code; null: no git checkout."""
    dirty: bool | None
    """Whether files were changed since; null: no git checkout."""
    plan_sha256: str
    """SHA-256 of experiments/lab/claims.yaml as it was."""
    finished: str
    """When, as ISO 8601."""
    seconds: float
    """Of training."""
    lost: dict[str, tuple[int, ...]]
    """Arm: seeds whose training diverged."""


@dataclass(frozen=True)
class Run:
    """One set of arms, trained with one ensemble of seeds."""

    path: Path
    arms: str
    """The set's name."""
    seeds: tuple[int, ...]
    info: RunInfo

    @property
    def name(self) -> str:
        """`core_0-15`."""
        return self.path.name.removesuffix(".csv.gz")


@dataclass(frozen=True)
class Floor:
    """Truth against truth: what a perfect method would measure."""

    mean: float
    low: float
    high: float
    """The range of 95 % of the repeats."""
    repeats: int
    n: int


@dataclass(frozen=True)
class Measured:
    """Measurements that are compared with each other: those of one phase, or of what nobody trains."""

    folder: Path
    frame: pd.DataFrame
    """With a column more, `file`."""
    runs: tuple[Run, ...] = ()

    @cached_property
    def by_arm(self) -> dict[str, pd.DataFrame]:
        """The rows of each arm."""
        return {str(arm): part for arm, part in self.frame.groupby("method", sort=False)}

    @property
    def arms(self) -> frozenset[str]:
        """Those that are measured."""
        return frozenset(self.by_arm)

    def seeds(self, arm: str) -> tuple[int, ...]:
        """Those of an arm that are measured; none where it was not run."""
        return tuple(sorted(map(int, self.by_arm[arm]["seed"].unique()))) if arm in self.arms else ()

    def lost(self, arms: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Arm: the seeds that diverged; of those without any there is nothing."""
        found = {arm: [seed for run in self.runs for seed in run.info.lost.get(arm, ())] for arm in sorted(set(arms))}
        return {arm: tuple(sorted(seeds)) for arm, seeds in found.items() if seeds}

    def has(self, cell: LabCell) -> bool:
        """Whether anything is measured there."""
        return cell.arm in self.arms and not self._rows(cell).empty

    def values(self, cell: LabCell, seeds: Sequence[int]) -> NDArray[np.float64]:
        """One value a seed, `(R,)`.

        Raises:
            SaltError: where one of the seeds has no such measurement.
        """
        rows = self._found(cell).set_index("seed")["value"]
        missing = [seed for seed in seeds if seed not in rows.index]
        if missing:
            raise SaltError(f"{self._where(cell)} of seed {missing[0]}; accepted: one of each seed. Measure it again")
        return rows.loc[list(seeds)].to_numpy(dtype=np.float64)

    def world(self, cell: LabCell) -> str:
        """The world in which a cell is measured."""
        return str(self._found(cell)["world"].iloc[0])

    def samples(self, cell: LabCell) -> int:
        """On how many samples.

        Raises:
            SaltError: not on equally many in every seed.
        """
        counts = sorted({int(n) for n in self._found(cell)["n"]})
        if len(counts) > 1:
            raise SaltError(
                f"{self._where(cell, '')}: n = {counts[0]} and {counts[1]}; accepted: the same in all seeds"
            )
        return counts[0]

    def _found(self, cell: LabCell) -> pd.DataFrame:
        rows = self._rows(cell)
        if rows.empty:
            raise SaltError(f"{self._where(cell)}; accepted: a cell that was measured")
        if len(worlds := sorted(rows["world"].unique())) > 1:
            raise SaltError(
                f"{self._where(cell, '')}: measured in {' and '.join(worlds)}; accepted: world: one of them"
            )
        return rows

    def _rows(self, cell: LabCell) -> pd.DataFrame:
        rows = self.by_arm[cell.arm]
        updates = int(rows["updates"].max()) if cell.updates == "last" else cell.updates
        chosen = (
            (rows["metric"] == cell.metric)
            & (rows["nfe"] == cell.nfe)
            & (rows["solver"] == cell.solver)
            & (rows["updates"] == updates)
            & (rows["chunk"] == cell.chunk)
            & (rows["cache"] == cell.cache)
        )
        return rows[chosen if cell.world is None else chosen & (rows["world"] == cell.world)]

    def _where(self, cell: LabCell, what: str = " no such measurement") -> str:
        files = sorted(self.by_arm[cell.arm]["file"].unique()) if cell.arm in self.arms else ["*.csv.gz"]
        place = f"{self.folder / files[0]}: {cell.arm}: metric={cell.metric} nfe={cell.nfe} solver={cell.solver}"
        return f"{place} updates={cell.updates} chunk={cell.chunk} cache={cell.cache}{':' if what else ''}{what}"


@dataclass(frozen=True)
class LabRecords:
    """Everything that is measured."""

    explore: Measured
    confirm: Measured
    controls: Measured
    protocols: dict[str, str]
    """Of each world."""

    def phase_of(self, cell: LabCell) -> Measured:
        """Where a control's cell is measured: what nobody trains by itself, arms with the explored seeds."""
        return self.controls if cell.arm in ANALYTIC else self.explore

    def floor(self, cell: LabCell, measured: Measured) -> Floor | None:
        """Of the cell's metric and chunk, at equal n; None where truth has no such number."""
        if TRUTH not in self.controls.arms:
            return None
        truth = self.controls.by_arm[TRUTH]
        n = measured.samples(cell)
        same = (truth["metric"] == cell.metric) & (truth["chunk"] == cell.chunk) & (truth["n"] == n)
        values = truth[same & (truth["world"] == measured.world(cell))]["value"].to_numpy(dtype=np.float64)
        if not values.size:
            return None
        low, high = np.quantile(values, [(1 - FLOOR_LEVEL) / 2, (1 + FLOOR_LEVEL) / 2])
        return Floor(float(values.mean()), float(low), float(high), values.size, n)


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
    path = folder / CONTROLS
    controls = Measured(folder, read_measurements(path) if path.exists() else _nothing())
    for arm in sorted(controls.arms - {*ANALYTIC}):
        raise SaltError(f"{path}: method = {arm}; {accepted(arm, ANALYTIC)}")
    truth = controls.frame[controls.frame["method"] == TRUTH]
    protocols = _protocols(folder, [made["explore"].frame, made["confirm"].frame, truth])
    return LabRecords(made["explore"], made["confirm"], controls, protocols)


# -------------------------------------------------------------------------------------------------- reading
def read_measurements(path: Path) -> pd.DataFrame:
    """One tidy file, with a column more, `file`.

    Raises:
        SaltError: it is no CSV of these columns, a number is not finite, or a measurement is there twice.
    """
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SaltError(f"{path}: cannot be read as CSV: {' '.join(str(error).split())}") from error
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        raise SaltError(f"{path}: no column {', '.join(missing)}; accepted: {', '.join(COLUMNS)}")
    for column in [column for column in COLUMNS if column not in _TEXTS]:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        whole = column == "value" or (numbers % 1 == 0) & (numbers >= 0)
        bad = frame[~(np.isfinite(numbers) & whole)]
        if len(bad):
            row = bad.iloc[0]
            wanted = "a finite number" if column == "value" else "a whole number from 0"
            raise SaltError(f"{path}: {_row(row)}: {column} = {row[column] or 'nothing'}; accepted: {wanted}")
        frame[column] = numbers if column == "value" else numbers.astype(int)
    twice = frame[frame.duplicated(KEY)]
    if len(twice):
        raise SaltError(f"{path}: {_row(twice.iloc[0])}: measured twice")
    return frame.assign(file=path.name)


def _row(row: "pd.Series[Any]") -> str:
    return " ".join(f"{key}={row[key]}" for key in KEY)


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
    try:
        values = json.loads(beside.read_bytes())
    except (OSError, ValueError) as error:
        raise SaltError(f"{beside}: what is known of {path.name} cannot be read: {error}") from error
    info = validate(RunInfo, Merged([Layer(as_mapping(values, str(beside)), str(beside))]), str(beside))
    frame = read_measurements(path)
    for arm, found in frame.groupby("method")["seed"]:
        measured, lost = {*map(int, found)}, {*info.lost.get(str(arm), ())}
        if foreign := sorted(measured - {*seeds}):
            raise SaltError(f"{path}: {arm}: seed = {foreign[0]}; accepted: {_range(seeds)}")
        if missing := sorted({*seeds} - measured - lost):
            odd = f"seed {missing[0]} is not there, and not among the lost of {beside.name}"
            raise SaltError(f"{path}: {arm}: {odd}; accepted: {_range(seeds)}")
    diverged = [seed in info.lost.get(arm, ()) for arm, seed in zip(frame["method"], frame["seed"], strict=True)]
    return Run(path, named[1], seeds, info), frame[~np.array(diverged, dtype=bool)]


def _range(seeds: Sequence[int]) -> str:
    return f"seeds {seeds[0]} to {seeds[-1]}, without those that are lost"


def _together(folder: Path, found: Sequence[tuple[Run, pd.DataFrame]]) -> Measured:
    frame = pd.concat([frame for _, frame in found], ignore_index=True) if found else _nothing()
    twice = frame[frame.duplicated(KEY, keep=False)].sort_values([*KEY, "file"])
    if len(twice):
        files = " and ".join(twice["file"].iloc[:2])
        raise SaltError(f"{folder}: {_row(twice.iloc[0])}: measured in {files}; accepted: an arm and seed in one file")
    return Measured(folder, frame, tuple(run for run, _ in found))


def _nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=[*COLUMNS, "file"])


def _protocols(folder: Path, frames: Sequence[pd.DataFrame]) -> dict[str, str]:
    """World: its one protocol."""
    pairs = pd.concat([frame[["world", "protocol", "file"]] for frame in frames]).drop_duplicates(["world", "protocol"])
    for world, part in pairs.groupby("world"):
        if len(part) > 1:
            told = " and ".join(f"{row.protocol} ({row.file})" for row in part.iloc[:2].itertuples())
            raise SaltError(
                f"{folder}: {world}: measured under different protocols: {told}; accepted: one. Measure again"
            )
    return {str(row.world): str(row.protocol) for row in pairs.sort_values("world").itertuples()}
