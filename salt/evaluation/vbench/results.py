"""VBench's file layout: raw scores of single videos, and what is needed to trust them.

Whoever scores (the ground-truth scorer, or VBench) writes

    {dimension: [score, [{"video_path": ..., "video_results": ...}, ...]], ...}

to `NAME_eval_results.json`, and what is needed to trust it to a sidecar beside it. VBench writes NaN where nothing was
scored; here that is an error.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from salt.errors import SaltError
from salt.evaluation.vbench.board import KNOWN, PERCENT, TOLERANCE
from salt.files import write_text
from salt.readers import read_json

VideoResult = dict[str, Any]
"""One video of one dimension: `video_path`, `video_results`, and whatever else a scorer adds."""
Results = dict[str, tuple[float, list[VideoResult]]]


# ------------------------------------------------------------------------------------ videos to raw scores
def dimension_score(dimension: str, entries: Sequence[VideoResult]) -> float:
    """The raw score of a dimension from its videos: their mean, of percentages / 100.

    VBench weights some dimensions by frames; videos of one protocol have equally many, so that is the same.

    Raises:
        SaltError: where there is no video, or a result is not a finite number.
    """
    if not entries:
        raise SaltError(f"{dimension}: no video is scored; accepted: at least one")
    for entry in entries:
        value = entry["video_results"]
        if not isinstance(value, bool | int | float) or not math.isfinite(value):
            raise SaltError(f"{dimension}: video_results={value!r} of {entry['video_path']}; accepted: a finite number")
    mean = math.fsum(entry["video_results"] for entry in entries) / len(entries)
    return mean / 100 if dimension in PERCENT else mean


def results_of(entries: Mapping[str, Sequence[VideoResult]]) -> Results:
    """Score every dimension; entries are sorted by path.

    Raises:
        SaltError: as `dimension_score`; where a dimension is unknown, or has a video twice.
    """
    results: Results = {}
    for name, videos in entries.items():
        if name not in KNOWN:
            raise SaltError(f"{name}: unknown dimension; accepted: {', '.join(KNOWN)}")
        ordered = sorted(videos, key=lambda entry: str(entry["video_path"]))
        for one, other in pairwise(ordered):
            if one["video_path"] == other["video_path"]:
                raise SaltError(f"{name}: {one['video_path']} is scored twice; accepted: once")
        results[name] = dimension_score(name, ordered), ordered
    return results


def raw_scores(results: Results) -> dict[str, float]:
    """The raw score of every dimension."""
    return {name: score for name, (score, _) in results.items()}


# ---------------------------------------------------------------------------------------------- the files
@dataclass(frozen=True)
class Scored:
    """Results and where they come from; `provenance` names at least the scorer and the protocol."""

    results: Results
    provenance: dict[str, Any]


def sidecar(path: Path) -> Path:
    """The provenance file of a results file (keep it out of VBench's leaderboard archive, which reads every JSON)."""
    return path.with_name(path.name.removesuffix("_eval_results.json") + "_provenance.json")


def write_results(path: Path, scored: Scored) -> None:
    """Write `NAME_eval_results.json` in VBench's layout, and its sidecar with the number of videos per dimension.

    Raises:
        SaltError: where the provenance lacks `scorer` or `protocol`, or a name or number does not fit.
    """
    _check_provenance(path, scored.provenance)
    if not path.name.endswith("_eval_results.json"):
        raise SaltError(f"{path}: accepted: a name that ends in _eval_results.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    provenance = scored.provenance | {"counts": {name: len(entries) for name, (_, entries) in scored.results.items()}}
    write_text(sidecar(path), json.dumps(provenance, indent=1, sort_keys=True, allow_nan=False) + "\n")
    layout = {name: [score, entries] for name, (score, entries) in scored.results.items()}
    write_text(path, json.dumps(layout, indent=1, allow_nan=False) + "\n")


def read_results(path: Path) -> Scored:
    """Read what `write_results` wrote, checking that nothing was lost or changed.

    Raises:
        SaltError: where a file is missing or not strict JSON (NaN), the scores are not those of the videos, or the
            videos are not as many as the sidecar says.
    """
    layout, provenance = (read_json(one, finite=True) for one in (path, sidecar(path)))
    _check_provenance(sidecar(path), provenance)
    try:
        entries = {name: list(pair[1]) for name, pair in layout.items()}
        stated = {name: float(pair[0]) for name, pair in layout.items()}
        results = results_of(entries)
        counts = dict(provenance["counts"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SaltError(f"{path}: not in VBench's layout ({error!r}); accepted: a file of write_results") from error
    found = {name: len(videos) for name, videos in entries.items()}
    if found != counts:
        wrong = next(name for name in (*found, *counts) if found.get(name) != counts.get(name))
        raise SaltError(
            f"{path}: {wrong} has {found.get(wrong, 0)} videos; accepted: {counts.get(wrong, 0)}, "
            f"as {sidecar(path).name} says"
        )
    for name, score in raw_scores(results).items():
        if abs(score - stated[name]) > TOLERANCE:
            raise SaltError(f"{path}: {name} is {stated[name]}, but its videos give {score}: it was edited or cut")
    return Scored(results, provenance)


def merge(parts: Sequence[Scored]) -> Scored:
    """Join results of different videos or dimensions; scores are rebuilt from the videos, never averaged.

    Raises:
        SaltError: where scorer, protocol or another entry of the provenance differs, or a video occurs twice.
    """
    if not parts:
        raise SaltError("merge: no results; accepted: at least one file")
    origins = [{key: value for key, value in part.provenance.items() if key != "counts"} for part in parts]
    for origin in origins[1:]:
        for key in sorted(origins[0].keys() | origin.keys()):
            one, other = origins[0].get(key), origin.get(key)
            if one != other:
                raise SaltError(f"merge: {key} is {one!r} in one file and {other!r} in another; accepted: one {key}")
    entries: dict[str, list[VideoResult]] = {}
    for part in parts:
        for name, (_, videos) in part.results.items():
            entries.setdefault(name, []).extend(videos)
    return Scored(results_of(entries), origins[0])


def _check_provenance(path: Path, provenance: Mapping[str, Any]) -> None:
    for key in ("scorer", "protocol"):
        if key not in provenance:
            raise SaltError(f"{path}: {key} is missing; accepted: a provenance that names scorer and protocol")
