"""VBench's arithmetic and file layout: sixteen raw scores to Quality, Semantic and Total, and back to single videos.

The constants are those of VBench's `scripts/constant.py`: a raw score is normalised as (raw - low) / (high - low),
Quality and Semantic are weighted means of normalised scores, Total = (4 Quality + Semantic) / 5. VBench counts a
missing dimension as 0 and writes NaN; here both are errors. Whoever scores (a ground-truth scorer, or VBench) writes

    {dimension: [score, [{"video_path": ..., "video_results": ...}, ...]], ...}

to `NAME_eval_results.json`, and what is needed to trust it to a sidecar beside it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from salt.config.scale import Scale
from salt.config.vbench import Formula
from salt.errors import SaltError
from salt.files import write_text

Part = Literal["quality", "semantic", "i2v"]
Entry = dict[str, Any]
"""One video of one dimension: `video_path`, `video_results`, and whatever else a scorer adds."""
Results = dict[str, tuple[float, list[Entry]]]
TOLERANCE = 1e-6


class Dimension(NamedTuple):
    """How one raw score enters the sums. `low` and `high` normalise; `least` and `most` bound what it can be at all."""

    part: Part
    low: float
    high: float
    weight: float = 1.0
    least: float = 0.0
    most: float = 1.0


DIMENSIONS: dict[str, Dimension] = {
    "subject_consistency": Dimension("quality", 0.1462, 1.0),
    "background_consistency": Dimension("quality", 0.2615, 1.0),
    "temporal_flickering": Dimension("quality", 0.6293, 1.0),
    "motion_smoothness": Dimension("quality", 0.706, 0.9975),
    "dynamic_degree": Dimension("quality", 0.0, 1.0, weight=0.5),
    "aesthetic_quality": Dimension("quality", 0.0, 1.0),
    "imaging_quality": Dimension("quality", 0.0, 1.0),
    "object_class": Dimension("semantic", 0.0, 1.0),
    "multiple_objects": Dimension("semantic", 0.0, 1.0),
    "human_action": Dimension("semantic", 0.0, 1.0),
    "color": Dimension("semantic", 0.0, 1.0),
    "spatial_relationship": Dimension("semantic", 0.0, 1.0),
    "scene": Dimension("semantic", 0.0, 0.8222),
    "appearance_style": Dimension("semantic", 0.0009, 0.2855, least=-1.0),
    "temporal_style": Dimension("semantic", 0.0, 0.364, least=-1.0),
    "overall_consistency": Dimension("semantic", 0.0, 0.364, least=-1.0),
}
"""VBench's dimensions; the last three are cosines, so they may be below 0."""
I2V_DIMENSIONS: dict[str, Dimension] = {
    "camera_motion": Dimension("i2v", 0.0, 1.0, weight=0.1),
    "i2v_subject": Dimension("i2v", 0.1462, 1.0),
    "i2v_background": Dimension("i2v", 0.2615, 1.0),
}
"""What VBench-I2V has besides those of quality."""
KNOWN: dict[str, Dimension] = DIMENSIONS | I2V_DIMENSIONS
I2V_LEFT_OUT = {"repository": "temporal_flickering", "leaderboard": "camera_motion"}
"""The dimension of VBench-I2V that does not count, by formula: its `scripts/constant.py`, or its leaderboard's."""
BOOLEAN = ("dynamic_degree", "human_action")
"""Dimensions whose entries are true or false."""
PERCENT = ("imaging_quality",)
"""Dimensions whose entries run from 0 to 100, while the score is their mean / 100."""


