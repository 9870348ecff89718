"""Many small networks trained as one: E members, whose batches lie one after another in a common one.

A batch of E * B samples holds B of member 0, then B of member 1, and so on. Weights are `(E, in, out)`, so that one
batched product serves all members, and the gradient of one never reaches another. To everything else an ensemble is a
`VelocityModel`; only the training loop knows that its parameters have members (`Ensemble` in `protocol.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from salt.config.lab import TOKEN_WIDTH, SmallNetwork
from salt.config.memory import Memory
from salt.errors import SaltError
from salt.files import whole_folder
from salt.models.conditioning import told
from salt.models.protocol import FirstFrame

FILE = "ensemble.safetensors"
TOKENS = 2
"""Of text that networks take: the caption, and what a critic may be told beside it (0 where it is told nothing)."""


class MemberLinear(nn.Module):
    """A linear layer of each member: `(E, B, in)` -> `(E, B, out)`."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """One batched product."""
        return torch.baddbmm(self.bias, x, self.weight)

    def initialise(self, member: int, generator: torch.Generator) -> None:
        """One member's numbers, uniform as in `nn.Linear`."""
        bound = 1 / sqrt(self.weight.shape[1])
        for parameter in (self.weight, self.bias):
            parameter.data[member].uniform_(-bound, bound, generator=generator)


class MemberMLP(nn.Module):
    """A perceptron of each member on states of `inputs` numbers, a time, and text: v of `outputs` numbers."""

    def __init__(self, members: int, inputs: int, outputs: int, text: int, config: SmallNetwork) -> None:
        super().__init__()
        sizes = [inputs + 2 * config.frequencies + TOKENS * text, *[config.width] * config.layers, outputs]
        self.layers = nn.ModuleList(MemberLinear(members, before, after) for before, after in pairwise(sizes))
        self.members, self._frequencies = members, config.frequencies

    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """`(E * B, inputs)`, `(E * B,)`, `(E * B, 1 or 2, text)` -> `(E * B, outputs)`."""
        return self.layers[-1](self.hidden(x, t, text)).flatten(0, 1)

    def hidden(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """What the last hidden layer gives, `(E, B, width)`.

        Raises:
            SaltError: the batch is not the same number of samples for each member.
        """
        self.check(len(x))
        octaves = 2.0 ** torch.arange(self._frequencies, device=t.device)
        angles = t[:, None] * octaves * torch.pi / 2
        words = pad(text, (0, 0, 0, TOKENS - text.shape[1])).flatten(1)
        h = torch.cat([x, angles.sin(), angles.cos(), words], dim=1).unflatten(0, (self.members, -1))
        for layer in list(self.layers)[:-1]:
            h = silu(layer(h))
        return h

    def check(self, samples: int) -> None:
        """A batch that is not the same number of samples for each member is a `SaltError`."""
        if samples % self.members:
            raise SaltError(
                f"an ensemble of {self.members} members was given {samples} samples; accepted: a multiple of "
                f"{self.members}"
            )

    def initialise(self, seeds: Sequence[int]) -> None:
        """Random weights, of each member by its own seed."""
        for member, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for layer in self.layers:
                assert isinstance(layer, MemberLinear)
                layer.initialise(member, generator)


class EnsembleVelocity(nn.Module):
    """Members that see whole states: a `FeatureModel` of one block."""

    depth = heads = 1

    def __init__(self, members: int, shape: Sequence[int], text: int, config: SmallNetwork) -> None:
        super().__init__()
        self.members, self.width, self._shape = members, config.width, tuple(shape)
        size = torch.Size(shape).numel()
        self.mlp = MemberMLP(members, size, size, text, config)

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """`(E * B, C, T, H, W)`, `(E * B,)`, `(E * B, L, D)` -> v."""
        return self.mlp(x_t.flatten(1), t, text).view_as(x_t)

    def features(
        self, x_t: Tensor, t: Tensor, text: Tensor, blocks: Sequence[int], image: FirstFrame | None = None
    ) -> list[Tensor]:
        """The last hidden layer, its width shared among the T frames: `(E * B, T, tokens, 4)`, for each of `blocks`."""
        hidden = self.mlp.hidden(x_t.flatten(1), t, text).flatten(0, 1)
        return [hidden.unflatten(1, (x_t.shape[2], -1, TOKEN_WIDTH))] * len(blocks)


class EnsembleFlowMap(EnsembleVelocity):
    """Members that see whole states and the time they go to, as a token beside the caption: a `FlowMapModel`."""

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, s: Tensor | None = None) -> Tensor:
        """`(E * B, C, T, H, W)`, `(E * B,)`, `(E * B, 1, D)`, s `(E * B,)` -> u; without s the velocity at t."""
        return super().forward(x_t, t, told(text, t if s is None else s))

    def mean_velocity(self, x_t: Tensor, t: Tensor, s: Tensor, text: Tensor, image: FirstFrame | None = None) -> Tensor:
        """See `salt.models.protocol.FlowMapModel`."""
        found: Tensor = self(x_t, t, text, s)
        return found


