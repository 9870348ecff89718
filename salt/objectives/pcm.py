"""Phased consistency (PCM, arXiv 2405.18407): from any time of a phase the student jumps to the phase's end.

Setting: times fall from 1 to 0, through levels that end a phase each. A state x at t and its successor x_next at t_next
lie on a teacher's path, t > t_next >= t_e, with t_e the end of the phase that t lies in; all times `(B,)`.
"""

import torch

from salt.flow.path import Velocity, expand
from salt.flow.shapes import PerSample, State
from salt.flow.transport import euler_step


def phase_ends(fine: int, phases: int) -> list[int]:
    """For each of `fine` levels the number of the level that ends its phase; `fine` stands for time 0."""
    each = fine // phases
    return [(n // each + 1) * each for n in range(fine)]


def phased_target(velocity: Velocity, x_next: State, t_next: PerSample, t_e: PerSample) -> State:
    """Where the student itself arrives from x_next, without gradient; x_next where the phase ends there."""
    with torch.no_grad():
        return euler_step(x_next, velocity(x_next, t_next), t_next, t_e)


def phased_consistency_loss(x_e: State, target: State, huber: float) -> PerSample:
    """Return mean(sqrt((x_e - target)^2 + huber^2) - huber) over the elements of each sample (pseudo-Huber)."""
    return (((x_e - target).square() + huber**2).sqrt() - huber).flatten(1).mean(1)


def renoised(x_e: State, noise: State, t_e: PerSample, t: PerSample) -> State:
    """A state at t_e < 1, noised to t >= t_e, as in PCM's code: ((1 - t) x_e + (t - t_e) noise) / (1 - t_e).

    Were `noise` the noise that x_e has, this would be the path itself. It is fresh, so what comes out has a little less
    noise than belongs to t, unless t_e is 0.
    """
    t_e, t = expand(t_e, x_e), expand(t, x_e)
    return ((1 - t) * x_e + (t - t_e) * noise) / (1 - t_e)
