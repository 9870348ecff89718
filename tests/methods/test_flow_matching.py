"""Teacher training: times, caption drop and loss, against closed forms."""

import pytest
import torch
from torch import Tensor, nn

from salt.methods import build_method
from salt.models.protocol import Batch
from salt.streams import Streams
from support.students import CHUNKS, CLOSE, Exact, causal_experiment, causal_network, clips
from support.tiny import LATENT, TEXT, Recorder, teacher_experiment

ALL = 1 - 1e-9
"""Of the captions: 1 is refused."""

N = 2000
CAUSAL_TEACHER = {"rollout": {"kind": "noised_data"}, "train__critic": None, "objectives": {}}


class Zero(nn.Module):
    """Predicts v = 0."""

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        return torch.zeros_like(x_t)


def observe(x_0: float, **changes: object) -> tuple[Tensor, Recorder]:
    network = Recorder(Zero())
    method = build_method(teacher_experiment(**changes), network, None, Streams(0))
    batch = Batch(torch.full((N, *LATENT), x_0), torch.ones(N, *TEXT), torch.zeros(1, *TEXT), tuple(range(N)))
    return method.loss("generator", batch, 0)[0], network


def test_loss_is_the_mean_square_of_eps_minus_x0() -> None:
    loss, _ = observe(x_0=2.0)
    assert loss.item() == pytest.approx(1 + 2**2, rel=0.02)  # E (eps - 2)^2
    weighted, _ = observe(x_0=2.0, objectives__flow_matching__weight=0.5)
    assert weighted.item() == pytest.approx(loss.item() / 2)


def test_inputs_are_on_the_path_at_shifted_uniform_times() -> None:
    shift = 3.0
    _, network = observe(x_0=2.0, objectives__flow_matching__shift=shift)
    ((x_t, t, _),) = network.calls
    median = shift * 0.5 / (1 + (shift - 1) * 0.5)
    assert (t < median).float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert 0 <= t.min() < t.max() <= 1
    noise = (x_t - (1 - t.view(-1, 1, 1, 1, 1)) * 2.0) / t.view(-1, 1, 1, 1, 1)
    assert noise.mean().abs() < 0.02
    assert noise.std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("share", [0.0, 0.3, ALL])
def test_caption_drop_replaces_whole_captions(share: float) -> None:
    _, network = observe(x_0=0.0, objectives__flow_matching__caption_drop=share)
    text = network.calls[0][2].flatten(1)
    assert torch.equal(text.amin(1), text.amax(1))
    assert (text[:, 0] == 0).float().mean().item() == pytest.approx(share, abs=0.04)


def test_the_mean_of_v_stands_for_that_of_a_sample_but_under_the_empty_caption() -> None:
    """A network that is that mean has no loss; where captions are dropped, the loss is that of samples."""

    class Mean(Zero):
        def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
            assert (text != 0).all()  # never asked for the empty caption
            return x_t + 1

    class Same(Zero):
        def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
            return x_t + 1

    batch = Batch(torch.full((N, *LATENT), 2.0), torch.ones(N, *TEXT), torch.zeros(1, *TEXT), tuple(range(N)))
    losses = []
    for share in (0.0, 0.5, ALL):
        setting = teacher_experiment(objectives__flow_matching__caption_drop=share)
        method = build_method(setting, Same(), None, Streams(0), Mean())
        losses.append(method.loss("generator", batch, 0)[0].item())
    assert losses[0] == 0
    assert losses[1] == pytest.approx(losses[2] / 2, rel=0.1)
    sampled = build_method(teacher_experiment(objectives__flow_matching__caption_drop=ALL), Same(), None, Streams(0))
    assert losses[2] == sampled.loss("generator", batch, 0)[0].item()


def test_a_causal_teacher_is_taught_with_clean_chunks_before_each_at_a_time_of_its_own() -> None:
    """Teacher forcing in one call is the same as chunk by chunk with a memory of clean chunks."""
    setting = causal_experiment(**CAUSAL_TEACHER, objectives__flow_matching={"shift": 2.0, "caption_drop": 0.5})
    model, batch, calls = causal_network(setting), clips(0, 8), []
    model.register_forward_pre_hook(lambda module, args: calls.append(args))
    loss, _ = build_method(setting, model, None, Exact(0)).loss("generator", batch, 0)
    ((x_t, t, text, clean),) = calls
    assert torch.equal(clean, batch.x_0)
    eps = Exact(0).normal("teacher/eps", 0, batch.samples, batch.x_0.shape[1:])
    wide = t[:, None, :, None, None]
    torch.testing.assert_close(x_t, (1 - wide) * batch.x_0 + wide * eps)
    dropped = (text == batch.empty_text).flatten(1).all(1)
    assert 0 < dropped.sum() < 8
    assert torch.equal(text[~dropped], batch.text[~dropped])
    memory, error = model.open_memory(setting.causal.memory, 8, *x_t.shape[-2:], CHUNKS), []
    with torch.no_grad():
        for i in range(CHUNKS):
            v = model.step(x_t[:, :, [i]], t[:, i], text, memory.context())
            error.append((v - (eps - batch.x_0)[:, :, [i]]).square().mean())
            model.remember(memory, batch.x_0[:, :, [i]], text)
    torch.testing.assert_close(loss.detach(), torch.stack(error).mean(), **CLOSE)


def test_times_of_chunks_are_independent_and_shifted() -> None:
    setting = causal_experiment(**CAUSAL_TEACHER, objectives__flow_matching={"shift": 3.0})
    asked: list[Tensor] = []

    class Watched(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor) -> Tensor:
            asked.append(t)
            return torch.zeros_like(x_t)

    loss, _ = build_method(setting, Watched(), None, Exact(0)).loss("generator", clips(0, 1000), 0)
    (t,) = asked
    assert t.shape == (1000, CHUNKS)
    median = 3.0 * 0.5 / (1 + 2.0 * 0.5)
    assert (t < median).double().mean(0).tolist() == pytest.approx([0.5] * CHUNKS, abs=0.05)
    assert torch.corrcoef(t.T).fill_diagonal_(0).abs().max() < 0.12
    assert loss.item() == pytest.approx(2, rel=0.05), "E (eps - x_0)^2 of two standard normals"
