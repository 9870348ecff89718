"""Adversarial losses: values and gradients by hand, and the optimum between two Gaussians, which is known."""

from math import exp, log, log1p

import pytest
import torch
from torch.distributions import Normal

from salt.objectives.adversarial import discriminator_loss, gradient_penalty, student_loss

DATA, STUDENT = (Normal(*torch.tensor([mean, 0.8], dtype=torch.float64)) for mean in (1.0, 0.2))
SLOPE, MIDDLE = 0.8 / 0.64, 0.6
"""Of log p_data - log p_student: (1 - .2) / .8^2, and the point at which both are equally likely."""


def test_values_by_hand():
    real, fake = torch.tensor([[0.5, 3.0]]).double(), torch.tensor([[-0.5, 2.0]]).double()
    assert student_loss(fake, "non_saturating").item() == pytest.approx((log1p(exp(0.5)) + log1p(exp(-2))) / 2)
    assert student_loss(fake, "hinge").item() == pytest.approx((1.5 + 0) / 2)
    soft = (log1p(exp(-0.5)) + log1p(exp(-3))) / 2 + (log1p(exp(-0.5)) + log1p(exp(2))) / 2
    assert discriminator_loss(real, fake, "non_saturating").item() == pytest.approx(soft)
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx((0.5 + 0) / 2 + (0.5 + 3) / 2)
    assert gradient_penalty(real, fake).item() == pytest.approx((1 + 1) / 2)


@pytest.mark.parametrize("loss", ["non_saturating", "hinge"])
def test_both_pull_the_logits_apart_and_the_student_pulls_its_own_up(loss, randn):
    real, fake = (randn(6, 3).requires_grad_() for _ in range(2))
    discriminator_loss(real, fake, loss).sum().backward()
    mine, other = fake.detach().requires_grad_(), real.detach()
    student_loss(mine, loss).sum().backward()
    if loss == "non_saturating":
        expected = [-torch.sigmoid(-real) / 3, torch.sigmoid(fake) / 3, -torch.sigmoid(-fake) / 3]
    else:
        expected = [(other < 1) / -3.0, (fake > -1) / 3.0, (fake < 1) / -3.0]
    for gradient, wanted in zip((real.grad, fake.grad, mine.grad), expected, strict=True):
        torch.testing.assert_close(gradient, wanted.detach().double())


def test_in_optimum_it_is_the_log_ratio_of_two_gaussians():
    """The expected loss, on a fine grid, is least for the line that is known."""
    x = torch.linspace(-6, 8, 4001, dtype=torch.float64)
    weights = [each.log_prob(x).exp() * (x[1] - x[0]) for each in (DATA, STUDENT)]
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [line], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        logits, nothing = (line[0] * x + line[1])[:, None], torch.zeros(len(x), 1).double()
        real = weights[0] * (discriminator_loss(logits, nothing, "non_saturating") - log(2))
        fake = weights[1] * (discriminator_loss(nothing, logits, "non_saturating") - log(2))
        loss = (real + fake).sum()
        loss.backward()
        return loss

    least = optimiser.step(closure)
    assert line.tolist() == pytest.approx([SLOPE, -SLOPE * MIDDLE], abs=1e-5)
    ratio = (DATA.log_prob(x) - STUDENT.log_prob(x)).detach()
    shannon = sum(
        (weight * (log(2) + torch.nn.functional.logsigmoid(sign * ratio))).sum()
        for weight, sign in zip(weights, (1, -1), strict=True)
    )
    assert closure().item() == pytest.approx(2 * log(2) - shannon.item(), abs=1e-9), "2 log 2 - 2 JS"
    assert least.item() >= closure().item()


def test_the_hinge_is_least_for_the_sign_of_the_log_ratio(randn):
    x = torch.linspace(-4, 6, 501).double()
    sign = torch.where(x > MIDDLE, 1.0, -1.0).double()

    def expected(logits):
        nothing = torch.zeros(len(x), 1).double()
        real = discriminator_loss(logits[:, None], nothing, "hinge") - 1
        fake = discriminator_loss(nothing, logits[:, None], "hinge") - 1
        return (DATA.log_prob(x).exp() * real + STUDENT.log_prob(x).exp() * fake).sum().item()

    assert all(expected(sign) < expected(sign + 0.3 * randn(len(x))) for _ in range(20))


def test_against_the_optimum_the_student_moves_towards_the_data():
    x = STUDENT.sample((1000,)).requires_grad_()
    student_loss((SLOPE * (x - MIDDLE))[:, None], "non_saturating").sum().backward()
    expected = -torch.sigmoid(-SLOPE * (x - MIDDLE)) * SLOPE
    torch.testing.assert_close(x.grad, expected.detach())
    assert (x.grad < 0).all(), "downhill is up, where the data are"


def test_the_penalty_is_the_gradient_of_a_line_squared():
    generator = torch.Generator().manual_seed(0)
    weight, sigma = torch.tensor([2.0, -1.0]).double(), 0.1
    x, noise = (torch.randn(200_000, 2, generator=generator).double() for _ in range(2))
    penalty = gradient_penalty((x @ weight)[:, None], ((x + sigma * noise) @ weight)[:, None])
    assert penalty.mean().item() == pytest.approx(sigma**2 * weight.square().sum().item(), rel=0.02)
