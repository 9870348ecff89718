"""PCM: what it asks of whom, and its loss by hand."""

import pytest
import torch

from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.methods import PhasedConsistency, build_method
from salt.models.protocol import Batch
from support.students import CLOSE, Exact, clips, network
from support.tiny import experiment

PCM = {"grid": {"steps": 4, "train_steps": 4, "shift": 3.0}, "train__critic": None}


def setting(**changes):
    return experiment(**PCM | {"objectives": {"pcm": {"solver_steps": 12, "cfg_weight": 3.0, "huber": 0.01} | changes}})


class Asked(torch.nn.Module):
    """A network, and the (x_t, t, text, with gradient) that it was asked."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, []

    def forward(self, x_t, t, text):
        self.calls.append((x_t, t, text, torch.is_grad_enabled()))
        return self.inner(x_t, t, text)


@pytest.fixture
def asked():
    config = setting()
    return Asked(network(config, 0)), Asked(network(config, 1))


def run(config, generator, teacher, batch: Batch, step=3):
    method = build_method(config, generator, teacher, Exact(5))
    assert isinstance(method, PhasedConsistency)
    assert method.roles(0) == ("generator",)
    return method.loss("generator", batch, step)[0]


def test_the_loss_by_hand(asked):
    generator, teacher = asked
    batch = clips(size=4)
    loss = run(setting(), generator, teacher, batch)
    (x_t, t, text, _), (_, _, empty, _) = teacher.calls
    (x_next, t_next, _, kept), (again, t_again, _, graded) = generator.calls
    assert (kept, graded) == (False, True)
    for one, other in ((x_t, again), (t, t_again), (text, batch.text), (empty, batch.empty_text.expand_as(batch.text))):
        assert torch.equal(one, other)
    fine = [*time_grid(12, 3.0), 0.0]
    places = [min(range(13), key=lambda n: abs(fine[n] - one)) for one in t.tolist()]
    assert len(set(places)) > 1
    assert t_next.tolist() == pytest.approx([fine[n + 1] for n in places])
    ends = torch.tensor([fine[(n // 3 + 1) * 3] for n in places], dtype=torch.float64)
    with torch.no_grad():
        cond, uncond = teacher.inner(x_t, t, text), teacher.inner(x_t, t, empty)
        step = (t - t_next).view(-1, 1, 1, 1, 1)
        torch.testing.assert_close(x_next, x_t - step * (uncond + 3 * (cond - uncond)), **CLOSE)
        target = x_next - (t_next - ends).view(-1, 1, 1, 1, 1) * generator.inner(x_next, t_next, batch.text)
        x_e = x_t - (t - ends).view(-1, 1, 1, 1, 1) * generator.inner(x_t, t, batch.text)
        expected = (((x_e - target) ** 2 + 1e-4).sqrt() - 0.01).mean()
    torch.testing.assert_close(loss.detach(), expected, **CLOSE)
    torch.testing.assert_close(run(setting(weight=2.0), generator, teacher, batch), 2 * loss, **CLOSE)


def test_a_gradient_reaches_the_generator_alone(asked):
    generator, teacher = asked
    run(setting(), generator, teacher, clips()).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert any(parameter.grad.abs().sum() > 0 for parameter in generator.parameters() if parameter.grad is not None)


def test_two_micro_batches_are_one_batch(asked):
    generator, teacher = asked
    whole = run(setting(), generator, teacher, clips(0, 4))
    halves = [run(setting(), generator, teacher, clips(first, 2)) for first in (0, 2)]
    torch.testing.assert_close(torch.stack(halves).mean(), whole, **CLOSE)


def test_straight_flows_cost_nothing():
    """Where the teacher's path is straight and the student is the teacher, both jumps end at one point."""

    class Straight(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x_t, t, text):
            return (x_t - self.weight) / t.clamp(min=1e-9).view(-1, 1, 1, 1, 1)

    loss = run(setting(cfg_weight=1.0), Straight(), Straight(), clips(size=8))
    assert loss.item() == pytest.approx(0, abs=1e-9)


def test_mistakes_are_told():
    with pytest.raises(ValueError, match=r"solver_steps=10 cannot be split into phases: a multiple of grid\.steps=4"):
        setting(solver_steps=10)
    with pytest.raises(ValueError, match=r"objectives\.pcm is for whole clips"):
        experiment(**PCM | {"objectives": {"pcm": {"solver_steps": 12}}, "causal": {"chunk": 1}})
    with pytest.raises(ValueError, match=r"accepted: exactly one of dmd, flow_matching, ode, pcm"):
        experiment(**PCM | {"objectives": {"pcm": {}, "ode": {}}})
    with pytest.raises(SaltError, match=r"objectives\.dmd and pcm need a teacher"):
        build_method(setting(), network(setting(), 0), None, Exact(0))
