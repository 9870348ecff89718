"""Consistency in continuous time, on Gaussian data, where teacher, student and derivatives are known in closed form."""

import math

import pytest
import torch

from salt.flow.path import interpolate
from salt.objectives.scm import NORM_OFFSET, jvp_along_path, scm_loss, scm_tangent, trigflow

SPREAD = 0.5  # of the data
HOW = [("forward_mode", 0.0), ("difference", 1e-4)]


def column(values):
    return values.view(-1, 1)


def level(a):
    """Standard deviation of x at an angle."""
    return ((SPREAD * a.cos()) ** 2 + a.sin() ** 2).sqrt()


def teacher(x, a):
    """F = dx/da of the exact flow: states keep their place among all, so x is `level` times a constant."""
    slope = (1 - SPREAD**2) * a.sin() * a.cos() / level(a)
    return column(slope / level(a)) * x


def consistent(x, a):
    """F of the student whose clean prediction is where the flow ends."""
    return (column(a.cos()) * x - column(SPREAD / level(a)) * x) / column(a.sin())


def other(x, a):
    """F of one who is not: bent, and dependent on the angle."""
    return torch.tanh(x) * column(1 + a**2) + 0.3 * column(a) * x


@pytest.fixture
def states(randn):
    a = torch.tensor([0.3, 0.8, 1.3, 1.5], dtype=torch.float64)
    return randn(4, 6), a


def gradient(student, states, how="forward_mode", step=0.0, share=1.0, whole=False):
    x, a = states
    derivative = jvp_along_path(student, x, a, teacher(x, a), how, step)
    return scm_tangent(student(x, a), teacher(x, a), derivative, x, a, share, whole)


def test_networks_of_the_straight_path_predict_the_motion_on_the_circle(randn):
    x_0, eps, a = randn(3, 5), randn(3, 5), torch.tensor([0.2, 0.9, 1.4], dtype=torch.float64)
    asked = []

    def network(x_t, t):
        asked.append((x_t, t))
        return eps - x_0

    x = column(a.cos()) * x_0 + column(a.sin()) * eps
    f = trigflow(network)(x, a)
    torch.testing.assert_close(f, column(a.cos()) * eps - column(a.sin()) * x_0)
    torch.testing.assert_close(column(a.cos()) * x - column(a.sin()) * f, x_0)
    ((x_t, t),) = asked
    torch.testing.assert_close(t / (1 - t), a.tan())
    torch.testing.assert_close(x_t, interpolate(x_0, eps, t))


@pytest.mark.parametrize(("how", "step"), HOW)
def test_the_derivative_is_that_along_the_teachers_path(states, how, step):
    x, a = states
    found = jvp_along_path(other, x, a, teacher(x, a), how, step)
    d_x = (1 - torch.tanh(x) ** 2) * column(1 + a**2) + 0.3 * column(a)
    d_a = 2 * column(a) * torch.tanh(x) + 0.3 * x
    by_hand = column(a.cos() * a.sin()) * (d_x * teacher(x, a) + d_a)
    torch.testing.assert_close(found, by_hand, rtol=2e-3 if step else 1e-9, atol=2e-4 if step else 1e-12)


@pytest.mark.parametrize(("how", "step"), HOW)
def test_a_consistent_student_is_left_where_it_is(states, how, step):
    assert gradient(consistent, states, how, step).abs().max() < (2e-3 if step else 1e-9)
    assert gradient(other, states, how, step).abs().max() > 0.1


def test_the_direction_is_the_change_of_the_clean_prediction_times_the_cosine(states):
    x, a = states
    step = 1e-6
    f = [
        column(at.cos()) * where - column(at.sin()) * other(where, at)
        for at, where in ((a, x), (a + step, x + step * teacher(x, a)))
    ]
    change = column(a.cos()) * (f[1] - f[0]) / step
    expected = change / (change.norm(dim=1, keepdim=True) + NORM_OFFSET)
    torch.testing.assert_close(gradient(other, states), expected, rtol=1e-4, atol=1e-5)
    assert gradient(other, states).norm(dim=1).max() < 1


@pytest.mark.parametrize("whole", [False, True])
def test_at_first_it_leads_to_the_teacher_and_against_a_whole_derivative(states, whole):
    x, a = states
    g = gradient(other, states, share=0.0, whole=whole)
    derivative = jvp_along_path(other, x, a, teacher(x, a), "forward_mode", 0.0)
    teachers = column(a.cos()) * (teacher(x, a) - other(x, a))
    toward = teachers - derivative if whole else teachers
    assert torch.cosine_similarity(g, toward, dim=1).min() > 1 - 1e-9
    assert torch.cosine_similarity(g, teachers if whole else teachers - derivative, dim=1).min() < 0.9


def test_the_gradient_of_the_loss_is_the_direction(randn):
    f, g = randn(3, 4).requires_grad_(), randn(3, 4)
    loss = scm_loss(f, g)
    loss.backward()
    torch.testing.assert_close(f.grad, -2 * g / f.numel())
    assert loss.item() == pytest.approx(g.square().mean().item())


@pytest.mark.parametrize("whole", [False, True])
def test_descent_makes_a_student_consistent(randn, whole):
    """A family of students with one number, which is the flow's own at 1."""
    weight = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)

    def student(x, a):
        return weight * consistent(x, a) + (1 - weight) * other(x, a)

    optimiser = torch.optim.Adam([weight], lr=0.02)
    for turn in range(400):
        a = torch.atan(torch.exp(0.7 + 1.6 * randn(64)))
        x = column(level(a)) * randn(64, 2)
        derivative = jvp_along_path(student, x, a, teacher(x, a), "forward_mode", 0.0)
        f = student(x, a)
        loss = scm_loss(f, scm_tangent(f, teacher(x, a), derivative, x, a, min(1.0, turn / 50), whole))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert weight.item() == pytest.approx(1, abs=0.05), math.fabs(weight.item() - 1)
