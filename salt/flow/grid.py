"""Grids of times: warped schedules, and the triples on which the semigroup law is asked to hold.

Setting: times go down, 1 >= t_s > t_m > t_e >= 0. A grid is a tuple of `steps` levels in (0, 1]; the final 0 (the
paper's t_K) is left out, for a student is never evaluated there. Levels are 1 - i / steps before a warp u -> t, so
grids whose numbers of steps divide each other are nested exactly: T^(4) in T^(8). The warp is a shift,
t = s u / (1 + (s - 1) u), whose first level is 1, or a list of levels of a student's own, whose first may lie below 1:
samplers start there from pure noise all the same, as published ones do.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import torch
from torch import Tensor

from salt.errors import SaltError
from salt.flow.shapes import Flags, PerSample, Places, UniformPairs

TimeLike = TypeVar("TimeLike", float, Tensor)
TeLaw: TypeAlias = Literal["uniform", "top2"]
Warp: TypeAlias = float | tuple[float, ...]
"""How u in [0, 1] becomes a time: the s of `shift_time`, or the levels of `level_time`."""


def shift_time(u: TimeLike, shift: float) -> TimeLike:
    """Return t = s u / (1 + (s - 1) u), which maps [0, 1] onto itself and, for s > 1, spends more of it near noise."""
    return shift * u / (shift * u + (1 - u))  # the same denominator, but never below the numerator in floats


def unshift_time(t: TimeLike, shift: float) -> TimeLike:
    """Return u = t / (s - (s - 1) t), the inverse of `shift_time`."""
    return t / (t + shift * (1 - t))


def level_time(u: float, levels: Sequence[float]) -> float:
    """Return t on the line through (1, levels[0]), (1 - 1 / K, levels[1]), ..., (0, 0), with K = len(levels).

    At the knots 1 - i / K it is the level itself, bit for bit.
    """
    knots, times = [1 - i / len(levels) for i in range(len(levels) + 1)], (*levels, 0.0)
    i = next(i for i, knot in enumerate(knots) if knot <= u)
    if i == 0:
        return times[0]
    return times[i] + (u - knots[i]) / (knots[i - 1] - knots[i]) * (times[i - 1] - times[i])


def check_grid(times: Sequence[float]) -> None:
    """Refuse a grid that is empty or does not go strictly down within (0, 1].

    Raises:
        SaltError: naming the offending time, or pair of times.
    """
    accepted = "accepted: times in (0, 1], strictly decreasing, without the final 0"
    if not times:
        raise SaltError(f"grid: no times; {accepted}")
    for i, t in enumerate(times):
        if not 0 < t <= 1:
            raise SaltError(f"grid: times[{i}]={t}; {accepted}")
    for i, (t, s) in enumerate(pairwise(times)):
        if s >= t:
            raise SaltError(f"grid: times[{i}]={t} is followed by times[{i + 1}]={s}; {accepted}")


def time_grid(steps: int, warp: Warp) -> tuple[float, ...]:
    """Return T^(K) for K = `steps`: the levels 1 - i / K, i = 0 .. K - 1, warped.

    Raises:
        SaltError: if `warp` is so extreme that neighbouring levels round to the same float, or lists no grid.
    """
    uniform = [1 - i / steps for i in range(steps)]
    if isinstance(warp, tuple):
        check_grid(warp)
        grid = tuple(level_time(u, warp) for u in uniform)
    else:
        grid = tuple(shift_time(u, warp) for u in uniform)
    check_grid(grid)
    return grid


def merged_grid(*grids: Sequence[float]) -> tuple[float, ...]:
    """All levels of all grids, from noise to data; nested grids share their levels exactly."""
    return tuple(sorted({t for grid in grids for t in grid}, reverse=True))


def warp_settings(warp: Warp) -> dict[str, float | list[float]]:
    """A warp by the key of `grid` that states it, as manifests of videos record it."""
    return {"levels": list(warp)} if isinstance(warp, tuple) else {"shift": warp}


class Triple(NamedTuple):
    """t_s > t_m > t_e: the direct step goes from t_s to t_e, the composed one stops at t_m."""

    t_s: float
    t_m: float
    t_e: float


def triples(inference: Sequence[float], training: Sequence[float]) -> list[Triple]:
    """Return all triples of Eq. (9): t_s and t_m from `training`, t_e from `inference` and 0."""
    return [
        Triple(t_s, t_m, t_e) for t_s in training for t_e in (*inference, 0.0) for t_m in training if t_s > t_m > t_e
    ]


class TripleLaw:
    """Eq. (9): given t_s in T_train, t_e is drawn from T^(K) and 0 below t_s, then t_m from T_train in (t_e, t_s).

    Both draws are uniform. Only those t_e count that leave some t_m, that is those below the level of T_train after
    t_s; the law `top2` keeps the two largest of them, as the authors' released trainer does. The last level of T_train
    has none.
    """

    def __init__(self, inference: Sequence[float], training: Sequence[float], te_law: TeLaw) -> None:
        """Raises SaltError if `inference` or `training` is no grid."""
        check_grid(inference)
        check_grid(training)
        self._training = tuple(training)
        most = {"uniform": len(inference) + 1, "top2": 2}[te_law]
        self._ends = [
            [t_e for t_e in (*inference, 0.0) if t_e < after_t_s][:most] for after_t_s in (*self._training[1:], 0.0)
        ]

    def sample(self, index: Places, u: UniformPairs) -> tuple[PerSample, PerSample, Flags]:
        """Draw one triple per sample, as a function of that sample's own random numbers.

        Args:
            index: place of t_s in T_train.
            u: two uniform numbers in [0, 1): the first picks t_e, the second t_m.

        Returns:
            t_m, t_e in the dtype of `u`, and whether there was a triple; where not, t_m = t_e = t_s, whose defect is 0.
        """
        drawn = [self._draw(i, *pair) for i, pair in zip(index.tolist(), u.tolist(), strict=True)]
        t_m, t_e, valid = zip(*drawn, strict=True)
        return u.new_tensor(t_m), u.new_tensor(t_e), torch.tensor(valid, device=u.device)

    def _draw(self, i: int, u_e: float, u_m: float) -> tuple[float, float, bool]:
        t_s, ends = self._training[i], self._ends[i]
        if not ends:
            return t_s, t_s, False
        t_e = ends[int(u_e * len(ends))]
        between = [t for t in self._training if t_e < t < t_s]
        return between[int(u_m * len(between))], t_e, True
