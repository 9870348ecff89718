"""The straight path between data and noise, and conversions between the quantities a network may predict on it.

Setting: x_0 is data, eps ~ N(0, I) is noise and x_t = (1 - t) x_0 + t eps for t in [0, 1]; t = 0 is clean, t = 1 is
noise, and sigma = t exactly (no table). A network predicts the velocity v = eps - x_0. States are `(B, ...)`; a time is
one float for the whole batch or one value per sample, `(B,)`.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from salt.flow.shapes import PerSample, State, Time

Velocity: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(x_t `(B, ...)`, t `(B,)`) -> v `(B, ...)`, with the condition bound: any network, any closed form."""


@runtime_checkable
class MeanVelocity(Protocol):
    """A velocity field that also knows its mean along the flow, from t down to s <= t."""

    def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The velocity at (x_t, t)."""
        ...

    def mean_velocity(self, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """The u of the exact step x_s = x_t - (t - s) u; at s = t it is the velocity."""
        ...


def expand(t: Time, like: State) -> Tensor:
    """Return `t` in the dtype and on the device of `like`, shaped to broadcast over it: `()` or `(B, 1, ..., 1)`."""
    if isinstance(t, Tensor):
        return t.to(like).view(-1, *[1] * (like.ndim - 1))
    return like.new_tensor(t)


def batch_time(t: Time, like: State) -> PerSample:
    """Return `t` as the `(B,)` tensor a `Velocity` takes."""
    return t if isinstance(t, Tensor) else like.new_full(like.shape[:1], t)


def interpolate(x_0: State, eps: State, t: Time) -> State:
    """Return x_t = (1 - t) x_0 + t eps."""
    t = expand(t, x_0)
    return (1 - t) * x_0 + t * eps


def velocity_target(x_0: State, eps: State) -> State:
    """Eq. (1): dx_t / dt = v, the probability flow; along the path from x_0 to eps it is the constant eps - x_0.

    Its mean given x_t is the velocity field of the flow, so this is what networks regress.
    """
    return eps - x_0


def x0_from_velocity(x_t: State, v: State, t: Time) -> State:
    """Return x_0 = x_t - t v."""
    return x_t - expand(t, x_t) * v


def velocity_from_x0(x_t: State, x_0: State, t: Time) -> State:
    """Return v = (x_t - x_0) / t, for t > 0; rounding errors of x_0 grow as 1 / t."""
    return (x_t - x_0) / expand(t, x_t)


def eps_from_velocity(x_t: State, v: State, t: Time) -> State:
    """Return eps = x_t + (1 - t) v."""
    return x_t + (1 - expand(t, x_t)) * v


def score_from_x0(x_t: State, x_0: State, t: Time) -> State:
    """Return the score -(x_t - (1 - t) x_0) / t^2 of p(x_t), for t > 0, where x_0 is the mean of the data given x_t."""
    t = expand(t, x_t)
    return -(x_t - (1 - t) * x_0) / t**2


def guide(cond: State, uncond: State, cfg_weight: float) -> State:
    """Return uncond + w (cond - uncond) with w = `cfg_weight`: 0 is unconditional, 1 conditional, more extrapolates."""
    return torch.lerp(uncond, cond, cfg_weight)


def cfg_weight_from_extra(extra: float) -> float:
    """Return the `cfg_weight` of a repository that writes cond + extra (cond - uncond), as Self Forcing's family does.

    Its 3.0 is 4.0 here (FastVideo, docs/distillation/dmd.md).
    """
    return extra + 1
