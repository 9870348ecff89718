"""`rollout.last`, the share of samples judged at the last level; a critic that is told where; whole clips regressed."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.data.exact import ExactPairs, captions_of, modes_of
from salt.flow.grid import time_grid
from salt.flow.path import interpolate
from salt.methods import Distill, Regression, build_method
from salt.methods.draws import Draws
from salt.methods.rollouts import Autoregressive, RolloutOutput, build_rollout
from salt.methods.terms import Components, build_terms
from salt.models.exact import ExactTeacher
from salt.models.protocol import Batch
from salt.streams import MemberStreams
from support.lab import SEEDS, arm, distillation, ensemble, exact_of, normal

LEVELS = 8


def index_of(kind: str, last: float, size: int = 64) -> Tensor:
    """Places of the exits of many samples of four members."""
    method, _ = distillation(arm("dmd_8" if kind == "noised_data" else "dmd_8_bs", rollout__last=last))
    x_0 = torch.zeros(len(SEEDS) * size, 2, 1, 1, 1)
    batch = Batch(x_0, torch.ones(len(x_0), 1, 2) / 2, torch.ones(1, 1, 2) / 2, tuple(range(size)))
    with torch.no_grad():
        return method._rollout(batch, 0, "generator").sample.index


@pytest.mark.parametrize("kind", ["noised_data", "backward_simulation"])
def test_a_share_of_samples_is_judged_at_the_last_level(kind: str) -> None:
    anywhere, half, all_of_them = (index_of(kind, last) for last in (0.0, 0.5, 1.0))
    assert (all_of_them == LEVELS - 1).all()
    moved = half != anywhere
    assert (half[moved] == LEVELS - 1).all(), "all others are judged where they were"
    share = (half == LEVELS - 1).float().mean().item()
    assert share == pytest.approx(0.5 + 0.5 / LEVELS, abs=0.1)
    counts = anywhere.bincount(minlength=LEVELS).tolist()
    assert all(count == pytest.approx(256 / LEVELS, abs=20) for count in counts)
    by_member = (half == LEVELS - 1).view(len(SEEDS), -1)
    assert not torch.equal(by_member[0], by_member[1])


def test_without_a_share_no_number_is_drawn_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout as it was: also bit for bit in what else is drawn."""
    asked: list[str] = []
    uniform = MemberStreams.uniform

    def spied(self: MemberStreams, purpose: str, *rest: Any) -> Tensor:
        asked.append(purpose)
        return uniform(self, purpose, *rest)

    monkeypatch.setattr(MemberStreams, "uniform", spied)
    index_of("noised_data", 0.0)
    assert "generator/last" not in asked
    index_of("noised_data", 0.5)
    assert "generator/last" in asked


@pytest.mark.parametrize(("last", "share"), [(0.0, 0.25), (0.5, 0.625), (1.0, 1.0)])
def test_a_share_of_autoregressive_updates_is_judged_at_the_last_level(last: float, share: float) -> None:
    setting = arm("causal_forcing", "lab_chain", rollout__last=last)
    method, batch = distillation(setting)
    assert isinstance(method._rollout, Autoregressive)
    with torch.no_grad():
        exits = [int(method._rollout(batch, step, "generator").sample.index[0]) for step in range(200)]
    assert sum(place == 3 for place in exits) / 200 == pytest.approx(share, abs=0.09)
    assert set(exits) <= {0, 1, 2, 3}


def test_a_mixed_rollout_leaves_at_the_last_level_of_its_own_grid() -> None:
    setting = arm("causal_forcing_mixed_sc", "lab_chain", rollout__last=1.0, objectives__align__start=0)
    method, batch = distillation(setting)
    with torch.no_grad():
        outputs = [method._rollout(batch, step, "generator") for step in range(30)]
    assert {output.steps for output in outputs} == {2, 4, 8}
    for output in outputs:
        assert (output.sample.index == output.steps - 1).all()
        assert output.sample.t_s[0].item() == pytest.approx(time_grid(output.steps, 5.0)[-1])


