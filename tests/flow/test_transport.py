"""The Euler operator and the two samplers, against closed forms and diffusers' schedulers."""

from itertools import pairwise

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler
from torch.testing import assert_close

from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.path import x0_from_velocity
from salt.flow.transport import cm_sample, cm_step, euler_operator, euler_sample, euler_step

SHAPE = (2, 4, 3)


def network(x, t):
    """Any smooth field that depends on the state and on the time of each sample."""
    return torch.sin(2 * x) + t.reshape(-1, *[1] * (x.ndim - 1)) * x.flip(-1)


def diffusers_sample(scheduler, noise, grid_before_shift, **options):
    scheduler.set_timesteps(sigmas=grid_before_shift)
    x = noise
    for timestep in scheduler.timesteps:
        v = network(x, (timestep / 1000).expand(len(x)))
        x = scheduler.step(v, timestep, x, **options).prev_sample
    return x


@pytest.mark.parametrize("shift", [1.0, 5.0, 12.0])
@pytest.mark.parametrize("steps", [1, 4, 8])
def test_euler_equals_diffusers(randn, shift, steps):
    """Eq. (5): the same levels and the same steps as FlowMatchEulerDiscreteScheduler."""
    noise, grid = randn(*SHAPE).float(), time_grid(steps, shift)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs = diffusers_sample(scheduler, noise, [1 - i / steps for i in range(steps)])
    assert scheduler.sigmas.tolist() == pytest.approx([*grid, 0.0])
    assert_close(euler_sample(network, noise, grid), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shift", [1.0, 5.0, 12.0])
@pytest.mark.parametrize("steps", [1, 4, 8])
def test_cm_equals_diffusers(randn, shift, steps):
    noise, grid = randn(*SHAPE).float(), time_grid(steps, shift)
    ours, theirs = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    expected = diffusers_sample(
        FlowMatchLCMScheduler(shift=shift), noise, [1 - i / steps for i in range(steps)], generator=theirs
    )
    got = cm_sample(network, noise, grid, lambda i, like: torch.randn(like.shape, generator=ours))
    assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_euler_is_exact_where_the_velocity_is_constant(randn):
    """Eq. (5): a straight flow takes one step."""
    x, v = randn(*SHAPE), randn(*SHAPE)
    for steps in (1, 2, 8):
        assert_close(euler_sample(lambda x_t, t: v, x, time_grid(steps, 5.0)), x - v)


def test_euler_on_a_linear_flow(randn):
    """Eq. (2), Eq. (5): on v = A x, Euler steps are (1 - h A) x; they approach the flow map exp((s - t) A) x."""
    a, x = randn(3, 3) / 2, randn(4, 3)
    exact = x @ torch.matrix_exp(-a).T
    steps = 2048
    approached = euler_sample(lambda x_t, t: x_t @ a.T, x, time_grid(steps, 1.0))
    one = torch.eye(3, dtype=torch.float64) - a / steps
    assert_close(approached, x @ torch.linalg.matrix_power(one, steps).T)
    assert_close(approached, exact, rtol=0, atol=0.01)


def test_euler_converges_with_first_order(randn, gaussian):
    """Eq. (2), Eq. (5): twice the steps halve the distance to the exact flow map of a Gaussian."""
    x = randn(16, 1)
    exact = gaussian.flow_map(x, 1.0, 0.0)
    errors = [(euler_sample(gaussian.velocity, x, time_grid(n, 1.0)) - exact).norm() for n in (128, 256, 512)]
    for coarse, fine in pairwise(errors):
        assert 1.9 < coarse / fine < 2.1


def test_operator_takes_one_euler_step(randn, gaussian):
    """Eq. (5): with a time for the batch, or one for each sample."""
    x = randn(3, 2)
    t, s = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64), torch.tensor([0.4, 0.1, 0.0], dtype=torch.float64)
    psi, v = euler_operator(gaussian.velocity), gaussian.velocity(x, t)
    assert torch.equal(psi(x, t, s), euler_step(x, v, t, s))
    for i in range(3):
        alone = x[i : i + 1]
        assert_close(psi(x, t, s)[i : i + 1], psi(alone, t[i].item(), s[i].item()))
    assert_close(euler_step(x, v, t, torch.zeros_like(t)), x0_from_velocity(x, v, t))


def test_trajectories_hold_every_state(randn):
    noise, grid = randn(*SHAPE), time_grid(4, 5.0)
    fresh = randn(4, *SHAPE)
    asked = []

    def renoise(i, like):
        asked.append(i)
        return fresh[i]

    euler = euler_sample(network, noise, grid, trajectory=True)
    cm = cm_sample(network, noise, grid, renoise, trajectory=True)
    assert asked == [0, 1, 2], "the last level is not noised again"
    assert len(euler) == len(cm) == 5
    assert torch.equal(euler[0], noise)
    assert torch.equal(cm[0], noise)
    assert torch.equal(euler[-1], euler_sample(network, noise, grid))
    assert torch.equal(cm[-1], cm_sample(network, noise, grid, renoise))
    t = torch.full((2,), grid[1], dtype=torch.float64)
    assert torch.equal(euler[2], euler_step(euler[1], network(euler[1], t), grid[1], grid[2]))
    assert torch.equal(cm[2], cm_step(cm[1], network(cm[1], t), fresh[1], grid[1], grid[2]))


@pytest.mark.parametrize("steps", [1, 4])
def test_one_evaluation_per_level(randn, steps):
    times = []

    def velocity(x, t):
        times.append(t.tolist())
        return x

    grid = time_grid(steps, 5.0)
    euler_sample(velocity, randn(*SHAPE), grid)
    cm_sample(velocity, randn(*SHAPE), grid, lambda i, like: torch.zeros_like(like))
    assert times == 2 * [[t, t] for t in grid]


def test_samplers_refuse_what_is_no_grid(randn):
    with pytest.raises(SaltError, match="times"):
        euler_sample(network, randn(*SHAPE), (1.0, 0.5, 0.0))
    with pytest.raises(SaltError, match="times"):
        cm_sample(network, randn(*SHAPE), (0.5, 1.0), lambda i, like: like)
