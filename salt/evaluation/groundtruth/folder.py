"""Scoring a folder of videos: the expected files, scores of every video, one results file per cell, tidy rows.

Videos are `{prompt_id}/{sampling seed}.mp4`; the files of a cell are named `{prompts}_{solver}_{nfe}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from salt.config.world import World
from salt.data.prompts import Prompt, Variant, held_out_clip, prompts_hash
from salt.errors import SaltError
from salt.evaluation.cells import RECORD_COLUMNS, ModelCell
from salt.evaluation.groundtruth import scorer as groundtruth
from salt.evaluation.groundtruth.long import long_frames, score_long_video
from salt.evaluation.vbench.board import I2V_DIMENSIONS, PERCENT, TEXT, Board
from salt.evaluation.vbench.results import Scored, VideoResult, raw_scores, results_of, write_results
from salt.evaluation.video import Video, read_mp4

NAMED = 5
"""How many files an error message names."""


@dataclass(frozen=True)
class CellScores:
    """Scores of one cell: per video (`wide`), in VBench's layout (`scored`), and aggregated."""

    wide: pd.DataFrame
    """Columns `prompt_id`, `sampling_seed`, the dimensions (raw, 0 to 1) and `same_object`; NaN where not scored. For
    long videos also their parts `DIMENSION@PART`, as `score_long_video` names them."""
    scored: Scored
    scores: Mapping[str, float]
    """The aggregates of the board, 0 to 100."""


# ------------------------------------------------------------------------------------------- one folder
def score_folder(
    videos: Path,
    prompts: Sequence[Prompt],
    variant: Variant,
    seeds: Sequence[int],
    world: World,
    protocol: str,
    length: int = 1,
    board: Board = TEXT,
) -> CellScores:
    """Score every video of a folder with the ground-truth scorer; videos of several clips, as VBench-Long does.

    If `board` has dimensions of VBench-I2V, videos should begin with the image that belongs to their prompt and
    sampling seed.

    If no video of the folder has a clean frame, there are no values of `color` to average (VBench then divides by
    zero), and it is 0 for every video.

    Raises:
        SaltError: videos are missing, superfluous, undecodable or of the wrong size (all in one message), or no video
            is scored on some dimension.
    """
    _check_coverage(prompts, variant, board)
    _check_files(videos, {_file(prompt.id, seed) for prompt in prompts for seed in seeds})
    rows = _without_clean_frame(_score_videos(videos, prompts, variant, seeds, world, length, board))
    entries: dict[str, list[VideoResult]] = {name: [] for name in board.dimensions}
    for row in rows:
        path = _file(row["prompt_id"], row["sampling_seed"])
        for name in board.dimensions.keys() & row.keys():
            if row[name] is not None:
                entries[name].append({"video_path": path, "video_results": row[name]})
    results = results_of(entries)
    provenance = {
        "scorer": groundtruth.SCORER,
        "scorer_version": groundtruth.VERSION,
        "protocol": protocol,
        "prompts": variant,
        "prompts_hash": prompts_hash(prompts),
        "seeds": list(seeds),
    }
    return CellScores(_wide(rows, board), Scored(results, provenance), board.aggregate(raw_scores(results)))


def _file(prompt_id: str, seed: int) -> str:
    return f"{prompt_id}/{seed}.mp4"


def _score_videos(
    videos: Path,
    prompts: Sequence[Prompt],
    variant: Variant,
    seeds: Sequence[int],
    world: World,
    length: int,
    board: Board,
) -> list[dict[str, Any]]:
    """One row per video: its prompt, its sampling seed and its results."""
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for prompt, seed in product(prompts, seeds):
        image = held_out_clip(prompt, seed, world)[0] if "i2v_subject" in board.dimensions else None
        try:
            results = _score_video(videos / _file(prompt.id, seed), prompt, variant, world, length, image)
        except SaltError as error:
            broken.append(str(error))
        else:
            rows.append({"prompt_id": prompt.id, "sampling_seed": seed, **results})
    if broken:
        number = len(rows) + len(broken)
        raise SaltError(f"{videos}: {len(broken)} of {number} videos cannot be scored: {_first(broken)}")
    return rows


