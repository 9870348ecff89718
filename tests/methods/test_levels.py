"""Students on levels of their own: where they are asked in training, at which triples, and what a warp leaves alone."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.flow.grid import time_grid
from salt.methods import Method, build_method
from salt.methods.terms import sc
from salt.models.protocol import Batch
from support.students import Exact, clips, network, rollout_of, spy
from support.tiny import Clips, experiment, make_method

CAUSVID = (1.0, 0.757, 0.522)
TWICE = (1.0, 0.8785, 0.757, 0.6395, 0.522, 0.261)
LEVELS = {"grid": {"steps": 3, "train_steps": 6, "shift": 8.0, "levels": CAUSVID}}
RCM = (0.98765, 0.9338, 0.8529, 0.609)


def asked(method: Method, batch: Batch) -> list[float]:
    """The times at which the generator is asked in one update, each once, going down."""
    times: set[float] = set()
    generator = method.trainable["generator"]

    def look(module: nn.Module, args: Any, kwargs: Any) -> None:
        times.update(round(t / 1000, 6) for t in kwargs["timestep"].flatten().tolist())

    hook = generator.transformer.register_forward_pre_hook(look, with_kwargs=True)
    method.loss("generator", batch, 3)
    hook.remove()
    return sorted(times, reverse=True)


@pytest.mark.parametrize("kind", ["noised_data", "backward_simulation"])
def test_whole_clips_are_judged_at_the_levels(kind: str) -> None:
    method = make_method(experiment(**LEVELS, rollout={"kind": kind}, objectives__sc=None))
    assert asked(method, Clips().batch(range(64))) == pytest.approx(TWICE, abs=1e-4)


def test_triples_lie_on_the_same_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eq. (9): t_s, t_m and t_e of T_train and T^(K), which is CausVid's list."""
    calls = spy(monkeypatch, sc, "sc_objective")
    make_method(experiment(**LEVELS)).loss("generator", Clips().batch(range(64)), 3)
    ((arguments, _),) = calls
    t_s, t_m, t_e, valid = arguments[3:7]
    for times, allowed in ((t_s, TWICE), (t_m[valid], TWICE[1:]), (t_e[valid], (*CAUSVID, 0.0))):
        assert torch.isclose(times[:, None], torch.tensor(allowed), atol=1e-5).any(1).all()
    assert ((t_s > t_m) & (t_m > t_e))[valid].all()
    between = torch.tensor(TWICE[1::2])
    assert torch.isclose(t_m[valid][:, None], between, atol=1e-5).any(0).all(), "half way between levels, too"


class Asked:
    """A causal model whose v = x_t / t predicts x_0 = 0; it notes the (x_t, t) of every step of its first chunk."""

    chunk = 1

    def __init__(self) -> None:
        self.steps: list[tuple[Tensor, float]] = []

    def open_memory(self, *sizes: Any) -> Any:
        return SimpleNamespace(start=0, context=lambda: None)

    def step(self, x_t: Tensor, t: Tensor, text: Tensor, context: None, exits: None = None) -> Tensor:
        self.steps.append((x_t, t[0].item()))
        return x_t / t.view(-1, 1, 1, 1, 1)

    def remember(self, memory: Any, x_0: Tensor, text: Tensor, exits: None = None) -> None:
        memory.start += self.chunk

    def switch(self, memory: Any, text: Tensor) -> None:
        raise AssertionError("a rollout has one prompt")

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor | None = None) -> Tensor:
        raise AssertionError("a rollout goes chunk by chunk")


@pytest.mark.parametrize(("steps", "levels"), [(4, RCM), (2, RCM[::2]), (1, RCM[:1])])
def test_a_mixed_step_rollout_runs_on_grids_of_one_map(steps: int, levels: tuple[float, ...]) -> None:
    """Fewer steps take every other level; the first is below 1, and pure noise is what is seen there."""
    grid = {"steps": 4, "train_steps": 4, "shift": 5.0, "levels": RCM}
    setting = experiment(causal={"chunk": 1}, grid=grid, rollout={"kind": "autoregressive"}, objectives__sc=None)
    model, batch = Asked(), clips()
    made = rollout_of(setting, model).run(batch, 0, "generator", steps, steps - 1)
    assert [t for _, t in model.steps[:steps]] == pytest.approx(levels)
    assert made.sample.t_s.tolist() == pytest.approx([levels[-1]] * 2)
    noise = Exact(0).normal("generator/noise", 0, batch.samples, batch.x_0.shape[1:])
    assert torch.equal(model.steps[0][0], noise[:, :, :1])


def test_levels_of_the_shift_train_bit_for_bit_as_the_shift() -> None:
    plain = {"steps": 2, "train_steps": 4, "shift": 3.0}
    own = {"steps": 4, "train_steps": 4, "shift": 9.0, "levels": time_grid(4, 3.0)}
    losses = [
        make_method(experiment(grid=grid, objectives__sc=None)).loss("generator", Clips().batch(range(8)), 3)[0]
        for grid in (plain, own)
    ]
    assert torch.equal(*losses)


def test_phases_are_those_between_levels() -> None:
    """PCM: every jump ends at a level or 0, from the fine levels of the same map."""
    setting = experiment(**LEVELS, train__critic=None, objectives={"pcm": {"solver_steps": 12, "huber": 0.01}})
    times: list[Tensor] = []

    class Noted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(setting, 0)

        def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
            times.append(t)
            return self.inner(x_t, t, text)

    method = build_method(setting, Noted(), network(setting, 1), Exact(5))
    method.loss("generator", clips(size=64), 3)
    fine = time_grid(12, CAUSVID)
    assert set(fine[::4]) == set(CAUSVID)
    assert method._ends[:4] == [4] * 4
    for t in times:
        assert torch.isclose(t[:, None], torch.tensor((*fine, 0.0), dtype=t.dtype), atol=1e-9).any(1).all()


def test_trajectories_are_regressed_at_the_levels() -> None:
    """The states come at T_train and 0, in the order of the levels."""
    setting = experiment(causal={"chunk": 1}, grid=LEVELS["grid"], objectives={"ode": {}}, pairs={}, train__critic=None)
    batch = clips(size=64)
    states = Exact(0).normal("states", 0, batch.samples, (7, *batch.x_0.shape[1:]))
    seen: list[Tensor] = []

    class Jump(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
            seen.append(t)
            return torch.zeros_like(x_t)

    regression = build_method(setting, Jump(), None, Exact(0))
    regression.loss("generator", Batch(states[:, -1], batch.text, batch.empty_text, batch.samples, states), 0)
    assert sorted(seen[0].unique().tolist(), reverse=True) == pytest.approx(TWICE)
