"""Samples from noised data and from the student's own states."""

import pytest
import torch
from torch.testing import assert_close

from salt.flow.grid import time_grid
from salt.flow.path import interpolate
from salt.flow.transport import cm_sample
from salt.rollout import backward_simulation, noised_data

GRID = time_grid(4, 5.0)
SHAPE = (5, 2, 3)
INDEX = torch.tensor([2, 0, 3, 1, 2])


class Student:
    """v = a x + t, with one parameter; remembers the times it is asked at and whether it built a graph."""

    def __init__(self):
        self.a = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        self.asked = []

    def __call__(self, x, t):
        self.asked.append((t.tolist(), torch.is_grad_enabled()))
        return self.a * x + t.view(-1, 1, 1)


@pytest.fixture
def renoise(randn):
    fresh = randn(len(GRID), *SHAPE)
    return lambda i, like: fresh[i, : len(like)]


def check_evaluation(sample, student):
    """The parts of a sample belong together, and its gradient is that of one evaluation at a constant state."""
    t_s = torch.tensor(GRID, dtype=torch.float64)[sample.index]
    assert torch.equal(sample.t_s, t_s)
    assert not sample.x_s.requires_grad
    assert_close(sample.v_s, student.a * sample.x_s + t_s.view(-1, 1, 1))
    assert_close(sample.x_0, sample.x_s - t_s.view(-1, 1, 1) * sample.v_s)
    (slope,) = torch.autograd.grad(sample.x_0.sum(), student.a)
    assert_close(slope, -(t_s.view(-1, 1, 1) * sample.x_s).sum())


def test_noised_data(randn):
    student, data, noise = Student(), randn(*SHAPE), randn(*SHAPE)
    sample = noised_data(student, data, GRID, noise, INDEX)
    for i, place in enumerate(INDEX.tolist()):
        assert_close(sample.x_s[i], interpolate(data, noise, GRID[place])[i])
    assert torch.equal(sample.index, INDEX)
    assert student.asked == [([GRID[place] for place in INDEX.tolist()], True)]
    check_evaluation(sample, student)


def test_backward_simulation_visits_the_states_of_the_sampler(randn, renoise):
    student, noise = Student(), randn(*SHAPE)
    sample = backward_simulation(student, noise, GRID, INDEX, renoise)
    check_evaluation(sample, student)
    states = cm_sample(student, noise, GRID, renoise, trajectory=True)
    for i, place in enumerate(INDEX.tolist()):
        assert_close(sample.x_s[i], states[place][i])
    assert_close(sample.x_0[2], states[-1][2], msg="the last level's x_0 is the sampler's result")


@pytest.mark.parametrize("last", range(4))
def test_only_the_steps_that_are_needed(randn, renoise, last):
    student = Student()
    index = INDEX.clamp(max=last)
    backward_simulation(student, randn(*SHAPE), GRID, index, renoise)
    before = [([GRID[i]] * 5, False) for i in range(last)]
    assert student.asked == [*before, ([GRID[place] for place in index.tolist()], True)]


def test_a_sample_does_not_depend_on_its_batch(randn, renoise):
    noise = randn(*SHAPE)
    whole = backward_simulation(Student(), noise, GRID, INDEX, renoise)
    first = backward_simulation(Student(), noise[:1], GRID, INDEX[:1], renoise)
    assert torch.equal(first.x_s, whole.x_s[:1])
    assert torch.equal(first.x_0, whole.x_0[:1])