def _without_clean_frame(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace `color`, of whole videos or of a part, by 0 if no video has a value."""
    asked = {name for row in rows for name in row if _dimension(name) == "color"}
    empty = {name for name in asked if all(row.get(name) is None for row in rows)}
    return [row | {name: 0.0 for name in empty if name in row} for row in rows]


def _dimension(column: str) -> str:
    """The dimension of a column, which holds scores of whole videos or of a part of them."""
    return column.partition("@")[0]


def _check_coverage(prompts: Sequence[Prompt], variant: Variant, board: Board) -> None:
    covered = {name for prompt in prompts for name in prompt.dimensions(variant)} | I2V_DIMENSIONS.keys()
    if missing := set(board.dimensions) - covered:
        raise SaltError(
            f"evaluation.prompts={len(prompts)}: no {variant} caption is scored on {', '.join(sorted(missing))}; "
            "accepted: 6 prompts or more, which cover all dimensions"
        )


def _check_files(videos: Path, expected: set[str]) -> None:
    found = {path.relative_to(videos).as_posix() for path in videos.rglob("*.mp4")}
    missing, extra = sorted(expected - found), sorted(found - expected)
    faults = [
        f"{len(names)} {what} ({_first(names)})" for what, names in (("missing", missing), ("extra", extra)) if names
    ]
    if faults:
        raise SaltError(
            f"{videos}: {' and '.join(faults)}; accepted: exactly {len(expected)} videos PROMPT_ID/SEED.mp4"
        )


def _first(names: Sequence[str]) -> str:
    return "; ".join(names[:NAMED]) + ("; ..." if len(names) > NAMED else "")


def _score_video(
    path: Path, prompt: Prompt, variant: Variant, world: World, length: int, image: Video | None
) -> dict[str, Any]:
    video = read_mp4(path)
    frames, side = long_frames(world, length), world.size * world.video_scale
    if video.shape[:3] != (frames, side, side):
        raise SaltError(
            f"{path}: {video.shape[0]} frames of {video.shape[1]} x {video.shape[2]} pixels; accepted: "
            f"{frames} frames of {side} x {side}, as scale.world says"
        )
    if length == 1:
        return groundtruth.score_video(video, prompt, variant, world, image)
    return score_long_video(video, prompt, variant, world)


def _wide(rows: list[dict[str, Any]], board: Board) -> pd.DataFrame:
    parts = dict.fromkeys(name for row in rows for name in row if "@" in name)
    columns = [*board.dimensions, "same_object", *parts]
    frame = pd.DataFrame(rows, columns=["prompt_id", "sampling_seed", *columns])
    frame[columns] = frame[columns].astype(float)
    frame[[column for column in columns if _dimension(column) in PERCENT]] /= 100
    return frame


# -------------------------------------------------------------------------------------- what is written
def write_cell(folder: Path, cell: ModelCell, scores: CellScores, provenance: Mapping[str, Any]) -> Path:
    """Write `{cell}_eval_results.json` and its sidecar: `provenance` (commit, ...), the cell and the scorer."""
    path = folder / f"{cell.name}_eval_results.json"
    write_results(path, Scored(scores.scored.results, {**provenance, **cell.columns(), **scores.scored.provenance}))
    return path


def records(cell: ModelCell, scores: CellScores) -> pd.DataFrame:
    """Tidy rows, columns `RECORD_COLUMNS`: raw dimension means and same_object (0 to 1), the aggregates (0 to 100).

    For long videos also the raw means of their parts, as metrics `DIMENSION@PART`. `n` is the number of videos in a
    mean.
    """
    measured: dict[str, tuple[float, int]] = {
        name: (score, len(entries)) for name, (score, entries) in scores.scored.results.items()
    }
    videos = len(scores.wide)
    measured |= {name: (value, videos) for name, value in scores.scores.items()}
    for name in ("same_object", *(column for column in map(str, scores.wide.columns) if "@" in column)):
        measured[name] = float(scores.wide[name].mean()), int(scores.wide[name].count())
    rows = [
        cell.columns() | {"metric": name, "value": value, "n": n, "protocol": scores.scored.provenance["protocol"]}
        for name, (value, n) in measured.items()
    ]
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))
