"""A compiled causal network: a few graphs, however many layers, chunks and steps there are, and the same video."""

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from salt.config.memory import Memory
from salt.flow.grid import time_grid
from salt.flow.transport import euler_sample
from salt.models.attention import compile_blocks
from salt.models.causal import CausalWan
from salt.models.wan import build_wan
from salt.rollout import roll
from support.backbones import backbone
from support.causal_nets import SIDE, clip, prompt


def student(layers: int) -> CausalWan:
    sizes = backbone(patch_size=(1, 2, 2), rope_max_seq_len=64).model_copy(update={"num_layers": layers})
    return CausalWan(build_wan(sizes, 0).transformer.double(), 1)


@torch.no_grad()
def video(model: CausalWan, policy: Memory, frames: int) -> Tensor:
    grid, text = time_grid(2, 3.0), prompt()
    memory = model.open_memory(policy, 1, SIDE, SIDE, frames)
    noise = clip(frames).split(1, dim=2)
    return torch.cat(list(roll(model, memory, lambda _: text, noise, lambda v, x, _: euler_sample(v, x, grid))), dim=2)


@pytest.mark.parametrize(
    "policy",
    [Memory(), Memory(window=2, sink=1), Memory(window=3, sink=1, positions="relative")],
    ids=["full", "window and sink", "relative"],
)
def test_graphs_know_neither_layers_nor_chunks(policy: Memory) -> None:
    graphs = {}
    for layers, frames in ((2, 4), (2, 9), (5, 9)):
        torch._dynamo.reset()
        model, counter = student(layers), CompileCounter()
        expected = video(model, policy, frames)
        compile_blocks(model.transformer, backend=counter)
        torch.testing.assert_close(video(model, policy, frames), expected, rtol=1e-12, atol=1e-12)
        graphs[layers, frames] = counter.frame_count
        video(model, policy, frames)
        assert counter.frame_count == graphs[layers, frames], "a second video needs no graph of its own"
    assert len(set(graphs.values())) == 1, graphs
    assert max(graphs.values()) <= 8


def test_a_compiled_network_still_trains_and_saves_as_before() -> None:
    model, reference = student(2), student(2)
    compile_blocks(model.transformer, backend="eager")
    assert model.state_dict().keys() == reference.state_dict().keys()
    losses = []
    for network in (model, reference):
        loss = network(clip(3), torch.full((1,), 0.5, dtype=torch.float64), prompt()).square().mean()
        loss.backward()
        losses.append(loss)
    torch.testing.assert_close(losses[0], losses[1])
    for one, other in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
