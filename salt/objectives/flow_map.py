"""The law of flow maps that are told two times, as AnyFlow (arXiv 2605.13724) learns it from noised data.

Setting: times t >= s, `(B,)`; x_t on the path of x_0 and eps, v = eps - x_0. A network u(x_t, t, s) is the mean of the
velocity from t to s along the flow, x_s = x_t - (t - s) u, where the semigroup law of Eq. (3) holds. Differentiated in
t, that law reads u = v - (t - s) du/dt, with du/dt along the path (MeanFlow, arXiv 2505.13447).
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from salt.flow.grid import shift_time
from salt.flow.path import expand, interpolate
from salt.flow.shapes import Flags, PerSample, State

Mean: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, t, s) -> u, with the condition bound."""
Balance: TypeAlias = Literal["per_sample", "batch"]
WEIGHT_TIMES = 1000
"""Entries of the table over which the weight has mean 1."""
SMALLEST_LOSS = 1e-5


@torch.no_grad()
def derivative_along_path(mean: Mean, x_0: State, eps: State, t: PerSample, s: PerSample, step: float) -> State:
    """Return du/dt at (x_t, t, s), by the difference between t + step and t - step on the path, which end at 1 and s.

    Where s = t it is 0: there it counts for nothing.
    """
    after, before = (t + step).clamp(max=1.0), torch.maximum(t - step, s)
    u_after, u_before = (mean(interpolate(x_0, eps, time), time, s) for time in (after, before))
    return torch.where(expand((t > s).to(x_0), x_0).bool(), (u_after - u_before) / expand(after - before, x_0), 0.0)


def flow_map_target(x_0: State, eps: State, t: PerSample, s: PerSample, derivative: State) -> State:
    """Return v - (t - s) du/dt, a constant."""
    return (eps - x_0 - expand(t - s, x_0) * derivative).detach()


def flow_map_weight(t: PerSample, shift: float) -> PerSample:
    """Return t sqrt(1 - t), of mean 1 over a table of times shifted by s (AnyFlow's `beta08`)."""
    table = shift_time(1 - torch.arange(WEIGHT_TIMES, dtype=torch.float64) / WEIGHT_TIMES, shift)
    return t * (1 - t).sqrt() / float((table * (1 - table).sqrt()).mean())


def balanced(losses: PerSample, of_velocity: Flags, balance: Balance) -> PerSample:
    """Losses of s < t, scaled to the mean of those of s = t (without any in the batch: of all); a factor is a constant.

    `per_sample` scales each by itself, as published. Where a sample has few elements its loss is mostly chance, and the
    smallest would count most: what is learnt is then no mean any more. `batch` scales all by one factor.
    """
    known, other = losses.detach(), ~of_velocity
    if not bool(other.any()):
        return losses
    wanted = known[of_velocity].mean() if bool(of_velocity.any()) else known.mean()
    found = known if balance == "per_sample" else known[other].mean()
    return torch.where(of_velocity, losses, losses * (wanted / (found + SMALLEST_LOSS)))
