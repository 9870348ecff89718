"""The law of flow maps in t: on Gaussian data the mean velocity is known, and is where the loss vanishes."""

import pytest
import torch

from salt.flow.grid import shift_time
from salt.flow.path import interpolate
from salt.objectives.flow_map import balanced, derivative_along_path, flow_map_target, flow_map_weight


def test_the_exact_mean_of_a_gaussian_flow_is_what_is_regressed(gaussian):
    """E[v - (t - s) du/dt | x_t] = u: both sides are affine in x_t, so that their coefficients can be compared."""
    generator = torch.Generator().manual_seed(0)
    x_0 = gaussian.mean + gaussian.std * torch.randn(400_000, 1, generator=generator).double()
    eps = torch.randn(400_000, 1, generator=generator).double()

    def mean(x_t, t, s):
        one, other = t[0].item(), s[0].item()  # all samples have the same
        return (x_t - gaussian.flow_map(x_t, one, other)) / (one - other)

    for t, s in ((0.9, 0.3), (0.5, 0.0), (0.98, 0.9)):
        times = [torch.full((400_000,), each).double() for each in (t, s)]
        target = flow_map_target(x_0, eps, *times, derivative_along_path(mean, x_0, eps, *times, 1e-4))
        x_t = interpolate(x_0, eps, times[0])
        design = torch.cat([x_t, torch.ones_like(x_t)], dim=1)
        found = torch.linalg.lstsq(design, target).solution.flatten()
        exact = torch.linalg.lstsq(design[:100], mean(x_t, *times)[:100]).solution.flatten()
        assert found.tolist() == pytest.approx(exact.tolist(), abs=0.01)


def test_the_derivative_of_a_known_function(randn):
    x_0, eps = randn(4, 3), randn(4, 3)
    t = torch.tensor([0.5, 0.5, 1.0, 0.3]).double()
    s = torch.tensor([0.2, 0.5, 0.2, 0.2999]).double()

    def mean(x_t, time, later):
        return x_t * time.view(-1, 1)  # its derivative: x_t + t v

    found = derivative_along_path(mean, x_0, eps, t, s, 1e-5)
    wide = t.view(-1, 1)
    exact = interpolate(x_0, eps, t) + wide * (eps - x_0)
    exact[1] = 0  # s = t
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-3)
    assert not found.requires_grad


def test_where_s_is_t_it_is_flow_matching(randn):
    x_0, eps, t = randn(3, 2), randn(3, 2), torch.full((3,), 0.4).double()
    assert torch.equal(flow_map_target(x_0, eps, t, t, randn(3, 2)), eps - x_0)


def test_the_weight_has_mean_1_over_shifted_times_and_vanishes_at_both_ends():
    u = torch.linspace(1, 0, 1001, dtype=torch.float64)[:-1]
    for shift in (1.0, 5.0):
        assert flow_map_weight(shift_time(u, shift), shift).mean().item() == pytest.approx(1)
    ends = flow_map_weight(torch.tensor([0.0, 1.0, 2 / 3]).double(), 5.0)
    assert ends[:2].tolist() == [0, 0]
    assert ends[2] > 1


def test_losses_are_balanced_and_keep_their_gradients_directions():
    losses = torch.tensor([1.0, 3.0, 8.0, 0.5]).double().requires_grad_()
    which = torch.tensor([True, True, False, False])
    found = balanced(losses, which, "per_sample")
    assert found.tolist() == pytest.approx([1, 3, 2, 2], rel=1e-4)
    found.sum().backward()
    assert losses.grad.tolist() == pytest.approx([1, 1, 2 / 8, 2 / 0.5], rel=1e-4)
    alone = balanced(losses.detach(), torch.zeros(4, dtype=torch.bool), "per_sample")
    assert alone.tolist() == pytest.approx([3.125] * 4, rel=1e-4)
    factor = 2 / 4.25
    assert balanced(losses.detach(), which, "batch").tolist() == pytest.approx(
        [1, 3, 8 * factor, 0.5 * factor], rel=1e-4
    )
    assert torch.equal(balanced(losses.detach(), torch.ones(4, dtype=torch.bool), "batch"), losses.detach())
