"""Scoring a folder of videos: which files must be there, one score per video, one file per cell, tidy rows.

A *cell* is one table entry's evaluation: a trained model, a caption variant, a solver and a number of function
evaluations. Its videos are `{prompt_id}/{sampling seed}.mp4`; its files are named `{prompts}_{solver}_{nfe}`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from salt.config.scale import Evaluation, World
from salt.data.prompts import Prompt, Variant, prompts_hash, report_prompts
from salt.errors import SaltError
from salt.evaluation import groundtruth
from salt.evaluation.vbench import (
    DIMENSIONS,
    PERCENT,
    Entry,
    Scored,
    Scores,
    aggregate,
    raw_scores,
    results_of,
    write_results,
)
from salt.evaluation.video import ENCODER, read_mp4

NAMED = 5
"""How many files an error message names."""
RECORD_COLUMNS = (
    "method",
    "experiment",
    "scale",
    "seed",
    "prompts",
    "solver",
    "nfe",
    "metric",
    "value",
    "n",
    "protocol",
)


@dataclass(frozen=True)
class Cell:
    """What was evaluated, as the tidy records name it. `seed` is the training seed."""

    method: str
    experiment: str
    scale: str
    seed: int
    prompts: Variant
    solver: str
    nfe: int

    @property
    def name(self) -> str:
        """Stem of the cell's files, `{prompts}_{solver}_{nfe}`."""
        return f"{self.prompts}_{self.solver}_{self.nfe}"


@dataclass(frozen=True)
class CellScores:
    """Scores of one cell: per video (`wide`), in VBench's layout (`scored`), and aggregated."""

    wide: pd.DataFrame
    """Columns `prompt_id`, `sampling_seed`, the dimensions (raw, 0 to 1) and `same_object`; NaN where not scored."""
    scored: Scored
    scores: Scores


def protocol_hash(world: World, evaluation: Evaluation) -> str:
    """12 hexadecimal digits of all that decides a score besides the model: prompts, seeds, videos, encoder, scorer."""
    decides = {
        "scorer": [groundtruth.SCORER, groundtruth.VERSION],
        "prompts": prompts_hash(report_prompts(world, evaluation.prompts)),
        "seeds": evaluation.seeds,
        "video": [world.size, world.frames, world.video_scale, world.fps, ENCODER],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


# ------------------------------------------------------------------------------------------- one folder
def score_folder(
    videos: Path, prompts: Sequence[Prompt], variant: Variant, seeds: Sequence[int], world: World, protocol: str
) -> CellScores:
    """Score every video of a folder with the ground-truth scorer.

    If no video of the whole folder has a clean frame, `color` has nothing to be a mean of (VBench then divides by
    zero): it is 0 for every video.

    Raises:
        SaltError: where videos are missing, too many, undecodable or of the wrong size, in one message; where the
            prompts leave a dimension without any video.
    """
    _check_coverage(prompts, variant)
    _check_files(videos, {_file(prompt.id, seed) for prompt in prompts for seed in seeds})
    rows = _score_videos(videos, prompts, variant, seeds, world)
    if all(row.get("color") is None for row in rows):
        rows = [row | {"color": 0.0} if "color" in row else row for row in rows]
    entries: dict[str, list[Entry]] = {name: [] for name in DIMENSIONS}
    for row in rows:
        path = _file(row["prompt_id"], row["sampling_seed"])
        for name in DIMENSIONS.keys() & row.keys():
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
    return CellScores(_wide(rows), Scored(results, provenance), aggregate(raw_scores(results)))


def _file(prompt_id: str, seed: int) -> str:
    return f"{prompt_id}/{seed}.mp4"


def _score_videos(
    videos: Path, prompts: Sequence[Prompt], variant: Variant, seeds: Sequence[int], world: World
) -> list[dict[str, Any]]:
    """One row per video: its prompt, its sampling seed and its results."""
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    for prompt, seed in product(prompts, seeds):
        try:
            results = _score_video(videos / _file(prompt.id, seed), prompt, variant, world)
        except SaltError as error:
            broken.append(str(error))
        else:
            rows.append({"prompt_id": prompt.id, "sampling_seed": seed, **results})
    if broken:
        number = len(rows) + len(broken)
        raise SaltError(f"{videos}: {len(broken)} of {number} videos cannot be scored: {_first(broken)}")
    return rows


def _check_coverage(prompts: Sequence[Prompt], variant: Variant) -> None:
    covered = {name for prompt in prompts for name in prompt.dimensions(variant)}
    if missing := set(DIMENSIONS) - covered:
        raise SaltError(
            f"evaluation.prompts={len(prompts)}: no {variant} caption is scored on {', '.join(sorted(missing))}; "
            "accepted: 6 prompts or more, which cover all dimensions"
        )


def _check_files(videos: Path, expected: set[str]) -> None:
    found = {path.relative_to(videos).as_posix() for path in videos.rglob("*.mp4")}
    missing, extra = sorted(expected - found), sorted(found - expected)
    told = [
        f"{len(names)} {what} ({_first(names)})" for what, names in (("missing", missing), ("extra", extra)) if names
    ]
    if told:
        raise SaltError(f"{videos}: {' and '.join(told)}; accepted: exactly {len(expected)} videos PROMPT_ID/SEED.mp4")


def _first(names: Sequence[str]) -> str:
    return "; ".join(names[:NAMED]) + ("; ..." if len(names) > NAMED else "")


def _score_video(path: Path, prompt: Prompt, variant: Variant, world: World) -> dict[str, Any]:
    video = read_mp4(path)
    side = world.size * world.video_scale
    if video.shape[:3] != (world.frames, side, side):
        raise SaltError(
            f"{path}: {video.shape[0]} frames of {video.shape[1]} x {video.shape[2]} pixels; accepted: "
            f"{world.frames} frames of {side} x {side}, as scale.world says"
        )
    return groundtruth.score_video(video, prompt, variant, world.video_scale)


def _wide(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = [*DIMENSIONS, "same_object"]
    frame = pd.DataFrame(rows, columns=["prompt_id", "sampling_seed", *columns])
    frame[columns] = frame[columns].astype(float)
    frame[list(PERCENT)] /= 100
    return frame


# -------------------------------------------------------------------------------------- what is written
def write_cell(folder: Path, cell: Cell, scores: CellScores, provenance: Mapping[str, Any]) -> Path:
    """Write `{cell}_eval_results.json` and its sidecar: `provenance` (commit, ...), the cell and the scorer."""
    path = folder / f"{cell.name}_eval_results.json"
    write_results(path, Scored(scores.scored.results, {**provenance, **asdict(cell), **scores.scored.provenance}))
    return path


def records(cell: Cell, scores: CellScores) -> pd.DataFrame:
    """Tidy rows, columns `RECORD_COLUMNS`: raw dimension means and same_object (0 to 1), the aggregates (0 to 100).

    `n` is the number of videos behind a value.
    """
    measured: dict[str, tuple[float, int]] = {
        name: (score, len(entries)) for name, (score, entries) in scores.scored.results.items()
    }
    videos = len(scores.wide)
    measured |= {name: (value, videos) for name, value in asdict(scores.scores).items()}
    measured["same_object"] = float(scores.wide["same_object"].mean()), videos
    rows = [
        asdict(cell) | {"metric": name, "value": value, "n": n, "protocol": scores.scored.provenance["protocol"]}
        for name, (value, n) in measured.items()
    ]
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))
