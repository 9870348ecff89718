"""The path, the conversions and guidance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from salt.flow.path import (
    batch_time,
    cfg_weight_from_extra,
    eps_from_velocity,
    expand,
    guide,
    interpolate,
    score_from_x0,
    velocity_from_x0,
    velocity_target,
    x0_from_velocity,
)

TIMES = st.floats(0.01, 1.0)
SEEDS = st.integers(0, 2**31)


def normal(seed, shape=(3, 2, 4)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_ends_of_the_path(randn):
    x_0, eps = randn(2, 3), randn(2, 3)
    assert torch.equal(interpolate(x_0, eps, 0.0), x_0)
    assert torch.equal(interpolate(x_0, eps, 1.0), eps)


def test_velocity_is_the_time_derivative_of_the_path(randn):
    """Eq. (1): the tangent of the path, by automatic differentiation."""
    x_0, eps = randn(4, 3), randn(4, 3)
    t = torch.tensor([0.0, 0.3, 0.8, 1.0], dtype=torch.float64)
    _, tangent = torch.func.jvp(lambda t: interpolate(x_0, eps, t), (t,), (torch.ones_like(t),))
    assert_close(tangent, velocity_target(x_0, eps))


def test_gaussian_field_is_the_time_derivative_of_its_flow(randn, gaussian):
    """Eq. (1): the mean velocity given x_t moves states along the exact flow map."""
    x_t, t = randn(5, 2), torch.tensor(0.6, dtype=torch.float64)
    _, tangent = torch.func.jvp(lambda s: gaussian.flow_map(x_t, 0.6, s), (t,), (torch.ones_like(t),))
    assert_close(tangent, gaussian.velocity(x_t, batch_time(0.6, x_t)))


@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, t=TIMES)
def test_round_trips(seed, t):
    x_0, eps = normal(seed), normal(seed + 1)
    x_t, v = interpolate(x_0, eps, t), velocity_target(x_0, eps)
    assert_close(x0_from_velocity(x_t, v, t), x_0)
    assert_close(eps_from_velocity(x_t, v, t), eps)
    assert_close(velocity_from_x0(x_t, x0_from_velocity(x_t, v, t), t), v)


@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, times=st.lists(TIMES, min_size=3, max_size=3))
def test_times_per_sample_equal_one_sample_at_a_time(seed, times):
    x, y = normal(seed), normal(seed + 1)
    t = torch.tensor(times, dtype=torch.float64)
    for convert in (interpolate, x0_from_velocity, velocity_from_x0, eps_from_velocity, score_from_x0):
        alone = [convert(x[i : i + 1], y[i : i + 1], times[i]) for i in range(3)]
        assert_close(convert(x, y, t), torch.cat(alone), rtol=1e-12, atol=0)


def test_clean_time_has_no_velocity():
    x = torch.ones(1, 2)
    assert not velocity_from_x0(x, 2 * x, 0.0).isfinite().any()


def test_score_of_a_gaussian(randn, gaussian):
    x_t = randn(6, 2)
    for t in (0.05, 0.5, 1.0):
        assert_close(score_from_x0(x_t, gaussian.posterior_mean(x_t, t), t), gaussian.score(x_t, t))


def test_expand_takes_dtype_and_rank_from_the_state():
    like = torch.zeros(2, 3, 4, dtype=torch.float64)
    assert expand(torch.ones(2), like).shape == (2, 1, 1)
    assert expand(torch.ones(2), like).dtype == torch.float64
    assert expand(0.1, like).shape == ()
    assert expand(0.1, like).dtype == torch.float64
    assert_close(batch_time(0.1, like), torch.full((2,), 0.1, dtype=torch.float64))


def test_guidance_at_zero_and_one_is_exact(randn):
    cond, uncond = randn(2, 5).float(), randn(2, 5).float()
    assert torch.equal(guide(cond, uncond, 0.0), uncond)
    assert torch.equal(guide(cond, uncond, 1.0), cond)
    assert_close(guide(cond, uncond, 5.0), uncond + 5 * (cond - uncond))


@pytest.mark.parametrize(("extra", "cfg_weight"), [(3.0, 4.0), (3.5, 4.5), (5.0, 6.0), (6.0, 7.0)])
def test_guidance_of_the_self_forcing_family(randn, extra, cfg_weight):
    cond, uncond = randn(2, 5), randn(2, 5)
    assert cfg_weight_from_extra(extra) == cfg_weight
    assert_close(guide(cond, uncond, cfg_weight), cond + extra * (cond - uncond))