@dataclass
class LastChunk:
    """What a small causal network remembers: the chunk before, `(B, C)`, and how many there were."""

    batch: int
    channels: int
    start: int = 0
    before: Tensor = field(default_factory=lambda: torch.zeros(0))

    def context(self) -> "LastChunk":
        """The past as it is now."""
        return LastChunk(self.batch, self.channels, self.start, self.before)


class EnsembleCausal(nn.Module):
    """Members that make a sequence chunk by chunk, each seeing the one before: a `CausalModel`."""

    chunk = 1

    def __init__(self, members: int, channels: int, text: int, config: SmallNetwork) -> None:
        super().__init__()
        self.members, self._channels = members, channels
        self.mlp = MemberMLP(
            members, 2 * channels + 1, channels, text, config
        )  # x_t, the chunk before, whether there is one

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor | None = None) -> Tensor:
        """A whole clip `(E * B, C, T, 1, 1)`; t `(E * B,)` or `(E * B, T)`; every chunk sees the one before it."""
        self.mlp.check(len(x_t))  # its chunks may be a multiple where clips are none
        past, number = x_t if clean is None else clean, x_t.shape[2]
        times = t[:, None].expand(-1, number) if t.ndim == 1 else t
        before = torch.cat([torch.zeros_like(past[:, :, :1]), past[:, :, :-1]], dim=2)
        known = torch.ones_like(times)
        known[:, 0] = 0
        x = torch.cat([_rows(x_t), _rows(before), known.reshape(-1, 1)], dim=1)
        v = self.mlp(x, times.reshape(-1), text.repeat_interleave(number, 0))
        return v.view(len(x_t), number, -1).transpose(1, 2).reshape_as(x_t)

    def open_memory(
        self, policy: Memory, batch: int, height: int, width: int, capacity_frames: int | None = None
    ) -> LastChunk:
        """An empty memory, which holds the chunk before (window 1)."""
        if policy.window != 1:
            raise SaltError(f"memory.window={policy.window}: a small causal network sees one chunk; accepted: 1")
        return LastChunk(batch, self._channels)

    def step(self, x_t: Tensor, t: Tensor, text: Tensor, context: LastChunk, exits: list[Any] | None = None) -> Tensor:
        """One chunk `(E * B, C, 1, 1, 1)` at times `(E * B,)`; its memory carries no gradient."""
        flat = x_t.flatten(1)
        before = context.before if context.start else torch.zeros_like(flat)
        known = flat.new_full((len(flat), 1), float(context.start > 0))
        return self.mlp(torch.cat([flat, before, known], dim=1), t, text).view_as(x_t)

    def remember(self, memory: LastChunk, x_0: Tensor, text: Tensor, exits: Sequence[Any] | None = None) -> None:
        """Keep a finished chunk in place of the one before."""
        memory.before, memory.start = x_0.detach().flatten(1), memory.start + 1

    def switch(self, memory: LastChunk, text: Tensor) -> None:
        """Nothing to do: what is remembered depends on no caption."""


def _rows(x: Tensor) -> Tensor:
    """`(B, C, T, 1, 1)` -> `(B * T, C)`."""
    return x.flatten(2).transpose(1, 2).flatten(0, 1)


# ------------------------------------------------------------------------------------------------- files
def save_ensemble(network: nn.Module, folder: Path) -> None:
    """Write a network's weights into a folder, as a whole or not at all."""
    with whole_folder(folder) as temporary:
        save_file(dict(network.state_dict()), temporary / FILE)


def load_ensemble(network: nn.Module, folder: Path) -> None:
    """Fill a network with the weights in a folder; a member that diverged in training holds NaN, and stays so.

    Raises:
        SaltError: no such file, not safetensors, or of another ensemble.
    """
    path = folder / FILE if folder.is_dir() else folder
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SaltError(f"{path}: not the weights of an ensemble: {' '.join(str(error).split())[:200]}") from error
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if found != expected:
        name = next(iter(sorted(found.items() ^ expected.items())))[0]
        raise SaltError(
            f"{path}: {name} has shape {found.get(name)}, but {expected.get(name)} is expected: accepted: weights of "
            "an ensemble of as many members, in the same world, of the same width"
        )
    network.load_state_dict(weights)


def lost_members(network: nn.Module) -> list[int]:
    """The members whose weights are not finite: their training diverged."""
    return sorted({member for parameter in network.parameters() for member in _broken(parameter)})


def _broken(parameter: nn.Parameter) -> Iterator[int]:
    yield from (~parameter.detach().isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
