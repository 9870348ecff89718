"""The flow matching loss, and its weight over t."""

import pytest
import torch
from torch.testing import assert_close

from salt.flow.grid import shift_time
from salt.flow.path import batch_time, interpolate
from salt.objectives.regression import bell, flow_matching_loss


def test_mean_square_of_each_sample(randn):
    x_0, eps, v = randn(3, 2, 4), randn(3, 2, 4), randn(3, 2, 4)
    expected = torch.stack([((v[i] - (eps[i] - x_0[i])) ** 2).sum() / 8 for i in range(3)])
    assert_close(flow_matching_loss(v, x_0, eps), expected)
    assert_close(flow_matching_loss(eps - x_0, x_0, eps), torch.zeros(3, dtype=torch.float64))


def test_its_minimiser_is_the_field_of_the_flow(randn, gaussian):
    """Among fields v + a x_t + b, the gradient of the mean loss vanishes at a = b = 0 for a Gaussian."""
    z, eps = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2).T.unsqueeze(-1)
    x_0 = gaussian.mean + gaussian.std * z
    x_t = interpolate(x_0, eps, 0.6)
    a, b = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = flow_matching_loss(gaussian.velocity(x_t, batch_time(0.6, x_t)) + a * x_t + b, x_0, eps).mean()
    assert_close(torch.stack(torch.autograd.grad(loss, (a, b))), torch.zeros(2, dtype=torch.float64))
    assert loss > 0.1, "the field is a mean: a single sample's velocity differs from it"


@pytest.mark.parametrize("shift", [1.0, 5.0])
def test_a_bell_weighs_the_middle_most_and_has_mean_1_over_its_table(shift: float) -> None:
    table = shift_time(1 - torch.arange(1000, dtype=torch.float64) / 1000, shift)
    weights = bell(table, shift)
    assert weights.mean().item() == pytest.approx(1)
    assert weights[0].item() == pytest.approx(0, abs=1e-12)
    assert weights.min() >= 0
    middle, away = bell(torch.tensor([0.5, 0.3, 0.7]), shift)[0], bell(torch.tensor([0.3, 0.7]), shift)
    assert middle > away[0]
    torch.testing.assert_close(away[0], away[1])
