"""Regression: what teachers are trained with, critics on the student's samples, and first students on trajectories."""

import torch
from torch import Tensor

from salt.flow.grid import shift_time
from salt.flow.path import velocity_target
from salt.flow.shapes import PerSample, State


def flow_matching_loss(v_pred: State, x_0: State, eps: State) -> PerSample:
    """Return mean((v_pred - (eps - x_0))^2) over the elements of each sample."""
    return velocity_loss(v_pred, velocity_target(x_0, eps))


def velocity_loss(v_pred: State, v: State) -> PerSample:
    """Return mean((v_pred - v)^2) over the elements of each sample."""
    return (v_pred - v).square().flatten(1).mean(1)


BELL_TIMES = 1000
"""Entries of the table over which a bell has mean 1."""


def bell(t: Tensor, shift: float) -> Tensor:
    """exp(-2 (t - 1/2)^2) less its least value, of mean 1 over a table of times shifted by s; `(B,)` -> `(B,)`.

    Source: Self-Forcing, utils/scheduler.py (training_weight). The table begins at 1 and leaves out 0.
    """
    table = shift_time(1 - torch.arange(BELL_TIMES, dtype=torch.float64) / BELL_TIMES, shift)
    heights = (-2 * (table - 0.5).square()).exp()
    least, mean = float(heights.min()), float((heights - heights.min()).mean())
    return ((-2 * (t - 0.5).square()).exp() - least) / mean


def ode_loss(x_0: State, end: State) -> PerSample:
    """Return mean((x_0 - end)^2) over each sample: the student's jump from a trajectory against the trajectory's end.

    The regression that CausVid (arXiv 2412.07772, Sec. 4.3) and its successors start causal students with.
    """
    return (x_0 - end).square().flatten(1).mean(1)
