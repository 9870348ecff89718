"""Videos of causal students: chunk by chunk, each conditioned on the ones before through the KV cache.

Noise is that of the other students: x_1 of a clip is sampled whole and split into chunks, so that every method, solver
and NFE starts from the same noise. A long video starts from several such clips of noise, *blocks*, one after another.
At any time, memory holds one block of noise, one chunk, and what the policy remembers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.evaluation.cells import Cell
from salt.evaluation.sampling.solvers import generate, initial_noise, renoise_of
from salt.evaluation.sampling.sources import Item
from salt.flow.grid import Warp, time_grid, warp_settings
from salt.flow.path import Velocity
from salt.models.protocol import CausalModel, TextEncoder
from salt.rollout import roll


@dataclass(frozen=True)
class SampledByChunk:
    """Latents sampled from a causal student; a `salt.evaluation.sampling.sources.Source`.

    Attributes:
        model: on `device`.
        text_encoder: its embeddings may be on any device.
        memory: the KV-cache policy.
        warp: of the grids.
        latent_shape: `(C, T, H, W)` of a clip.
        length: of a video, in clips.
        device: where latents are computed.
    """

    model: CausalModel
    text_encoder: TextEncoder
    memory: Memory
    warp: Warp
    latent_shape: tuple[int, ...]
    length: int = 1
    device: str = "cpu"

    def parts(self, cell: Cell, items: Sequence[Item]) -> Iterator[Tensor]:
        """Chunk by chunk, each by the solver and the NFE of the cell.

        The chunks of an item are divided equally among its captions. All items have the same number of captions,
        because a memory changes the prompt of all its videos at once.
        """
        draws, texts = [item.draw() for item in items], [item.prompt.texts(cell.variant) for item in items]
        (captions,) = {len(text) for text in texts}
        _, frames, height, width = self.latent_shape
        chunk, total, grid = self.model.chunk, self.length * frames, time_grid(cell.nfe, self.warp)

        def noises() -> Iterator[Tensor]:
            for block in range(self.length):
                yield from initial_noise(draws, self.latent_shape, block).to(self.device).split(chunk, dim=2)

        @lru_cache(maxsize=1)  # the current block
        def fresh(block: int) -> list[Tensor]:
            like = torch.empty(len(draws), *self.latent_shape, device=self.device)
            return [renoise_of(draws, block)(i, like) for i in range(len(grid) - 1)]

        @lru_cache(maxsize=1)  # the same tensor object while the prompt stays the same
        def embedded(place: int) -> Tensor:
            return self.text_encoder.encode([text[place] for text in texts]).to(self.device)

        def solve(velocity: Velocity, x: Tensor, start: int) -> Tensor:
            block, first = divmod(start, frames)
            part = slice(first, first + chunk)
            return generate(velocity, x, grid, cell.solver, lambda i, like: fresh(block)[i][:, :, part])

        memory = self.model.open_memory(self.memory, len(draws), height, width, total)
        return roll(self.model, memory, lambda start: embedded(start * captions // total), noises(), solve)

    def settings(self) -> dict[str, Any]:
        """Warp, chunk and memory."""
        memory = self.memory.model_dump(mode="json")
        return warp_settings(self.warp) | {"chunk": self.model.chunk, "memory": memory}
