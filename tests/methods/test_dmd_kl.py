"""Eq. (4) by an independent route: the term's gradient is that of a KL divergence, computed on a grid.

A student with a handful of parameters theta turns numbers z into x_0, at nodes z_k with weights w_k. So p_theta,t is a
mixture of Gaussians, one about each (1 - t) x_0(z_k), and so is the teacher's p_t; both are written out here from the
file's numbers. Their KL divergence is a sum over a fine grid, and autograd gives its gradient.

The other route is the repository's: `DistributionMatching` with the exact teacher, and in place of the critic the
velocity of p_theta,t. It is asked at all (z_k, eps_j), eps_j nodes of Gauss and Hermite in place of Monte Carlo. Its
gradient at x_0 is g / N. With the weights, and n (1 - t)^2 / t^2 as `dmd_direction` says, it must be the first.
"""

from collections.abc import Callable
from math import log, pi

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from salt.config.noise import NoiseLaw
from salt.data.exact import modes_of
from salt.methods.draws import Draws
from salt.methods.rollouts import RolloutOutput, build_rollout
from salt.methods.terms import Components, build_terms
from salt.models.exact import ExactTeacher
from salt.models.protocol import Batch
from salt.rollout import Sample
from salt.streams import Streams
from support.lab import arm, mixture, text_of

TIMES = (0.4, 0.6, 0.8)
THETA = (0.5, 0.4, 0.5, 0.3, 0.25, 0.4)
CLOSE = 1e-6
Factor = Callable[[float], float]


def eq_4(t: float) -> float:
    """What g / n lacks to be the integrand of Eq. (4)."""
    return (1 - t) ** 2 / t**2


def hermite(number: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the mean over N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(number)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())


def plane(number: int) -> tuple[Tensor, Tensor]:
    """Of the mean over N(0, I) in the plane; nodes of no weight are left out."""
    nodes, weights = hermite(number)
    points, shares = torch.cartesian_prod(nodes, nodes), torch.cartesian_prod(weights, weights).prod(1)
    return points[shares > 1e-14], shares[shares > 1e-14]


def student(theta: Tensor, z: Tensor) -> Tensor:
    """Four affine numbers and two that bend: `(K, 2)` -> `(K, 2)`."""
    first = theta[0] + theta[2] * z[:, 0] + theta[4] * torch.sin(2 * z[:, 1])
    return torch.stack([first, theta[1] + theta[3] * z[:, 1] + theta[5] * torch.tanh(z[:, 0])], dim=1)


def log_noised(x: Tensor, t: float, means: Tensor, spreads: Tensor, weights: Tensor) -> Tensor:
    """log p_t of a mixture of axis-parallel Gaussians, `(P, 2)` -> `(P,)`."""
    variance = ((1 - t) * spreads) ** 2 + t**2
    distance = (x[:, None] - (1 - t) * means) ** 2 / variance
    each = -0.5 * (distance + variance.log()).sum(2) - log(2 * pi)
    return torch.logsumexp(each + weights.log(), dim=1)


def log_teacher(x: Tensor, t: float, caption: str) -> Tensor:
    modes = mixture().captions[caption]
    numbers = [[*m.mean, *m.spread, m.weight] for m in modes]
    means, spreads, weights = torch.tensor(numbers, dtype=torch.float64).split([2, 2, 1], dim=1)
    return log_noised(x, t, means, spreads, weights[:, 0])


def log_student(x: Tensor, t: float, x_0: Tensor, weights: Tensor) -> Tensor:
    return log_noised(x, t, x_0, torch.zeros_like(x_0), weights)


