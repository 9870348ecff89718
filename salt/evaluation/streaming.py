"""Videos of causal students: chunk by chunk, each conditioned on the ones before through the KV cache.

Noise is that of the other students: x_1 of a clip is drawn whole and cut into chunks, so that every method, solver and
NFE starts from the same noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from salt.config.schema import Memory
from salt.evaluation.sample import Item
from salt.evaluation.score import Cell
from salt.evaluation.solvers import generate, initial_noise, renoise_of
from salt.flow.grid import time_grid
from salt.flow.path import Velocity
from salt.models.protocol import CausalModel, TextEncoder
from salt.rollout import roll


@dataclass(frozen=True)
class SampledByChunk:
    """Latents that a causal student makes; `salt.evaluation.sample.Source`.

    Attributes:
        model: on `device`.
        text_encoder: gives embeddings on any device.
        memory: its KV-cache policy.
        shift: of the grids.
        latent_shape: `(C, T, H, W)` of a clip.
        device: where latents are computed.
    """

    model: CausalModel
    text_encoder: TextEncoder
    memory: Memory
    shift: float
    latent_shape: tuple[int, ...]
    device: str = "cpu"

    def latents(self, cell: Cell, items: Sequence[Item]) -> Tensor:
        """By the solver and the NFE of the cell, in every chunk."""
        draws = [item.draw() for item in items]
        noise = initial_noise(draws, self.latent_shape).to(self.device)
        text = self.text_encoder.encode([item.prompt.text(cell.prompts) for item in items]).to(self.device)
        grid, renoise, chunk = time_grid(cell.nfe, self.shift), renoise_of(draws), self.model.chunk
        fresh = [renoise(i, noise) for i in range(len(grid) - 1)] if cell.solver == "cm" else []

        def solve(velocity: Velocity, x: Tensor, start: int) -> Tensor:
            part = slice(start, start + chunk)
            return generate(velocity, x, grid, cell.solver, lambda i, like: fresh[i][:, :, part])

        size, _, frames, height, width = noise.shape
        memory = self.model.open_memory(self.memory, size, height, width, frames)
        chunks = roll(self.model, memory, lambda start: text, noise.split(chunk, dim=2), solve)
        return torch.cat(list(chunks), dim=2)

    def settings(self) -> dict[str, Any]:
        """Shift, chunk and memory."""
        return {"shift": self.shift, "chunk": self.model.chunk, "memory": self.memory.model_dump(mode="json")}
