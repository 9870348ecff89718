"""Measurements as the scoring stages wrote them: read, checked, and never repaired.

Tidy CSV files, one row a measurement, in `results/{scale}/records/`:
`{experiment}_seed{n}_scores.csv` (VBench dimensions, raw, and quality, semantic, total in 0-100),
`{experiment}_seed{n}_long.csv` (the same of videos beyond the training length, and their parts `DIMENSION@PART`),
`{experiment}_seed{n}_modes.csv` (which futures and styles samples are of; parts `MEASURE@window0` of long videos),
`{experiment}_seed{n}_any_step.csv` (the same of clips of any number of steps),
`{experiment}_seed{n}_caches.csv` (what the cache does to a causal student),
`{experiment}_seed{n}_defect.csv` (Eq. 16 and its companions), `{experiment}_seed{n}_trajectory.csv`, and
`{experiment}_seed{n}_prompts.csv.gz` (`_long_prompts.csv.gz`): one row a video, one column a dimension, raw, empty
where it is not scored.
Of released weights there is a column more, `weights`, which says so.
`experiment` is a file of `experiments/`, or `teacher` (guided), or `real` (clips through the codec).
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from salt.config.files import repository_root
from salt.config.load import load_experiment
from salt.config.modes import MEASURES
from salt.config.released import RELEASED, TRAINED
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.evaluation.lengths import length_of_cells
from salt.evaluation.scorers import board_of, scorer_of
from salt.evaluation.vbench.board import Board, Dimension
from salt.git import ask_git
from salt.readers import whole_lines
from salt.report.statistics import PromptScores, prompt_scores

Kind = Literal["scores", "long", "modes", "any_step", "defect", "caches"]
KEY = ["experiment", "seed", "prompts", "solver", "nfe", "metric"]
COLUMNS = ["method", *KEY, "scale", "value", "n", "protocol"]
PROMPT_KEY = ["prompts", "solver", "nfe", "prompt_id", "sampling_seed"]
AS_WRITTEN = "a table as salt writes it"
TRAJECTORY_COLUMNS = ["sample", "solver", "nfe", "step", "t", "pc1", "pc2"]
TOLERANCE = 1e-4
"""Largest relative gap between a recorded dimension mean and the mean of its per-video values."""
ROUNDED = 1e-6
"""Largest gap between a recorded aggregate, 0 to 100, and that of the dimensions beside it."""


def kind_of(metric: str, cell: Cell) -> Kind:
    """The records that hold a metric of a cell."""
    return "modes" if metric.partition("@")[0] in MEASURES else cell.kind


@dataclass(frozen=True)
class Records:
    """The records folder of one scale."""

    folder: Path
    scale: Scale

    @property
    def board(self) -> Board:
        """What is scored at this scale."""
        return board_of(self.scale)

    @property
    def commit(self) -> str:
        """Of which program they are."""
        return records_commit(self.folder)

    def seeds(self, kind: Kind, experiment: str, wanted: Iterable[int]) -> tuple[int, ...]:
        """Those of the wanted training seeds that have been measured."""
        return tuple(seed for seed in wanted if self._path(experiment, seed, kind).exists())

    def tidy(self, kind: Kind, experiment: str, seeds: Sequence[int]) -> pd.DataFrame:
        """The measurements of some training seeds, checked, in the order of the files."""
        frames = [self._read(kind, self._path(experiment, seed, kind)) for seed in seeds]
        for frame, seed in zip(frames, seeds, strict=True):
            _check_names(frame, self._path(experiment, seed, kind), experiment, seed, self.scale.name)
        if len({bool(released_in([frame])) for frame in frames}) > 1:
            raise SaltError(
                f"{self.folder}/{experiment}_seed*_{kind}.csv: some are of released weights, others of weights trained "
                "here; accepted: one kind. Remove those that are not meant"
            )
        return pd.concat(frames, ignore_index=True)

    def _read(self, kind: Kind, path: Path) -> pd.DataFrame:
        """The measurements of one file; of scores, after a check that aggregates follow from their parts."""
        if kind in ("scores", "long"):
            board = scorer_of(self.scale, length_of_cells(self.scale, kind == "long")).board
            _check_aggregates(path, tuple(board.dimensions.items()), tuple(board.weights.items()))
        return read_measurements(path)

    def values(self, kind: Kind, cell: Cell, seeds: Sequence[int], metric: str) -> list[float]:
        """One value per training seed.

        Raises:
            SaltError: where a seed has no such measurement.
        """
        return self._columns(cell, seeds, metric, "value", kind)

    def _columns(
        self, cell: Cell, seeds: Sequence[int], metric: str, column: str, kind: Kind | None = None
    ) -> list[float]:
        """One entry per training seed of a column of the records; errors as of `values`."""
        frame = self.tidy(kind or cell.kind, cell.experiment, seeds)
        chosen = frame[
            (frame["prompts"] == cell.prompts)
            & (frame["solver"] == cell.solver)
            & (frame["nfe"] == cell.nfe)
            & (frame["metric"] == metric)
            & (frame["n"] > 0)
        ]
        if sorted(chosen["seed"]) != sorted(seeds):
            raise SaltError(
                f"{self._path(cell.experiment, seeds[0], kind or cell.kind)}: no {metric} for prompts={cell.prompts} "
                f"solver={cell.solver} nfe={cell.nfe} in every seed of {list(seeds)}"
            )
        found: list[float] = chosen.set_index("seed")[column].loc[list(seeds)].tolist()
        return found

    def absent(self, cell: Cell, seeds: Sequence[int], kind: Kind | None = None) -> frozenset[str]:
        """The metrics of scores, or of `kind`, that one of the seeds lacks, and what they leave undefined."""
        frame = self.tidy(kind or cell.kind, cell.experiment, seeds)
        own = (frame["prompts"] == cell.prompts) & (frame["solver"] == cell.solver) & (frame["nfe"] == cell.nfe)
        return frozenset(map(str, frame[own & (frame["n"] == 0)]["metric"]))

    def prompt_scores(self, cell: Cell, seeds: Sequence[int]) -> PromptScores:
        """The per-video scores of one cell, checked against the recorded means."""
        kind = "_long" if cell.kind == "long" else ""
        frames = [
            _read_prompts(self.folder / f"{cell.experiment}_seed{seed}{kind}_prompts.csv.gz", cell, self.board)
            for seed in seeds
        ]
        for frame in frames[1:]:
            if not frame.index.equals(frames[0].index):
                raise SaltError(
                    f"{self.folder}/{cell.experiment}_seed*{kind}_prompts.csv.gz: training seeds {list(seeds)} were "
                    "scored on different videos; accepted: the same prompt_id and sampling_seed in all"
                )
        prompts = list(frames[0].index.unique("prompt_id"))
        values = np.stack(
            [f.to_numpy(dtype=float).reshape(len(prompts), -1, len(self.board.dimensions)) for f in frames]
        )
        scores = prompt_scores(cell.experiment, seeds, prompts, tuple(self.board.dimensions), values)
        self._check_means(cell, scores, frames)
        return scores

    def trajectory(self, experiment: str, seed: int) -> pd.DataFrame | None:
        """Projected states along Euler paths, or None where they were not recorded."""
        path = self.folder / f"{experiment}_seed{seed}_trajectory.csv"
        if not path.exists():
            return None
        return _read_csv(path, TRAJECTORY_COLUMNS)

    def _path(self, experiment: str, seed: int, kind: Kind) -> Path:
        return self.folder / f"{experiment}_seed{seed}_{kind}.csv"

    def _check_means(self, cell: Cell, scores: PromptScores, videos: Sequence[pd.DataFrame]) -> None:
        """Refuse means, and numbers of videos in them, that are not those of the single videos."""
        for column, dimension in enumerate(self.board.dimensions):
            recorded, counts = (self._columns(cell, scores.seeds, dimension, name) for name in ("value", "n"))
            found = scores.means()[:, column]
            held = [int(frame[dimension].count()) for frame in videos]
            if not np.allclose(found, recorded, rtol=TOLERANCE, atol=TOLERANCE) or counts != held:
                raise SaltError(
                    f"{self.folder}/{cell.experiment}: {dimension} at nfe={cell.nfe} solver={cell.solver} is "
                    f"{recorded} of {counts} videos in _scores.csv, but those of _prompts.csv.gz give {found.tolist()} "
                    f"of {held}: score again"
                )


# -------------------------------------------------------------------------------------------------- reading
@lru_cache(maxsize=256)
def _check_aggregates(
    path: Path, dimensions: tuple[tuple[str, Dimension], ...], weights: tuple[tuple[str, float], ...]
) -> None:
    """Refuse aggregates that are not those of the dimensions beside them, or are of another number of videos."""
    board, frame = Board(dict(dimensions), dict(weights)), read_measurements(path)
    for (prompts, solver, nfe), cell in frame.groupby(["prompts", "solver", "nfe"], sort=False):
        parts = cell[cell["metric"].isin(list(board.dimensions)) & (cell["n"] > 0)]
        found = board.aggregates_of(dict(zip(parts["metric"], parts["value"], strict=True)))
        for name in board.aggregates:
            value, videos = (found[name], int(parts["n"].max())) if name in found else (np.nan, 0)
            stated = cell.loc[cell["metric"] == name, ["value", "n"]].to_numpy(dtype=float)
            if not np.allclose(stated, [value, videos], rtol=0, atol=ROUNDED, equal_nan=True):
                raise SaltError(
                    f"{path}: {name} of prompts={prompts} solver={solver} nfe={nfe} is {stated[0, 0]} of "
                    f"{stated[0, 1]:.0f} videos, but its dimensions give {value} of {videos}: score again"
                )


@lru_cache(maxsize=256)
def read_measurements(path: Path) -> pd.DataFrame:
    """Read one tidy file.

    Raises:
        SaltError: for a missing column, a value that is not finite (but none, of 0 videos, is an absent dimension), or
            a measurement that is there twice.
    """
    frame = _read_csv(
        path, COLUMNS, dtype=dict.fromkeys(("experiment", "metric", "protocol"), str), keep_default_na=False
    )
    for column in ("seed", "nfe", "n"):
        whole = pd.to_numeric(frame[column], errors="coerce")
        if not pd.api.types.is_integer_dtype(whole):
            place = frame.index[whole.isna() | (whole % 1 != 0)]
            raise SaltError(f"{path}: {column} = {str(frame[column][place[0]])[:60]!r}; accepted: a whole number")
    if "weights" not in frame:
        frame["weights"] = TRAINED
    if wrong := set(map(str, frame["weights"])) - {TRAINED, RELEASED}:
        raise SaltError(f"{path}: weights = {', '.join(sorted(wrong))}; accepted: {TRAINED}, {RELEASED}")
    absent = (frame["value"] == "") & (frame["n"] == 0)
    frame["value"] = pd.to_numeric(frame["value"], errors="coerce")
    bad = frame[~np.isfinite(frame["value"]) & ~absent]
    if len(bad):
        row = bad.iloc[0]
        raise SaltError(f"{path}: {row['metric']} at nfe={row['nfe']} is not a finite number")
    twice = frame[frame.duplicated(KEY)]
    if len(twice):
        row = twice.iloc[0]
        raise SaltError(f"{path}: {row['metric']} at nfe={row['nfe']} solver={row['solver']} is measured twice")
    return frame


def _read_csv(path: Path, columns: Sequence[str], **options: Any) -> pd.DataFrame:
    """Read a table that has these columns; `options` are those of pandas."""
    text = whole_lines(path, AS_WRITTEN)
    try:
        frame: pd.DataFrame = pd.read_csv(io.StringIO(text), **options)
    except ValueError as error:  # as all of pandas' are
        raise SaltError(f"{path}: {error}; accepted: {AS_WRITTEN}") from error
    _check_columns(frame, columns, path)
    return frame


def _check_columns(frame: pd.DataFrame, wanted: Sequence[str], path: Path) -> None:
    if missing := [column for column in wanted if column not in frame.columns]:
        raise SaltError(f"{path}: no column {', '.join(missing)}; accepted: {', '.join(wanted)}")


def _check_names(frame: pd.DataFrame, path: Path, experiment: str, seed: int, scale: str) -> None:
    for column, wanted in (("experiment", experiment), ("seed", seed), ("scale", scale)):
        found = [str(value) for value in frame[column].unique()]
        if found != [str(wanted)]:
            raise SaltError(f"{path}: {column} = {', '.join(found)}; accepted: {wanted}, as file and folder are named")


@lru_cache(maxsize=64)
def _read_all_prompts(path: Path, dimensions: tuple[str, ...]) -> pd.DataFrame:
    if not path.exists():
        raise SaltError(f"{path}: there is no such file; intervals need the per-video scores that `salt score` writes")
    frame = _read_csv(path, [*PROMPT_KEY, *dimensions])
    for name in dimensions:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise SaltError(f"{path}: {name} holds what is no number; accepted: {AS_WRITTEN}")
    return frame


def _read_prompts(path: Path, cell: Cell, board: Board) -> pd.DataFrame:
    """Raw scores per video of one cell, indexed by prompt_id and sampling_seed, one column a dimension."""
    frame = _read_all_prompts(path, tuple(board.dimensions))
    chosen = frame[(frame["prompts"] == cell.prompts) & (frame["solver"] == cell.solver) & (frame["nfe"] == cell.nfe)]
    where = f"{path}: prompts={cell.prompts} solver={cell.solver} nfe={cell.nfe}"
    if chosen.empty:
        raise SaltError(f"{where}: no video; score it again")
    videos = chosen.set_index(["prompt_id", "sampling_seed"])[list(board.dimensions)].astype(float).sort_index()
    if videos.index.has_duplicates:
        raise SaltError(f"{where}: {videos.index[videos.index.duplicated()][0]} is scored twice")
    if len(videos) % videos.index.get_level_values("prompt_id").nunique():
        raise SaltError(f"{where}: prompts have different numbers of videos; accepted: one per sampling seed")
    return videos


def one_protocol(frames: Iterable[pd.DataFrame], what: str) -> str:
    """The protocol that all measurements share.

    Raises:
        SaltError: where two were measured under different protocols or by different scorers.
    """
    protocols = sorted({str(protocol) for frame in frames for protocol in frame["protocol"].unique()})
    if len(protocols) != 1:
        raise SaltError(
            f"{what}: measured under different protocols: {' and '.join(protocols[:2])}; accepted: one. Score all again"
        )
    return protocols[0]


def released_in(frames: Iterable[pd.DataFrame]) -> tuple[str, ...]:
    """The experiments that were measured with released weights, in place of weights trained here."""
    found = [frame.loc[frame["weights"] == RELEASED, "experiment"].unique() for frame in frames]
    return tuple(dict.fromkeys(str(name) for names in found for name in names))


# ------------------------------------------------------------------------------------------------ provenance
@dataclass(frozen=True)
class Provenance:
    """What every table, claim and figure says of where its numbers come from."""

    scale: Scale
    seeds: tuple[int, ...]
    protocol: str
    method: str
    """How intervals are made."""
    not_run: tuple[str, ...]
    commit: str
    """Of which program the records are."""
    released: tuple[str, ...] = ()
    """Experiments whose weights others trained."""

    def lines(self) -> list[str]:
        """As sentences, the warning first."""
        warning = [] if self.scale.meaningful else [f"{self.scale.name}: numbers mean nothing."]
        seeds = ", ".join(map(str, self.seeds))
        titles = ", ".join(load_experiment(name, self.scale.name).title for name in self.released)
        return [
            *warning,
            f"Scale: {self.scale.name}. Training seeds: {seeds or 'none'}. Protocol: {self.protocol}. "
            f"Records: {self.commit}.",
            *([f"Released weights, one model each: {titles}."] if titles else []),
            f"Intervals: {self.method}.",
            f"Not run: {'; '.join(self.not_run) or 'nothing'}.",
        ]


PROGRAM = ("salt", "experiments", "workflow")


@lru_cache
def records_commit(folder: Path) -> str:
    """The commit of the program that made the records of a folder: what tables, claims and reports name, all alike.

    Of records that are committed, the last change of the program before them; so neither committing them nor a later
    change of the program, with which tables are printed anew, changes it. Of others, the program's last change.
    """
    root = repository_root()
    stored = ask_git(root, "log", "-1", "--format=%H", "--", str(folder.resolve()))
    changed = ask_git(root, "status", "--porcelain", "--", str(folder.resolve()))
    return code_commit(stored) if stored and not changed else code_commit()


def code_commit(at: str | None = None) -> str:
    """The last commit that touched the program or the experiments; `at`: up to that commit, None: up to now."""
    commit = ask_git(repository_root(), "log", "-1", "--format=%h", at or "HEAD", "--", *PROGRAM)
    changed = "" if at else ask_git(repository_root(), "status", "--porcelain", "--", *PROGRAM)
    if commit is None or changed is None:
        return "no git checkout"
    return f"commit {commit or 'none yet'}{' with uncommitted changes' if changed else ''}"
