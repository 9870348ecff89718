"""Self-consistency: penalise the semigroup defect of the student's Euler operator.

Setting: x_s `(B, ...)` is a state at t_s `(B,)`, v_s the student's velocity there (it carries the gradient), and
t_s > t_m > t_e `(B,)` a triple of Eq. (9) for each sample, or none (`valid` is False).
"""

from typing import Literal, TypeAlias, assert_never

import torch

from salt.flow.path import Velocity
from salt.flow.semigroup import composed_endpoint, direct_endpoint, sc_loss
from salt.flow.shapes import Flags, PerSample, State

StopGradient: TypeAlias = Literal["none", "composed"]
TimeWeight: TypeAlias = Literal["none", "one_minus_ts"]


def sc_objective(
    velocity: Velocity,
    x_s: State,
    v_s: State,
    t_s: PerSample,
    t_m: PerSample,
    t_e: PerSample,
    valid: Flags,
    stop_gradient: StopGradient,
    time_weight: TimeWeight,
) -> PerSample:
    """Return Eq. (8) of each sample, 0 where it has no triple, at the price of one evaluation of `velocity`.

    Args:
        velocity: the student, with its condition bound.
        x_s: states at t_s.
        v_s: velocity(x_s, t_s), already evaluated.
        t_s: the triple's times, with t_m and t_e.
        t_m: see t_s.
        t_e: see t_s.
        valid: which samples have a triple. If none has, all are 0 and their gradient exists and is 0.
        stop_gradient: `none` is Eq. (8) as written; `composed` makes x_2 a constant target, as the released trainer.
        time_weight: `one_minus_ts` multiplies each sample by 1 - t_s, as the released trainer; `none` by 1.
    """
    x_1 = direct_endpoint(x_s, v_s, t_s, t_e)
    with torch.set_grad_enabled(torch.is_grad_enabled() and stop_gradient == "none"):
        x_2 = composed_endpoint(velocity, x_s, v_s, t_s, t_m, t_e)
    loss = sc_loss(x_1, x_2) * valid
    match time_weight:
        case "one_minus_ts":
            return loss * (1 - t_s)
        case "none":
            return loss
        case _:
            assert_never(time_weight)