# --------------------------------------------------------------------------------------- raw to aggregates
@dataclass(frozen=True)
class Board:
    """What a suite scores, and how it counts: shares of two parts, and their weighted mean, the total."""

    dimensions: Mapping[str, Dimension]
    """In the order printed; weight 0: scored, and not counted."""
    weights: Mapping[str, float]
    """Of the two parts in the total."""

    @property
    def aggregates(self) -> tuple[str, ...]:
        """The names of both parts, and `total`: 0 to 100 (a learned scorer may leave that, as VBench does not clip)."""
        return (*self.weights, "total")

    def aggregate(self, raw: Mapping[str, float]) -> dict[str, float]:
        """Raw scores of all dimensions (0 to 1) to the aggregates (0 to 100).

        Raises:
            SaltError: where a dimension is missing, unknown, not a number, or outside of what it can be by more than
                1e-6.
        """
        self._check_names(raw)
        for name, value in raw.items():
            least, most = self.dimensions[name].least, self.dimensions[name].most
            if not least - TOLERANCE <= value <= most + TOLERANCE:  # false for NaN, too
                raise SaltError(f"{name}: raw score {value}; accepted: {least:g} to {most:g}")
        means = self.aggregate_means(np.array([raw[name] for name in self.dimensions]))
        return dict(zip(self.aggregates, map(float, means), strict=True))

    def aggregate_means(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """`aggregate` without its checks, for resampling: `(..., D)` in the order of `dimensions` to `(..., 3)`."""
        low, high, weight = (np.array([d[k] for d in self.dimensions.values()]) for k in (1, 2, 3))
        share = 100 * (raw - low) / (high - low)
        of = np.array([d.part for d in self.dimensions.values()])
        parts = [np.average(share[..., of == part], axis=-1, weights=weight[of == part]) for part in self.weights]
        return np.stack([*parts, np.average(parts, axis=0, weights=list(self.weights.values()))], axis=-1)

    def aggregates_of(self, raw: Mapping[str, float]) -> dict[str, float]:
        """Those that no absent dimension leaves undefined; VBench counts an absent dimension as 0."""
        found: dict[str, float] = {}
        for part in self.weights:
            counted = {name: of for name, of in self.dimensions.items() if of.part == part and of.weight}
            if set(counted) <= set(raw):
                shares = [normalise(name, raw[name]) for name in counted]
                found[part] = 100 * float(np.average(shares, weights=[of.weight for of in counted.values()]))
        if len(found) == len(self.weights):
            total = np.average([found[part] for part in self.weights], weights=list(self.weights.values()))
            found["total"] = float(total)
        return found

    def _check_names(self, names: Iterable[str]) -> None:
        missing, unknown = set(self.dimensions) - set(names), set(names) - set(self.dimensions)
        if unknown:
            raise SaltError(f"{', '.join(sorted(unknown))}: unknown dimension; accepted: {', '.join(self.dimensions)}")
        if missing:
            raise SaltError(
                f"{', '.join(sorted(missing))}: missing dimension; accepted: all of {', '.join(self.dimensions)}"
            )


TEXT = Board(DIMENSIONS, {"quality": 4.0, "semantic": 1.0})
"""VBench's and VBench-Long's: Total = (4 Quality + Semantic) / 5."""


def image_board(formula: Formula, camera: bool = True) -> Board:
    """VBench-I2V's: Total = (I2V + Quality) / 2; without `camera`, of a world that has none."""
    ignored = I2V_LEFT_OUT[formula]
    named = {name: of for name, of in (I2V_DIMENSIONS | DIMENSIONS).items() if of.part != "semantic"}
    kept = {name: of for name, of in named.items() if camera or name != "camera_motion"}
    counted = {name: of._replace(weight=0.0) if name == ignored else of for name, of in kept.items()}
    return Board(counted, {"i2v": 1.0, "quality": 1.0})


def board_of(scale: Scale) -> Board:
    """What is scored of videos of training length at a scale. The world has no camera whose motion could be scored."""
    vbench = scale.evaluation.vbench
    if scale.first_frame is None:
        return TEXT
    return image_board("leaderboard", camera=False) if vbench is None else image_board(vbench.i2v_formula)


def normalise(dimension: str, raw: float) -> float:
    """A raw score as a share of VBench's range for its dimension; not clipped."""
    low, high = KNOWN[dimension].low, KNOWN[dimension].high
    return (raw - low) / (high - low)


def denormalise(dimension: str, share: float) -> float:
    """The raw score that `normalise` turns into `share`."""
    low, high = KNOWN[dimension].low, KNOWN[dimension].high
    return low + share * (high - low)


# ------------------------------------------------------------------------------------ videos to raw scores
def dimension_score(dimension: str, entries: Sequence[Entry]) -> float:
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


def results_of(entries: Mapping[str, Sequence[Entry]]) -> Results:
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
    layout, provenance = _load(path), _load(sidecar(path))
    _check_provenance(sidecar(path), provenance)
    try:
        entries = {name: list(pair[1]) for name, pair in layout.items()}
        stated = {name: float(pair[0]) for name, pair in layout.items()}
        results = results_of(entries)
        counts = provenance["counts"]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SaltError(f"{path}: not in VBench's layout ({error!r}); accepted: a file of write_results") from error
    found = {name: len(videos) for name, videos in entries.items()}
    if found != counts:
        wrong = sorted(set(found.items()) ^ set(counts.items()))[0][0]
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
    entries: dict[str, list[Entry]] = {}
    for part in parts:
        for name, (_, videos) in part.results.items():
            entries.setdefault(name, []).extend(videos)
    return Scored(results_of(entries), origins[0])


def _check_provenance(path: Path, provenance: Mapping[str, Any]) -> None:
    for key in ("scorer", "protocol"):
        if key not in provenance:
            raise SaltError(f"{path}: {key} is missing; accepted: a provenance that names scorer and protocol")


def _load(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError) as error:
        raise SaltError(f"{path}: cannot be read as strict JSON ({error})") from error
    if not isinstance(body, dict):
        raise SaltError(f"{path}: holds a {type(body).__name__}; accepted: a JSON object")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}")