# ------------------------------------------------------------------------------- a critic that is told
class Told(nn.Module):
    """A critic that remembers its captions."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[Tensor] = []
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        self.texts.append(text)
        return self.scale * x_t


@pytest.mark.parametrize("knows", [False, True])
@pytest.mark.parametrize(("row", "scale"), [("sc_dmd", "lab"), ("dmd_8_bs", "lab"), ("causal_forcing", "lab_chain")])
def test_a_critic_is_told_the_exit_of_what_it_judges(row: str, scale: str, knows: bool) -> None:
    setting = arm(row, scale, train__critic__knows_exit=knows)
    _, batch = distillation(setting)
    assert setting.scale.exact is not None
    critic, teacher = Told(), ExactTeacher(modes_of(setting.scale.exact.world))
    components = Components.of(setting, ensemble(setting), critic, teacher, MemberStreams(SEEDS))
    method = Distill(setting, components, build_terms(setting.objectives, components))
    for role in ("generator", "critic"):
        method.loss(role, batch, 2)
        text = critic.texts.pop()
        assert not critic.texts
        assert torch.equal(text[:, 0], batch.text[:, 0])
        with torch.no_grad():
            t_s = components.rollout(batch, 2, role).sample.t_s
        assert text.shape[1] == 1 + knows
        if knows:
            assert torch.equal(text[:, 1], t_s[:, None].expand(-1, text.shape[2]))


# ---------------------------------------------------------------------------- regression of whole clips
class Jump(nn.Module):
    """v = (x_t - end) / t leads from every state to `end`."""

    def __init__(self, end: Tensor) -> None:
        super().__init__()
        self.end, self.calls = end, []

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        self.calls.append((x_t, t, text))
        return (x_t - self.end) / t.view(-1, 1, 1, 1, 1)


@pytest.mark.parametrize(("scale", "frames"), [("lab", 1), ("lab_chain", 4)])
def test_whole_clips_are_regressed_at_one_level_each(scale: str, frames: int) -> None:
    """A student that is not causal has one time a sample and sees no clean clip; the right jump costs nothing."""
    setting = arm("ode_init", scale, causal=None, grid__steps=LEVELS, grid__train_steps=LEVELS)
    size = 16 * len(SEEDS)
    states = normal(size, LEVELS + 1, 2, frames, 1, 1, dtype=torch.float32)
    text = captions_of(exact_of(scale).world).encode([""] * size)
    batch = Batch(states[:, -1], text, text[:1], tuple(range(16)), states)
    network = Jump(states[:, -1])
    method = build_method(setting, network, None, MemberStreams(SEEDS))
    assert isinstance(method, Regression)
    assert method.loss("generator", batch, 0)[0].item() == pytest.approx(0, abs=1e-10)
    ((x_t, t, seen),) = network.calls
    grid = torch.tensor(time_grid(LEVELS, 5.0))
    assert t.shape == (size,)
    place = (t[:, None] - grid).abs().argmin(1)
    assert torch.equal(x_t, states[torch.arange(size), place])
    assert torch.equal(seen, text)
    assert len(place.unique()) == LEVELS
    network.end = states[:, -1] + 2
    assert method.loss("generator", batch, 0)[0].item() == pytest.approx(4 * setting.objectives.ode.weight, rel=1e-5)


def test_an_ensembles_regression_is_that_of_its_members() -> None:
    setting = arm("ode_init", "lab", train__batch_size=16)
    states = normal(64, 33, 2, 1, 1, 1, dtype=torch.float32)
    text = torch.eye(2)[torch.arange(64) % 2][:, None]

    def gradient(seeds: tuple[int, ...], rows: slice) -> list[Tensor]:
        network = ensemble(setting, seeds)
        pairs = ExactPairs(states, text, torch.ones(1, 1, 2) / 2, MemberStreams(seeds))
        batch = pairs.batch(range(16))
        method = build_method(setting, network, None, MemberStreams(seeds))
        (len(seeds) * method.loss("generator", batch, 1)[0]).backward()
        return [parameter.grad[rows] for parameter in network.parameters()]

    together, alone = gradient(SEEDS, slice(1, 2)), gradient(SEEDS[1:2], slice(None))
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


def test_regression_at_the_lab_says_what_it_needs() -> None:
    """The start of mixture's students: an exact teacher's trajectories, whole states, no causal student."""
    setting = arm("ode_init", "lab")
    assert setting.causal is None
    assert setting.pairs is not None
    assert setting.pairs.teacher == "exact"
    chained = arm("ode_init", "lab_chain")
    assert chained.causal is not None
    assert chained.causal.memory.window == 1


def test_noised_data_of_the_judge_is_what_the_rollout_made() -> None:
    """The critic learns on the samples of an ensemble's rollout, each with its own member's noise."""
    setting = arm("dmd_8")
    _, batch = distillation(setting)
    draws = Draws(MemberStreams(SEEDS), setting.train.batch_size)
    rollout = build_rollout(setting, ensemble(setting), draws)
    output = rollout(batch, 1, "critic")
    assert isinstance(output, RolloutOutput)
    eps = draws.normal("critic/noise", batch, 1)
    torch.testing.assert_close(output.sample.x_s, interpolate(batch.x_0, eps, output.sample.t_s))
    assert len(eps) == 64
    t, _ = draws.noising(setting.objectives.dmd.noise, "critic", batch, 1)
    assert t.shape == (64,)
    assert not torch.equal(t[:16], t[16:32])
