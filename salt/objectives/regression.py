"""Regression of the velocity: what teachers are trained with, and critics on the student's samples."""

from salt.flow.path import velocity_target
from salt.flow.shapes import PerSample, State


def flow_matching_loss(v_pred: State, x_0: State, eps: State) -> PerSample:
    """Return mean((v_pred - (eps - x_0))^2) over the elements of each sample."""
    return (v_pred - velocity_target(x_0, eps)).square().flatten(1).mean(1)
