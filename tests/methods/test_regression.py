"""Regression of trajectories: which states are seen, with what before them, and what they are compared with."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.methods import Regression, build_method
from salt.models.protocol import Batch
from support.students import CHUNKS, CLOSE, Exact, causal_experiment, causal_network, clips, grads

LEVELS = 8
GRID = torch.tensor(time_grid(LEVELS, 5.0), dtype=torch.float64)
ODE = {"objectives": {"ode": {}}, "train__critic": None, "rollout": {"kind": "noised_data"}, "pairs": {}}
CAUSAL_ODE = ODE | {"init": "ar_teacher", "pairs": {"teacher": "ar_teacher"}}


def trajectories(first: int = 0, size: int = 4, clean: bool = False) -> Batch:
    """Random states at (*T_train, 0), and with `clean` the data after them, as a store of pairs gives them."""
    data = clips(first, size)
    states = Exact(5).normal("states", 0, data.samples, (LEVELS + 1 + clean, *data.x_0.shape[1:]))
    return Batch(states[:, -1], data.text, data.empty_text, data.samples, states)


class Jump(nn.Module):
    """v = (x_t - end) / t leads from every state to `end`; remembers (x_t, t, text, clean)."""

    def __init__(self, end: Tensor | None = None) -> None:
        super().__init__()
        self.end, self.calls = end, []

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, *clean: Tensor) -> Tensor:
        self.calls.append((x_t, t, text, clean))
        return torch.zeros_like(x_t) if self.end is None else (x_t - self.end) / t[:, None, :, None, None]


def regress(network: nn.Module, batch: Batch, step: int = 0, **changes: Any) -> Tensor:
    method = build_method(causal_experiment(**ODE | changes), network, None, Exact(0))
    assert isinstance(method, Regression)
    assert method.roles(0) == ("generator",)
    loss, metrics = method.loss("generator", batch, step)
    assert metrics == {}
    return loss


def test_states_of_a_bidirectional_teacher_are_taken_at_a_level_per_chunk() -> None:
    network, batch = Jump(), trajectories(size=64)
    loss = regress(network, batch)
    ((x_t, t, text, clean),) = network.calls
    assert (text is batch.text, clean) == (True, ())
    assert t.shape == (64, CHUNKS)
    places = (t[..., None] == GRID).int().argmax(-1)
    assert torch.equal(GRID[places], t)
    total = 0.0
    for b in range(64):
        for chunk, place in enumerate(places[b].tolist()):
            assert torch.equal(x_t[b, :, chunk], batch.states[b, place, :, chunk])
            total += (x_t[b, :, chunk] - batch.states[b, LEVELS, :, chunk]).square().mean().item()
    assert loss.item() == pytest.approx(total / 64 / CHUNKS), "v = 0 jumps nowhere"
    assert places.unique().tolist() == list(range(LEVELS))
    assert torch.corrcoef(places.T.double()).fill_diagonal_(0).abs().max() < 0.4, "chunks draw for themselves"


def test_states_of_a_causal_teacher_are_taken_at_one_level_and_see_the_data() -> None:
    network, batch = Jump(), trajectories(size=64, clean=True)
    loss = regress(network, batch, **CAUSAL_ODE)
    ((x_t, t, _, (clean,)),) = network.calls
    assert torch.equal(clean, batch.states[:, -1])
    assert torch.equal(t, t[:, :1].expand(-1, CHUNKS))
    places = (t[:, :1] == GRID).int().argmax(-1)
    assert torch.equal(x_t, batch.states[torch.arange(64), places])
    assert places.unique().tolist() == list(range(LEVELS))
    assert loss.item() == pytest.approx((x_t - batch.states[:, LEVELS]).square().mean().item())


def test_clean_chunks_are_seen_and_do_not_count() -> None:
    clean = {"rollout": {"kind": "noised_data", "clean": True}}
    network, batch = Jump(), trajectories(size=256)
    loss = regress(network, batch, **clean)
    ((x_t, t, _, _),) = network.calls
    ends = t == 0
    assert ends.double().mean().item() == pytest.approx(1 / (LEVELS + 1), abs=0.03)
    assert torch.equal(x_t.transpose(1, 2)[ends], batch.states[:, LEVELS].transpose(1, 2)[ends])
    errors = (x_t - batch.states[:, LEVELS]).square().mean((1, 3, 4))
    assert loss.item() == pytest.approx(errors.mean().item() * (LEVELS + 1) / LEVELS)
    halves = [regress(Jump(), trajectories(first, 128), **clean) for first in (0, 128)]
    torch.testing.assert_close(torch.stack(halves).mean(), loss)


@pytest.mark.parametrize("pairs", [ODE, CAUSAL_ODE], ids=["bidirectional", "causal"])
def test_a_student_that_jumps_to_the_end_of_the_trajectory_is_right(pairs: dict[str, Any]) -> None:
    """The end is the teacher's state at time 0, not the data that its chunks saw."""
    batch = trajectories(clean=pairs is CAUSAL_ODE)
    assert regress(Jump(batch.states[:, LEVELS]), batch, **pairs).item() < 1e-25
    assert regress(Jump(batch.states[:, LEVELS] + 2), batch, **pairs).item() == pytest.approx(4)
    assert regress(Jump(batch.states[:, 0]), batch, **pairs).item() > 1


def test_the_weight_multiplies() -> None:
    batch = trajectories()
    losses = [regress(Jump(), batch, objectives={"ode": {"weight": weight}}).item() for weight in (1.0, 0.25)]
    assert losses[1] == pytest.approx(0.25 * losses[0])


@pytest.mark.parametrize("pairs", [ODE, CAUSAL_ODE], ids=["bidirectional", "causal"])
def test_halves_of_a_batch_average_to_the_whole_and_steps_draw_their_own(pairs: dict[str, Any]) -> None:
    clean = pairs is CAUSAL_ODE
    whole = regress(Jump(), trajectories(0, 8, clean), **pairs)
    halves = [regress(Jump(), trajectories(first, 4, clean), **pairs) for first in (0, 4)]
    torch.testing.assert_close(torch.stack(halves).mean(), whole)
    assert regress(Jump(), trajectories(0, 8, clean), step=1, **pairs) != whole


@pytest.mark.parametrize("pairs", [ODE, CAUSAL_ODE], ids=["bidirectional", "causal"])
def test_a_causal_transformer_is_asked_once_and_chunks_see_what_they_should(pairs: dict[str, Any]) -> None:
    """One block-causal call; chunks before are noised after a bidirectional teacher, clean after a causal one."""
    setting = causal_experiment(**pairs)
    model, batch = causal_network(setting), trajectories(clean=pairs is CAUSAL_ODE)
    loss = regress(model, batch, **pairs)
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in grads(model))
    assert all(gradient.any() for gradient in grads(model)[1:])
    look = Jump()
    regress(look, batch, **pairs)
    ((x_t, t, _, clean),) = look.calls
    with torch.no_grad():
        x_0 = x_t - t[:, None, :, None, None] * model(x_t, t, batch.text, *clean)
    torch.testing.assert_close(loss.detach(), (x_0 - batch.states[:, LEVELS]).square().mean(), **CLOSE)


def test_an_experiment_without_trajectories_is_refused() -> None:
    with pytest.raises(SaltError, match=r"needs objectives\.ode and pairs"):
        Regression(causal_experiment(), Jump(), Exact(0))
