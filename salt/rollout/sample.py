"""What objectives may look at, and the ways in which a student makes it from a grid of times.

Setting: a grid of training times, 1 first and without the final 0; each sample has its own place `index` in it, its
t_s. `noise` is N(0, I), `(B, ...)`. A student is evaluated with gradient once, at (x_s, t_s).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import torch

from salt.flow.path import MeanVelocity, Velocity, interpolate, x0_from_velocity
from salt.flow.shapes import PerSample, Places, State
from salt.flow.transport import Renoise, cm_step, euler_operator, euler_step, velocity_of_step


@dataclass(frozen=True, eq=False)
class Sample:
    """One evaluation of a student per sample; v_s and x_0 carry the gradient."""

    x_s: State
    """States at t_s; constant, but on the way of a flow map."""
    t_s: PerSample
    v_s: State
    """The student's velocity at (x_s, t_s)."""
    x_0: State
    """The clean sample it predicts, x_s - t_s v_s."""
    index: Places
    """Place of t_s in the grid."""
    velocity: Velocity
    """The student, conditioned as it was for v_s."""


def noised_data(velocity: Velocity, x_0_data: State, grid: Sequence[float], noise: State, index: Places) -> Sample:
    """Evaluate the student on data noised to t_s = grid[index] (App. B: no backward simulation)."""
    t_s = noise.new_tensor(grid)[index]
    return evaluate(velocity, interpolate(x_0_data, noise, t_s), t_s, index)


def backward_simulation(
    velocity: Velocity, noise: State, grid: Sequence[float], index: Places, renoise: Renoise, steps: int = 0
) -> Sample:
    """Evaluate the student on its own states: the consistency sampler runs from `noise` to t_s = grid[index].

    The states before are constants (no gradient). The batch takes the steps its last sample needs, max(index), or
    `steps` where those are more; a sample that has reached its t_s waits there. `renoise(i, like)` is the sampler's, so
    a sample gets the states that `cm_sample` would have given it.
    """
    x = noise
    with torch.no_grad():
        for i, (t, s) in enumerate(islice(pairwise(grid), max(steps, int(index.max())))):
            moved = cm_step(x, velocity_of_step(velocity, x, t, 0.0), renoise(i, x), t, s)
            x = torch.where((index > i).view(-1, *[1] * (x.ndim - 1)), moved, x)
    return evaluate(velocity, x, noise.new_tensor(grid)[index], index)


def flow_map_simulation(velocity: MeanVelocity, noise: State, grid: Sequence[float], index: Places) -> Sample:
    """AnyFlow's backward simulation: from noise to t_s = grid[index], from there to the next level, and then to 0.

    Each is one step of the flow map, and all three carry the gradient, as published. Where a sample is there already, a
    step is of no length.
    """
    psi, levels = euler_operator(velocity), noise.new_tensor((*grid, 0.0))
    t_s, t_e = levels[index], levels[index + 1]
    x_s = psi(noise, grid[0], t_s)
    v_s = velocity.mean_velocity(x_s, t_s, t_e)
    x_0 = psi(euler_step(x_s, v_s, t_s, t_e), t_e, 0.0)
    return Sample(x_s, t_s, v_s, x_0, index, velocity)


def evaluate(velocity: Velocity, x_s: State, t_s: PerSample, index: Places) -> Sample:
    """The sample of one evaluation of the student."""
    v_s = velocity(x_s, t_s)
    return Sample(x_s, t_s, v_s, x0_from_velocity(x_s, v_s, t_s), index, velocity)
