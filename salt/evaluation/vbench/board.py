"""VBench's arithmetic: sixteen raw scores to Quality, Semantic and Total.

The constants are those of VBench's `scripts/constant.py`: a raw score is normalised as (raw - low) / (high - low),
Quality and Semantic are weighted means of normalised scores, Total = (4 Quality + Semantic) / 5. VBench counts a
missing dimension as 0; here it is an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from salt.config.vbench import Formula
from salt.errors import SaltError

Group = Literal["quality", "semantic", "i2v"]
TOLERANCE = 1e-6


class Dimension(NamedTuple):
    """How one raw score enters the sums. `low` and `high` normalise; `least` and `most` bound what it can be at all."""

    group: Group
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
    """What a suite scores, and how it counts: two groups of dimensions, and their weighted mean, the total."""

    dimensions: Mapping[str, Dimension]
    """In the order printed; weight 0: scored, and not counted."""
    weights: Mapping[str, float]
    """Of the two groups in the total."""

    @property
    def aggregates(self) -> tuple[str, ...]:
        """Both groups and `total`: 0 to 100 (a learned scorer may leave that, as VBench does not clip)."""
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
        of = np.array([d.group for d in self.dimensions.values()])
        groups = [np.average(share[..., of == group], axis=-1, weights=weight[of == group]) for group in self.weights]
        return np.stack([*groups, np.average(groups, axis=0, weights=list(self.weights.values()))], axis=-1)

    def aggregates_of(self, raw: Mapping[str, float]) -> dict[str, float]:
        """Those that no absent dimension leaves undefined; VBench counts an absent dimension as 0."""
        found: dict[str, float] = {}
        for group in self.weights:
            counted = {name: of for name, of in self.dimensions.items() if of.group == group and of.weight}
            if set(counted) <= set(raw):
                shares = [normalise(name, raw[name]) for name in counted]
                found[group] = 100 * float(np.average(shares, weights=[of.weight for of in counted.values()]))
        if len(found) == len(self.weights):
            total = np.average([found[group] for group in self.weights], weights=list(self.weights.values()))
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
    named = {name: of for name, of in (I2V_DIMENSIONS | DIMENSIONS).items() if of.group != "semantic"}
    kept = {name: of for name, of in named.items() if camera or name != "camera_motion"}
    counted = {name: of._replace(weight=0.0) if name == ignored else of for name, of in kept.items()}
    return Board(counted, {"i2v": 1.0, "quality": 1.0})


def normalise(dimension: str, raw: float) -> float:
    """A raw score as a share of VBench's range for its dimension; not clipped."""
    low, high = KNOWN[dimension].low, KNOWN[dimension].high
    return (raw - low) / (high - low)


def denormalise(dimension: str, share: float) -> float:
    """The raw score that `normalise` turns into `share`."""
    low, high = KNOWN[dimension].low, KNOWN[dimension].high
    return low + share * (high - low)
