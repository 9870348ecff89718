"""Distribution matching: move the student's samples along the difference of two scores.

Setting: x_0 is a sample of the student, x_t = (1 - t) x_0 + t eps its noised copy; x0_fake and x0_real are what the
critic and the (guided) teacher predict as clean data from x_t. All are `(B, ...)`.
"""

from typing import Literal, TypeAlias, assert_never

import torch
from torch.nn.functional import mse_loss

from salt.flow.path import expand
from salt.flow.shapes import Scalar, State

Normaliser: TypeAlias = Literal["per_sample", "global", "none"]

SMALLEST_NORMALISER = 1e-6


@torch.no_grad()
def dmd_direction(x_0: State, x0_fake: State, x0_real: State, normaliser: Normaliser) -> State:
    """Eq. (4): the direction g = (x0_fake - x0_real) / n, along which x_0 has to decrease.

    Scores and clean predictions differ by known factors: s_fake - s_real = (1 - t) / t^2 (x0_fake - x0_real), and
    dx_t / dx_0 = 1 - t. So the integrand of Eq. (4) is n (1 - t)^2 / t^2 times g dx_0 / dtheta: g is the paper's
    direction with another positive weight over t. The normaliser n is the mean of |x_0 - x0_real| over each sample
    (`per_sample`), over the batch (`global`), or 1 (`none`), and at least `SMALLEST_NORMALISER`. A NaN stays a NaN, so
    that training can stop on it.
    """
    distance = (x_0 - x0_real).abs()
    match normaliser:
        case "per_sample":
            n = expand(distance.flatten(1).mean(1), x_0)
        case "global":
            n = distance.mean()
        case "none":
            return x0_fake - x0_real
        case _:
            assert_never(normaliser)
    return (x0_fake - x0_real) / n.clamp(min=SMALLEST_NORMALISER)


def dmd_loss(x_0: State, direction: State) -> Scalar:
    """Return the loss 0.5 mean((x_0 - sg(x_0 - g))^2), whose gradient with respect to x_0 is g / N.

    N is the number of elements of x_0; the value is 0.5 mean(g^2) and says nothing about convergence.
    """
    return 0.5 * mse_loss(x_0, (x_0 - direction).detach())
