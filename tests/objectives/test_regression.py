"""The flow matching loss."""

import torch
from torch.testing import assert_close

from salt.flow.path import batch_time, interpolate
from salt.objectives.regression import flow_matching_loss


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
