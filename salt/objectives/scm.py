"""Continuous-time consistency (sCM): the student's clean prediction should not change along the teacher's path.

sCM (Lu and Song 2024, arXiv 2410.11081), which rCM (Zheng et al. 2025, arXiv 2510.08431) regularises by DMD. Setting:
the path of TrigFlow in place of the straight one, x = cos(a) x_0 + sin(a) eps with an angle a in (0, pi/2), `(B,)`;
networks predict F = dx/da, and f = cos(a) x - sin(a) F is their clean prediction. x and F are `(B, ...)`.
"""

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import mse_loss

from salt.flow.path import Velocity, expand
from salt.flow.shapes import PerSample, Scalar, State

Derivative: TypeAlias = Literal["forward_mode", "difference"]

NORM_OFFSET = 0.1
"""c of g / (|g| + c)."""


def trigflow(velocity: Velocity) -> Velocity:
    """F(x, a) of a network of the straight path, where t = sin / (sin + cos) and the state is x / (sin + cos)."""

    def field(x: Tensor, a: Tensor) -> Tensor:
        cos, sin = expand(a.cos(), x), expand(a.sin(), x)
        v = velocity(x / (cos + sin), a.sin() / (a.cos() + a.sin())).to(x.dtype)
        return (v + (cos - sin) * x) / (cos + sin)

    return field


@torch.no_grad()
def jvp_along_path(field: Velocity, x: State, a: PerSample, f_teacher: State, how: Derivative, step: float) -> State:
    """Return cos(a) sin(a) dF/da along the teacher's path, on which dx/da is its F.

    Args:
        field: the student's F.
        x: states at `a`.
        a: angles.
        f_teacher: the teacher's F at (x, a).
        how: `forward_mode` differentiates exactly, with attention in its plain form, the only one that has such a
            derivative; `difference` compares with the state that the path had at a - `step`.
        step: radians; for `difference`.
    """
    cos, sin = expand(a.cos(), x), expand(a.sin(), x)
    if how == "forward_mode":
        with sdpa_kernel([SDPBackend.MATH]):
            derivative: Tensor = torch.func.jvp(field, (x, a), (cos * sin * f_teacher, a.cos() * a.sin()))[1]
        return derivative
    h = torch.full_like(a, step)
    back_cos, back_sin = expand(h.cos(), x), expand(h.sin(), x)
    before = field(back_cos * x - back_sin * f_teacher, a - h)
    return cos * sin * (back_cos * field(x, a) - before) / back_sin


@torch.no_grad()
def scm_tangent(
    f: State, f_teacher: State, derivative: State, x: State, a: PerSample, share: float, whole: bool
) -> State:
    """The direction g in which F has to move, of norm |g| / (|g| + c) in each sample.

    With `share` = 1, g is cos(a) df/da. Smaller ones, of the first updates, leave out a part of what the path says, x
    and unless it is `whole` the derivative, and the difference to the teacher counts more.
    """
    cos, sin = expand(a.cos(), x), expand(a.sin(), x)
    along = (1.0 if whole else share) * derivative
    g = -cos * (1 - share**2 * sin**2).sqrt() * (f - f_teacher) - (share * cos * sin * x + along)
    return g / (expand(g.flatten(1).norm(dim=1), g) + NORM_OFFSET)


def scm_loss(f: State, g: State) -> Scalar:
    """Return mean((F - sg(F) - g)^2), whose gradient with respect to F is -2 g / N, N the number of elements of F."""
    return mse_loss(f, f.detach() + g)
