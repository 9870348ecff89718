"""Regression: what teachers are trained with, critics on the student's samples, and first students on trajectories."""

from salt.flow.path import velocity_target
from salt.flow.shapes import PerSample, State


def flow_matching_loss(v_pred: State, x_0: State, eps: State) -> PerSample:
    """Return mean((v_pred - (eps - x_0))^2) over the elements of each sample."""
    return velocity_loss(v_pred, velocity_target(x_0, eps))


def velocity_loss(v_pred: State, v: State) -> PerSample:
    """Return mean((v_pred - v)^2) over the elements of each sample."""
    return (v_pred - v).square().flatten(1).mean(1)


def ode_loss(x_0: State, end: State) -> PerSample:
    """Return mean((x_0 - end)^2) over each sample: the student's jump from a trajectory against the trajectory's end.

    The regression that CausVid (arXiv 2412.07772, Sec. 4.3) and its successors start causal students with.
    """
    return (x_0 - end).square().flatten(1).mean(1)
