"""The direction of distribution matching and its loss, against scores and divergences that are known."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.testing import assert_close

from salt.flow.path import interpolate, score_from_x0
from salt.objectives.dmd import SMALLEST_NORMALISER, dmd_direction, dmd_loss

SHAPE = (3, 2, 4)


def test_gradient_of_the_loss_is_the_direction_over_n(randn):
    """Eq. (4): by automatic differentiation; the value is half the mean square of the direction."""
    x_0, g = randn(*SHAPE).requires_grad_(), randn(*SHAPE)
    loss = dmd_loss(x_0, g)
    (gradient,) = torch.autograd.grad(loss, x_0)
    assert_close(gradient, g / g.numel())
    assert_close(loss, 0.5 * g.square().mean())


@pytest.mark.parametrize(
    ("normaliser", "n"),
    [
        ("per_sample", lambda d: d.abs().mean((1, 2), keepdim=True)),
        ("global", lambda d: d.abs().mean()),
        ("none", lambda d: 1.0),
    ],
)
def test_normalisers(randn, normaliser, n):
    x_0, fake, real = randn(*SHAPE), randn(*SHAPE), randn(*SHAPE)
    assert_close(dmd_direction(x_0, fake, real, normaliser), (fake - real) / n(x_0 - real))


def test_only_the_global_normaliser_looks_at_other_samples(randn):
    x_0, fake, real = randn(*SHAPE), randn(*SHAPE), randn(*SHAPE)
    for normaliser, same in (("per_sample", True), ("none", True), ("global", False)):
        whole = dmd_direction(x_0, fake, real, normaliser)
        alone = torch.cat([dmd_direction(*(a[i : i + 1] for a in (x_0, fake, real)), normaliser) for i in range(3)])
        assert torch.allclose(whole, alone) is same


@pytest.mark.parametrize("normaliser", ["per_sample", "global"])
def test_a_perfect_sample_does_not_divide_by_zero(randn, normaliser):
    x_0, fake = randn(*SHAPE), randn(*SHAPE)
    assert_close(dmd_direction(x_0, fake, x_0, normaliser), (fake - x_0) / SMALLEST_NORMALISER)


@pytest.mark.parametrize("normaliser", ["per_sample", "global", "none"])
@pytest.mark.parametrize("broken", range(3))
def test_nan_is_not_hidden(randn, normaliser, broken):
    tensors = [randn(*SHAPE) for _ in range(3)]
    tensors[broken][1, 0, 0] = torch.nan
    assert dmd_loss(tensors[0], dmd_direction(*tensors, normaliser)).isnan()


def test_the_direction_is_a_constant(randn):
    x_0, fake, real = (randn(*SHAPE).requires_grad_() for _ in range(3))
    assert not dmd_direction(x_0, fake, real, "per_sample").requires_grad


@pytest.mark.parametrize("t", [0.05, 0.5, 0.95])
def test_direction_is_a_positive_multiple_of_the_score_difference(randn, gaussian_flow, t):
    """Eq. (4): s_fake - s_real = (1 - t) / t^2 (x0_fake - x0_real), for two Gaussians with known scores."""
    student, teacher = gaussian_flow(0.5, 0.3), gaussian_flow(-1.0, 0.8)
    x_0, eps = randn(6, 2), randn(6, 2)
    x_t = interpolate(x_0, eps, t)
    fake, real = student.posterior_mean(x_t, t), teacher.posterior_mean(x_t, t)
    scores = student.score(x_t, t) - teacher.score(x_t, t)
    assert_close(score_from_x0(x_t, fake, t) - score_from_x0(x_t, real, t), scores)
    n = (x_0 - real).abs().mean(1, keepdim=True)
    assert_close(dmd_direction(x_0, fake, real, "per_sample") * n * (1 - t) / t**2, scores)


@pytest.mark.parametrize("t", [0.05, 0.5, 0.95])
def test_loss_descends_the_kl_divergence_of_the_noised_distributions(gaussian_flow, t):
    """Eq. (4): its expectation over z and eps is the gradient of KL(student_t || teacher_t).

    The integrand is quadratic in z and eps, so their values -1 and 1 with equal weights give the exact expectation.
    """
    teacher = gaussian_flow(-1.0, 0.8)
    mean, std = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.5, 0.3))
    z, eps = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2).T.unsqueeze(-1)

    x_0 = mean + std * z
    x_t = interpolate(x_0, eps, t).detach()
    fake = gaussian_flow(mean.item(), std.item()).posterior_mean(x_t, t)
    loss = dmd_loss(x_0, dmd_direction(x_0, fake, teacher.posterior_mean(x_t, t), "none"))
    ours = torch.autograd.grad(loss, (mean, std))

    variance = (1 - t) ** 2 * std**2 + t**2
    student_t = Normal((1 - t) * mean, variance.sqrt())
    teacher_t = Normal(
        torch.tensor((1 - t) * teacher.mean, dtype=torch.float64),
        torch.tensor(teacher.variance(t), dtype=torch.float64).sqrt(),
    )
    exact = torch.autograd.grad(kl_divergence(student_t, teacher_t), (mean, std))
    assert_close(torch.stack(ours) * (1 - t) ** 2 / t**2, torch.stack(exact))