def brute_force(t: float, caption: str, z: Tensor, weights: Tensor) -> tuple[float, Tensor]:
    """KL(p_theta,t || p_t) as a sum over a grid of the plane, and its gradient by autograd."""
    axis = torch.arange(-6, 6, 0.08, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    theta = torch.tensor(THETA, dtype=torch.float64, requires_grad=True)
    fake = log_student(grid, t, student(theta, z), weights)
    assert abs(fake.exp().sum().item() * 0.08**2 - 1) < 1e-9
    divergence = (fake.exp() * (fake - log_teacher(grid, t, caption))).sum() * 0.08**2
    (gradient,) = torch.autograd.grad(divergence, theta)
    return divergence.item(), gradient


class OwnScore(nn.Module):
    """The critic at its optimum: the velocity of p_theta,t, by autograd of its density."""

    def __init__(self, x_0: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.x_0, self.weights = x_0.detach(), weights

    @torch.enable_grad()
    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        x, time = x_t.flatten(1).detach().requires_grad_(True), t[0].item()
        (score,) = torch.autograd.grad(log_student(x, time, self.x_0, self.weights).sum(), x)
        x_0 = (x + time**2 * score) / (1 - time)  # Tweedie
        return ((x - x_0) / time).detach().view_as(x_t)


class Nodes(Draws):
    """One t, and eps at its nodes."""

    def __init__(self, t: float, eps: Tensor) -> None:
        super().__init__(Streams(0), len(eps))
        object.__setattr__(self, "given", (eps.new_full((len(eps),), t), eps))

    def noising(self, law: NoiseLaw, role: str, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        return self.given


def by_the_term(
    t: float, caption: str, z: Tensor, weights: Tensor, factor: Factor = eq_4, critic_of: Tensor | None = None
) -> Tensor:
    """The gradient that the lab's DMD gives to theta, with the exact teacher, in float64."""
    setting = arm("dmd_8", objectives__dmd__normaliser="none")
    dmd = setting.objectives.dmd
    assert dmd is not None
    assert (dmd.teacher, dmd.cfg_weight) == ("exact", 1.0)
    eps, shares = plane(56)
    both = (weights[:, None] * shares).flatten()  # of every (z_k, eps_j)
    size = len(both)
    theta = torch.tensor(THETA, dtype=torch.float64, requires_grad=True)
    clean = student(theta, z)
    x_0 = clean.repeat_interleave(len(eps), 0).view(size, 2, 1, 1, 1)
    # the term weighs all samples alike: what it is to weigh by comes in where its gradient leaves it
    x_0.register_hook(lambda gradient: gradient * gradient.numel() * factor(t) * both.view(-1, 1, 1, 1, 1))
    world = mixture()
    draws = Nodes(t, eps.repeat(len(z), 1).view(size, 2, 1, 1, 1))
    critic = OwnScore(clean if critic_of is None else critic_of, weights)
    teacher = ExactTeacher(modes_of(world))
    rollout = build_rollout(setting, nn.Identity(), draws)
    components = Components(nn.Identity(), critic, teacher, setting.grid, rollout, draws)
    (term,) = build_terms(setting.objectives, components)
    batch = Batch(x_0.detach(), text_of(world, caption, size), text_of(world, "", 1), tuple(range(size)))
    none = Sample(x_0, x_0.new_ones(size), x_0, x_0, torch.zeros(size, dtype=torch.int64), lambda x, t: x)
    loss, _ = term.loss(lambda: RolloutOutput(none, x_0, 8), batch, 0)
    loss.backward()
    assert theta.grad is not None
    return theta.grad


@pytest.fixture(scope="module")
def nodes() -> tuple[Tensor, Tensor]:
    """z: what little of a plane's quadrature makes a curved cloud of points."""
    points, weights = hermite(4)
    return torch.cartesian_prod(points, points), torch.cartesian_prod(weights, weights).prod(1)


@pytest.mark.parametrize("caption", ["left", "right"])
@pytest.mark.parametrize("t", TIMES)
def test_the_terms_gradient_is_that_of_the_kl_divergence(nodes: tuple[Tensor, Tensor], t: float, caption: str) -> None:
    divergence, expected = brute_force(t, caption, *nodes)
    got = by_the_term(t, caption, *nodes)
    assert divergence > 0
    assert expected.norm() > 0.01, "a gradient of nothing shows nothing"
    assert (got - expected).norm() / expected.norm() < CLOSE


@pytest.mark.parametrize(
    "factor",
    [lambda t: -eq_4(t), lambda t: 1.0, lambda t: (1 - t) / t**2, lambda t: (1 - t) / t, lambda t: 1.01 * eq_4(t)],
    ids=["sign", "none", "of scores", "of velocities", "a percent more"],
)
def test_another_sign_or_factor_is_seen(nodes: tuple[Tensor, Tensor], factor: Factor) -> None:
    expected = brute_force(0.4, "left", *nodes)[1]
    got = by_the_term(0.4, "left", *nodes, factor)
    assert (got - expected).norm() / expected.norm() > 0.005


def test_a_critic_of_another_student_is_seen(nodes: tuple[Tensor, Tensor]) -> None:
    z, weights = nodes
    expected = brute_force(0.5, "left", z, weights)[1]
    other = student(torch.tensor(THETA, dtype=torch.float64) + 0.1, z)
    got = by_the_term(0.5, "left", z, weights, critic_of=other)
    assert (got - expected).norm() / expected.norm() > 0.01


def test_the_other_caption_is_seen(nodes: tuple[Tensor, Tensor]) -> None:
    expected = brute_force(0.5, "left", *nodes)[1]
    assert (by_the_term(0.5, "right", *nodes) - expected).norm() / expected.norm() > 0.1


def test_autograd_on_the_grid_is_a_finite_difference(
    nodes: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The brute-force route against one that needs no autograd."""
    t, step = 0.5, 1e-5
    gradient = brute_force(t, "left", *nodes)[1]
    for i in (0, 5):
        ends = []
        for sign in (1, -1):
            moved = tuple(value + sign * step * (i == place) for place, value in enumerate(THETA))
            with monkeypatch.context() as patch:
                patch.setitem(brute_force.__globals__, "THETA", moved)
                ends.append(brute_force(t, "left", *nodes)[0])
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(gradient[i].item(), rel=1e-6)
