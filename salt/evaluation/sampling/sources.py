"""Where the latents of videos come from: a network that samples whole clips, or real clips through the codec.

`salt.evaluation.sampling.streaming` is the third source: a causal student, chunk by chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from salt.config.world import World
from salt.data.clips import as_tensor
from salt.data.prompts import OwnPrompt, Prompt, held_out_clip
from salt.data.vbench_prompts import AnyPrompt
from salt.evaluation.cells import Cell
from salt.evaluation.sampling.conditioning import Condition, no_condition
from salt.evaluation.sampling.solvers import Draw, Network, generate, initial_noise, renoise_of
from salt.flow.grid import Warp, time_grid, warp_settings
from salt.models.protocol import Codec


class Item(NamedTuple):
    """One video of a cell."""

    prompt: AnyPrompt | OwnPrompt
    seed: int
    """The sampling seed."""

    @property
    def file(self) -> str:
        """Its file, from the folder of its cell."""
        return f"{self.prompt.id}/{self.seed}.mp4"

    def path(self, folder: Path) -> Path:
        """Its file in the folder of its cell."""
        return folder / self.file

    def draw(self) -> Draw:
        """The key of its random numbers."""
        return Draw(self.seed, self.prompt.index)

    def captions(self) -> int:
        """The number of captions with which it is prompted in turn."""
        return len(self.prompt.texts("extended"))


class Source(Protocol):
    """Where latents come from."""

    def parts(self, cell: Cell, items: Sequence[Item]) -> Iterator[Tensor]:
        """The parts of the videos in order of time, each `(B, C, T, H, W)`; they depend on each item and the cell."""
        ...

    def settings(self) -> dict[str, Any]:
        """What determines the latents besides weights and protocol."""
        ...


@dataclass(frozen=True)
class Sampled:
    """Latents sampled from a network."""

    network: Network
    warp: Warp
    """Of the grids."""
    latent_shape: tuple[int, ...]
    condition: Condition = no_condition
    """The network's conditioning besides captions."""

    def parts(self, cell: Cell, items: Sequence[Item]) -> Iterator[Tensor]:
        """Whole clips in one part, by the solver and the NFE of the cell."""
        draws = [item.draw() for item in items]
        noise = initial_noise(draws, self.latent_shape).to(self.network.device)
        captions = [item.prompt.text(cell.variant) for item in items]
        velocity = self.network.velocity(captions, self.condition(items))
        yield generate(velocity, noise, time_grid(cell.nfe, self.warp), cell.solver, renoise_of(draws))

    def settings(self) -> dict[str, Any]:
        """Warp, guidance and negative prompt."""
        network = self.network
        steered = {"negative": network.negative} if network.negative and network.cfg_weight is not None else {}
        return warp_settings(self.warp) | {"cfg_weight": network.cfg_weight} | steered


@dataclass(frozen=True)
class RealClips:
    """Latents of real clips of the prompts' contents: the ceiling that the codec sets."""

    codec: Codec
    world: World
    device: str = "cpu"

    def parts(self, cell: Cell, items: Sequence[Item]) -> Iterator[Tensor]:
        """Whole clips in one part."""
        yield self.clips(items)

    def clips(self, items: Sequence[Item]) -> Tensor:
        """One future of each content, sampled with the sampling seed, `(B, C, T, H, W)`."""
        clips = [held_out_clip(prompt, seed, self.world) for prompt, seed in items if isinstance(prompt, Prompt)]
        assert len(clips) == len(items)  # a user's own caption has no clip: `salt sample` refuses it
        return self.codec.encode(as_tensor(np.stack(clips)).to(self.device))

    def settings(self) -> dict[str, Any]:
        """Empty: the world is part of the protocol."""
        return {}
