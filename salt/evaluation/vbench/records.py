"""From the results of single dimensions, and of parts of them, to the records of a cell."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from salt.config.vbench import FILTERED_SAMPLES, VBench
from salt.data.vbench_prompts import VBenchPrompt
from salt.errors import SaltError
from salt.evaluation.cells import RECORD_COLUMNS, ModelCell
from salt.evaluation.vbench.board import DIMENSIONS, KNOWN, PERCENT, Board
from salt.evaluation.vbench.results import Scored, merge, raw_scores, read_results
from salt.evaluation.vbench.run import MAY_OMIT
from salt.evaluation.vbench.view import DimensionJob, first

OF_DIMENSIONS = ("dimensions", "absent")
"""Keys of a sidecar whose content belongs to single dimensions."""


def gather(jobs: Sequence[DimensionJob]) -> Scored:
    """The results of all dimensions of a cell, computed anew from single videos.

    Dimensions that could not be scored are listed in `absent` of the provenance.

    Args:
        jobs: one for each dimension as a whole; results in parts are found beside its own.

    Raises:
        SaltError: a dimension was not scored; files differ in protocol, versions or weights; a video is missing or
            scored twice.
    """
    parts: list[Scored] = []
    own: dict[str, dict[str, Any]] = {name: {} for name in OF_DIMENSIONS}
    for job in jobs:
        found = [_plain(path, job, own) for path in _files(job)]
        scored = [entry["video_path"] for part in found for entry in part.results.get(job.dimension, (0.0, []))[1]]
        expected = job.expected()
        missing = sorted(set(expected) - set(scored))
        absent = job.dimension in own["absent"] and not scored  # in all parts: no mean is taken over some of them
        may_lack = job.filtered or job.dimension in MAY_OMIT or absent
        if set(scored) - set(expected) or (missing and not may_lack):
            raise SaltError(
                f"{job.out}: {job.dimension} has {len(scored)} videos ({first(missing) or 'others'} not as asked); "
                f"accepted: {len(expected)}, as the prompts and seeds say. Score all parts again"
            )
        parts += found
    merged = merge(parts)
    return Scored(merged.results, merged.provenance | own)


def _files(job: DimensionJob) -> list[Path]:
    """The results file of the whole dimension, or those of all of its parts."""
    parts = sorted(job.out.glob(f"{job.dimension}.*of*_eval_results.json"))
    found = [job.results] if job.results.exists() else parts
    if not found:
        made_by = f"salt score-vbench {job.dimension}"
        raise SaltError(f"{job.results}: there is no such file; accepted: what `{made_by}` leaves")
    return found


def _plain(path: Path, job: DimensionJob, own: dict[str, dict[str, Any]]) -> Scored:
    """The content of one file; what its sidecar says about single dimensions is moved to `own`."""
    found = read_results(path)
    if found.provenance["protocol"] != job.protocol_hash:
        raise SaltError(
            f"{path}: protocol {found.provenance['protocol']}; accepted: {job.protocol_hash}, that of this scale. "
            "Score it again"
        )
    for name in OF_DIMENSIONS:
        for dimension, about in found.provenance.get(name, {}).items():
            _same(path, dimension, own[name].setdefault(dimension, about), about)
    return Scored(found.results, {key: value for key, value in found.provenance.items() if key not in OF_DIMENSIONS})


def _same(path: Path, dimension: str, one: Any, other: Any) -> None:
    """Refuse parts of one dimension that were scored with different weights, versions or devices."""
    if isinstance(one, str):
        return
    for key in ("weights", "versions", "device"):
        if one[key] != other[key]:
            raise SaltError(
                f"{path}: {dimension}: {key} is {other[key]} here and {one[key]} in another part; accepted: one"
            )


# ------------------------------------------------------------------------------------------- the records
def vbench_records(cell: ModelCell, scored: Scored, board: Board) -> pd.DataFrame:
    """Tidy rows like those of the ground-truth scorer; values that were not scored are NaN, with n = 0."""
    raw = raw_scores(scored.results)
    videos = max((len(entries) for _, entries in scored.results.values()), default=0)
    measured: dict[str, tuple[float, int]] = {
        name: (value, len(scored.results[name][1])) for name, value in raw.items()
    }
    measured |= {name: (math.nan, 0) for name in board.dimensions if name not in raw}
    aggregates = board.aggregates_of(raw)
    measured |= {name: (value, videos) for name, value in aggregates.items()}
    undefined = set(board.aggregates) - set(aggregates)
    measured |= {name: (math.nan, 0) for name in sorted(undefined)}
    shared: Mapping[str, Any] = {**cell.columns(), "protocol": scored.provenance["protocol"]}
    rows = [{**shared, "metric": name, "value": value, "n": n} for name, (value, n) in measured.items()]
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))


def vbench_wide(
    scored: Scored, prompts: Sequence[VBenchPrompt], seeds: Sequence[int], protocol: VBench
) -> pd.DataFrame:
    """Raw scores from 0 to 1, one row per video and one column per dimension, NaN where a video is not scored."""
    every = range(FILTERED_SAMPLES) if protocol.flicker == "filtered" else seeds
    index = pd.MultiIndex.from_product([[prompt.id for prompt in prompts], every], names=["prompt_id", "sampling_seed"])
    names = KNOWN if protocol.suite == "i2v" else DIMENSIONS
    wide = pd.DataFrame(math.nan, index=index, columns=list(names), dtype=float)
    for name, (_, entries) in scored.results.items():
        for entry in entries:
            path = Path(entry["video_path"])
            value = float(entry["video_results"])
            wide.loc[(path.parent.name, int(path.stem)), name] = value / 100 if name in PERCENT else value
    return wide.reset_index()
