"""The semigroup law, the two endpoints, and the defect."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from salt.flow.grid import time_grid, triples
from salt.flow.path import batch_time
from salt.flow.semigroup import composed_endpoint, composition_gap, direct_endpoint, sc_loss, semigroup_defect
from salt.flow.transport import euler_operator

TRIPLES = triples(time_grid(4, 5.0), time_grid(8, 5.0))


def endpoints(velocity, x_s, t_s, t_m, t_e):
    v_s = velocity(x_s, batch_time(t_s, x_s))
    return direct_endpoint(x_s, v_s, t_s, t_e), composed_endpoint(velocity, x_s, v_s, t_s, t_m, t_e)


@settings(deadline=None, max_examples=50)
@given(
    mean=st.floats(-2, 2), std=st.floats(0.1, 3), times=st.lists(st.floats(0, 1), min_size=3, max_size=3, unique=True)
)
def test_exact_flow_maps_compose(gaussian_flow, mean, std, times):
    """Eq. (2), Eq. (3): the law holds to rounding for the exact flow of a Gaussian."""
    s, u, t = sorted(times)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64).view(-1, 1)
    gap = composition_gap(gaussian_flow(mean, std).flow_map, x, t, u, s)
    assert_close(gap, torch.zeros_like(gap), rtol=0, atol=1e-9)


def test_linear_flow_maps_compose(randn):
    """Eq. (3): exp((s - u) A) exp((u - t) A) = exp((s - t) A)."""
    a, x = randn(3, 3), randn(4, 3)
    gap = composition_gap(lambda x, t, s: x @ torch.matrix_exp((s - t) * a).T, x, 1.0, 0.4, 0.1)
    assert_close(gap, torch.zeros_like(gap), rtol=0, atol=1e-12)


def test_euler_steps_of_an_exact_velocity_do_not_compose(randn, gaussian):
    """Eq. (3), Eq. (6), Eq. (7): one Euler step is not the flow map; the gap is what the two endpoints differ by."""
    x = randn(8, 1)
    for t_s, t_m, t_e in TRIPLES:
        gap = composition_gap(euler_operator(gaussian.velocity), x, t_s, t_m, t_e)
        x_1, x_2 = endpoints(gaussian.velocity, x, t_s, t_m, t_e)
        assert_close(gap, x_2 - x_1)
        assert gap.abs().min() > 1e-5


def test_relative_gap_is_of_first_order(randn, gaussian):
    """Eq. (16): half the step halves the square root of the defect."""
    x = randn(16, 1)
    roots = []
    for h in (0.02, 0.01, 0.005):
        x_1, x_2 = endpoints(gaussian.velocity, x, 0.6, 0.6 - h / 2, 0.6 - h)
        roots.append(semigroup_defect(x_1, x_2, x, eps=1e-20).sqrt())
    for coarse, fine in pairwise(roots):
        assert_close(coarse / fine, torch.full_like(coarse, 2.0), rtol=0.05, atol=0)


@pytest.mark.parametrize("triple", TRIPLES[::7])
def test_endpoints_differ_by_the_difference_of_velocities(randn, triple):
    """Eq. (8), Eq. (14), Eq. (15), Eq. (16): the literal endpoints against their closed form in v_m - v_s."""
    t_s, t_m, t_e = triple
    x_s, eps = randn(5, 2, 3), 1e-8

    def velocity(x, t):
        return torch.tanh(x) * (1 + t.view(-1, 1, 1)) + x.flip(-1)

    v_s = velocity(x_s, batch_time(t_s, x_s))
    v_m = velocity(x_s - (t_s - t_m) * v_s, batch_time(t_m, x_s))
    x_1, x_2 = endpoints(velocity, x_s, t_s, t_m, t_e)
    assert_close(x_1 - x_2, (t_m - t_e) * (v_m - v_s), rtol=0, atol=1e-12)
    change = (v_m - v_s).square().flatten(1)
    assert_close(sc_loss(x_1, x_2), (t_m - t_e) ** 2 * change.mean(1), rtol=1e-9, atol=0)
    length = (t_s - t_e) ** 2 * v_s.square().flatten(1).sum(1)
    assert_close(semigroup_defect(x_1, x_2, x_s), (t_m - t_e) ** 2 * change.sum(1) / (length + eps), rtol=1e-9, atol=0)


def test_constant_velocity_has_no_defect(randn):
    """Eq. (8), Eq. (16): a straight flow composes."""
    x, v = randn(4, 3), randn(4, 3)
    for t_s, t_m, t_e in TRIPLES:
        x_1, x_2 = endpoints(lambda x_t, t: v, x, t_s, t_m, t_e)
        assert_close(sc_loss(x_1, x_2), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-28)
        assert_close(semigroup_defect(x_1, x_2, x), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-28)


def test_endpoints_take_a_triple_per_sample(randn, gaussian):
    """Eq. (6), Eq. (7): a batch of triples equals one triple at a time."""
    x = randn(len(TRIPLES), 2)
    t_s, t_m, t_e = torch.tensor(TRIPLES, dtype=torch.float64).unbind(1)
    x_1, x_2 = endpoints(gaussian.velocity, x, t_s, t_m, t_e)
    for i, triple in enumerate(TRIPLES):
        alone = endpoints(gaussian.velocity, x[i : i + 1], *triple)
        assert_close((x_1[i : i + 1], x_2[i : i + 1]), alone)


def test_composed_endpoint_costs_one_evaluation(randn):
    """Eq. (7), Eq. (15): v_s is given, so the velocity is asked at t_m alone."""
    x, asked = randn(2, 3), []

    def velocity(x, t):
        asked.append(t.tolist())
        return x

    composed_endpoint(velocity, x, x, 0.9, 0.5, 0.1)
    assert asked == [[0.5, 0.5]]


def test_loss_is_a_mean_and_defect_has_no_unit(randn):
    """Eq. (8), Eq. (16): repeating the elements changes neither; scaling the states changes only the loss."""
    x_1, x_2, x_s = randn(3, 4), randn(3, 4), randn(3, 4)
    twice = [torch.cat([x, x], 1) for x in (x_1, x_2, x_s)]
    assert_close(sc_loss(*twice[:2]), sc_loss(x_1, x_2))
    assert_close(semigroup_defect(*twice), semigroup_defect(x_1, x_2, x_s))
    assert_close(sc_loss(3 * x_1, 3 * x_2), 9 * sc_loss(x_1, x_2))
    assert_close(semigroup_defect(3 * x_1, 3 * x_2, 3 * x_s), semigroup_defect(x_1, x_2, x_s))
    assert_close(sc_loss(x_1, x_2)[1], (x_1[1] - x_2[1]).norm() ** 2 / 4)


def test_defect_of_a_student_that_does_not_move(randn):
    """Eq. (16): eps keeps 0 / 0 at 0."""
    x = randn(3, 4)
    assert semigroup_defect(x, x, x).tolist() == [0, 0, 0]
