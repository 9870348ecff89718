"""Teacher training: times, caption drop and loss, against closed forms."""

import pytest
import torch
from tiny import LATENT, TEXT, Recorder, teacher_experiment
from torch import Tensor, nn

from salt.methods import Streams, build_method
from salt.models.protocol import Batch

N = 2000


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


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_caption_drop_replaces_whole_captions(share: float) -> None:
    _, network = observe(x_0=0.0, objectives__flow_matching__caption_drop=share)
    text = network.calls[0][2].flatten(1)
    assert torch.equal(text.amin(1), text.amax(1))
    assert (text[:, 0] == 0).float().mean().item() == pytest.approx(share, abs=0.04)
