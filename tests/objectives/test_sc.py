"""The self-consistency objective: which samples count, and where gradients go."""

import pytest
import torch
from torch.testing import assert_close

from salt.flow.path import batch_time
from salt.flow.semigroup import sc_loss
from salt.flow.transport import euler_step
from salt.objectives.sc import sc_objective

TIMES = torch.tensor([[1.0, 0.9, 0.5], [0.8, 0.6, 0.0], [0.7, 0.4, 0.2]], dtype=torch.float64)


class Student:
    """v = tanh(a x) t + b x, with two parameters; remembers the times it is asked at and whether it built a graph."""

    def __init__(self):
        self.a, self.b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.8, -0.3))
        self.asked = []

    def __call__(self, x, t):
        self.asked.append((t.tolist(), torch.is_grad_enabled()))
        return torch.tanh(self.a * x) * t.view(-1, 1) + self.b * x

    def gradient(self, loss):
        return torch.stack(torch.autograd.grad(loss, (self.a, self.b)))


def objective(student, x_s, *options, **named):
    return each(student, x_s, *options, **named).mean()


def each(student, x_s, valid=(True, True, True), stop_gradient="none", time_weight="none"):
    t_s, t_m, t_e = TIMES.unbind(1)
    return sc_objective(student, x_s, student(x_s, t_s), t_s, t_m, t_e, torch.tensor(valid), stop_gradient, time_weight)


def literal(student, x_s, i, stop):
    """Eq. (6)-(8) for sample i alone, written out."""
    x, (t_s, t_m, t_e) = x_s[i : i + 1], TIMES[i].tolist()
    v_s = student(x, batch_time(t_s, x))
    x_m = euler_step(x, v_s, t_s, t_m)
    x_2 = euler_step(x_m, student(x_m, batch_time(t_m, x)), t_m, t_e)
    return sc_loss(euler_step(x, v_s, t_s, t_e), x_2.detach() if stop else x_2)


@pytest.mark.parametrize("stop_gradient", ["none", "composed"])
@pytest.mark.parametrize("valid", [(True, True, True), (True, False, True), (False, False, True)])
def test_a_loss_for_each_sample_and_zero_where_there_is_no_triple(randn, stop_gradient, valid):
    """Eq. (8): value and gradient equal the literal endpoints, sample by sample."""
    student, x_s, weights = Student(), randn(3, 4), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    got = each(student, x_s, valid, stop_gradient)
    literally = [literal(student, x_s, i, stop_gradient == "composed") for i in range(3)]
    expected = torch.cat(literally) * torch.tensor(valid)
    assert_close(got, expected)
    assert_close(student.gradient((got * weights).sum()), student.gradient((expected * weights).sum()))


def test_gradient_by_finite_differences(randn):
    """Eq. (8): with `none` the gradient is that of the value."""
    student, x_s, h = Student(), randn(3, 4), 1e-6
    exact = student.gradient(objective(student, x_s))
    for parameter, slope in zip((student.a, student.b), exact, strict=True):
        values = []
        for step in (h, -2 * h):
            parameter.data += step
            values.append(objective(student, x_s).item())
        parameter.data += h
        assert slope.item() == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5)


def test_the_two_readings_agree_in_value_and_not_in_gradient(randn):
    student, x_s = Student(), randn(3, 4)
    symmetric, target = (objective(student, x_s, stop_gradient=stop) for stop in ("none", "composed"))
    assert_close(symmetric, target)
    assert not torch.allclose(student.gradient(symmetric), student.gradient(target), rtol=0.01)


@pytest.mark.parametrize(("stop_gradient", "graph"), [("none", True), ("composed", False)])
def test_one_more_evaluation_at_t_m(randn, stop_gradient, graph):
    student = Student()
    objective(student, randn(3, 4), stop_gradient=stop_gradient)
    assert student.asked == [(TIMES[:, 0].tolist(), True), (TIMES[:, 1].tolist(), graph)]


@pytest.mark.parametrize("stop_gradient", ["none", "composed"])
def test_no_valid_sample_gives_a_zero_with_a_gradient(randn, stop_gradient):
    student = Student()
    loss = objective(student, randn(3, 4), (False, False, False), stop_gradient)
    assert loss.item() == 0
    assert student.gradient(loss).tolist() == [0, 0]


def test_time_weight(randn):
    student, x_s = Student(), randn(3, 4)
    plain = torch.cat([literal(student, x_s, i, True) for i in range(3)])
    weighted = each(student, x_s, (True, True, False), time_weight="one_minus_ts")
    assert_close(weighted, plain * torch.tensor([0.0, 0.2, 0.0], dtype=torch.float64))


def test_nothing_is_recorded_under_no_grad(randn):
    with torch.no_grad():
        assert not objective(Student(), randn(3, 4)).requires_grad
