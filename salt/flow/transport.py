"""Moving states along the flow: the exact flow map as a type, the Euler operator, and the two samplers built on it.

Setting: t and s are the times before and after a step, t > s >= 0. Samplers start from noise at grid[0] and end at 0;
they evaluate the velocity once per level of the grid, so NFE = len(grid).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Literal, Protocol, TypeAlias, overload, runtime_checkable

from torch import Tensor

from salt.flow.grid import check_grid
from salt.flow.path import MeanVelocity, Velocity, batch_time, expand, interpolate, x0_from_velocity
from salt.flow.shapes import State, Time

Renoise: TypeAlias = Callable[[int, Tensor], Tensor]
"""(i, like `(B, ...)`) -> fresh N(0, I) noise like `like`, with which the state leaves grid[i] for grid[i + 1]."""


@runtime_checkable
class FlowMap(Protocol):
    """Eq. (2): x_s = Phi^{t->s}(x_t), the transport of a state from time t down to time s, 0 <= s < t <= 1."""

    def __call__(self, x_t: Tensor, t: Time, s: Time) -> Tensor:
        """Return x_s of the shape of x_t."""
        ...


def euler_step(x: State, v: State, t: Time, s: Time) -> State:
    """Eq. (5): Psi^{t->s}(x) = x - (t - s) v, with v the velocity at (x, t)."""
    return x - (expand(t, x) - expand(s, x)) * v


def velocity_of_step(velocity: Velocity, x: State, t: Time, s: Time) -> State:
    """The velocity of a step from t to s: the mean of the field on the way, where it knows that, else the one at t."""
    if isinstance(velocity, MeanVelocity):
        return velocity.mean_velocity(x, batch_time(t, x), batch_time(s, x))
    return velocity(x, batch_time(t, x))


def euler_operator(velocity: Velocity) -> FlowMap:
    """Return the flow map that takes one step of Eq. (5) with `velocity`; see `velocity_of_step`."""

    def psi(x_t: Tensor, t: Time, s: Time) -> Tensor:
        return euler_step(x_t, velocity_of_step(velocity, x_t, t, s), t, s)

    return psi


def cm_step(x: State, v: State, noise: State, t: Time, s: Time) -> State:
    """Denoise to x_0 with the velocity v at (x, t), then noise it again to time s."""
    return interpolate(x0_from_velocity(x, v, t), noise, s)


@overload
def euler_sample(
    velocity: Velocity, noise: State, grid: Sequence[float], trajectory: Literal[False] = False
) -> Tensor: ...
@overload
def euler_sample(
    velocity: Velocity, noise: State, grid: Sequence[float], trajectory: Literal[True]
) -> list[Tensor]: ...
def euler_sample(
    velocity: Velocity, noise: State, grid: Sequence[float], trajectory: bool = False
) -> Tensor | list[Tensor]:
    """Integrate the flow from `noise` at grid[0] to 0 by the Euler steps of Eq. (5).

    Returns:
        x_0; with `trajectory`, the len(grid) + 1 states at (*grid, 0), from `noise` to x_0.

    Raises:
        SaltError: if `grid` is no grid.
    """
    check_grid(grid)
    states = _euler_states(velocity, noise, grid)
    return list(states) if trajectory else _last(states)


@overload
def cm_sample(
    velocity: Velocity, noise: State, grid: Sequence[float], renoise: Renoise, trajectory: Literal[False] = False
) -> Tensor: ...
@overload
def cm_sample(
    velocity: Velocity, noise: State, grid: Sequence[float], renoise: Renoise, trajectory: Literal[True]
) -> list[Tensor]: ...
def cm_sample(
    velocity: Velocity, noise: State, grid: Sequence[float], renoise: Renoise, trajectory: bool = False
) -> Tensor | list[Tensor]:
    """Sample as consistency models do: denoise to x_0, noise again to the next level; the last level returns its x_0.

    Returns:
        x_0; with `trajectory`, the len(grid) + 1 states at (*grid, 0), from `noise` to x_0.

    Raises:
        SaltError: if `grid` is no grid.
    """
    check_grid(grid)
    states = _cm_states(velocity, noise, grid, renoise)
    return list(states) if trajectory else _last(states)


def _euler_states(velocity: Velocity, noise: Tensor, grid: Sequence[float]) -> Iterator[Tensor]:
    psi = euler_operator(velocity)
    x = noise
    yield x
    for t, s in pairwise((*grid, 0.0)):
        x = psi(x, t, s)
        yield x


def _cm_states(velocity: Velocity, noise: Tensor, grid: Sequence[float], renoise: Renoise) -> Iterator[Tensor]:
    x = noise
    yield x
    for i, (t, s) in enumerate(pairwise(grid)):
        x = cm_step(x, velocity_of_step(velocity, x, t, 0.0), renoise(i, x), t, s)
        yield x
    yield x0_from_velocity(x, velocity_of_step(velocity, x, grid[-1], 0.0), grid[-1])


def _last(states: Iterator[Tensor]) -> Tensor:
    return deque(states, maxlen=1).pop()
