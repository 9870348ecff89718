"""What the cache does to a causal student: its quality as a condition, composition under it, and the seams of chunks.

Symbols: B videos of T latent frames, `(B, C, T, H, W)`, made in n = T / chunk chunks; K function evaluations a chunk;
decoded videos `(B, 3, F, H', W')` in [0, 1], F = 1 + (T - 1) s for a codec that draws s frames of each latent one.

* `cache_matrix`: the last chunk by K evaluations behind a cache of chunks made by K_cache. If the cache is "a
  quality-parameterised condition" (Sec. 3.3), the rows of this matrix differ, and a student that has met all qualities
  in training should lose less away from the diagonal.
* `endpoint_mismatch`: the defect of a student's steps, chunk after chunk, each under the cache that the rollout left.
* `seam`: how much more a video changes from chunk to chunk than within a chunk.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.evaluation.diagnostics.defect import path_defects
from salt.evaluation.sampling.solvers import trajectory
from salt.flow.grid import Warp, time_grid
from salt.flow.path import Velocity
from salt.flow.transport import Renoise
from salt.models.protocol import CausalModel, ChunkMemory
from salt.rollout.autoregressive import bind_context, roll


@dataclass(frozen=True, eq=False)
class ChunkedSampling:
    """A batch of videos to be made: everything but the number of steps.

    Attributes:
        model: the student, on the device of the tensors.
        policy: of its memory.
        text: `(B, L, D)`.
        noise: `(B, C, T, H, W)`, of all chunks.
        solver: euler or cm.
        warp: of the grids.
        renoise: of the CM solver, for all chunks at once.
    """

    model: CausalModel
    policy: Memory
    text: Tensor
    noise: Tensor
    solver: str
    warp: Warp
    renoise: Renoise

    def chunks(self) -> tuple[Tensor, ...]:
        """The noise of each chunk."""
        return self.noise.split(self.model.chunk, dim=2)

    def memory(self) -> ChunkMemory:
        """An empty one, for the whole video."""
        size, _, frames, height, width = self.noise.shape
        return self.model.open_memory(self.policy, size, height, width, frames)

    def path(self, velocity: Velocity, noise: Tensor, start: int, grid: Sequence[float]) -> list[Tensor]:
        """States at (*grid, 0) of the chunk that begins at frame `start`."""

        def renoise(i: int, like: Tensor) -> Tensor:
            return self.renoise(i, self.noise)[:, :, start : start + self.model.chunk]

        return trajectory(velocity, noise, grid, self.solver, renoise)


@torch.no_grad()
def cache_matrix(rollout: ChunkedSampling, steps: Sequence[int]) -> dict[tuple[int, int], Tensor]:
    """Videos whose last chunk has K evaluations, behind a cache of chunks of K_cache evaluations, from the same noise.

    Args:
        rollout: of two chunks or more.
        steps: every K, and every K_cache.

    Returns:
        (K_cache, K) -> latents `(B, C, T, H, W)`; of one K_cache all but the last chunk are equal.

    Raises:
        SaltError: a single chunk, which has no cache.
    """
    *past, last = rollout.chunks()
    if not past:
        raise SaltError(
            f"{last.shape[2]} latent frames with chunk={rollout.model.chunk} are one chunk, made without a cache; "
            "accepted: two chunks or more"
        )
    grids = {count: time_grid(count, rollout.warp) for count in steps}
    matrix = {}
    for k_cache, grid in grids.items():
        memory = rollout.memory()
        made = _roll(rollout, memory, past, grid)
        rollout.model.remember(memory, made[-1], rollout.text)
        velocity = bind_context(rollout.model, memory, rollout.text)
        for k, fine in grids.items():
            x_0 = rollout.path(velocity, last, memory.start, fine)[-1]
            matrix[k_cache, k] = torch.cat([*made, x_0], dim=2)
    return matrix


def _roll(
    rollout: ChunkedSampling, memory: ChunkMemory, noises: Sequence[Tensor], grid: Sequence[float]
) -> list[Tensor]:
    """Chunks by the steps of one grid; the last is not remembered yet."""

    def solve(velocity: Velocity, noise: Tensor, start: int) -> Tensor:
        return rollout.path(velocity, noise, start, grid)[-1]

    return list(roll(rollout.model, memory, lambda _: rollout.text, noises, solve))


@torch.no_grad()
def endpoint_mismatch(rollout: ChunkedSampling, steps: int) -> Tensor:
    """Eq. (16) of every step of every chunk, under the cache that the chunks before it left.

    t_m is the one level of T^(2K) between t_s and t_e, as in `salt.evaluation.diagnostics`, and states are those of the
    rollout itself.

    Args:
        rollout: videos to be made.
        steps: K.

    Returns:
        `(B, n, K)`: chunks in order, intervals of T^(K) from noise to data.
    """
    grid, middle = time_grid(steps, rollout.warp), time_grid(2 * steps, rollout.warp)[1::2]
    defects = []

    def solve(velocity: Velocity, noise: Tensor, start: int) -> Tensor:
        path = rollout.path(velocity, noise, start, grid)
        defects.append(path_defects(velocity, path, grid, middle))
        return path[-1]

    deque(roll(rollout.model, rollout.memory(), lambda _: rollout.text, rollout.chunks(), solve), maxlen=0)
    return torch.stack(defects, dim=1)


class Seam(NamedTuple):
    """Mean absolute change from a frame to the next, of each video, `(B,)`, in units of the full range of a pixel."""

    across: Tensor
    """From the last frame of a chunk to the first of the next."""
    within: Tensor
    """From frame to frame of one chunk."""

    @property
    def ratio(self) -> float:
        """Mean change across seams by mean change within chunks: 1 for even motion, NaN where nothing ever changes.

        Means over videos come first: a single video that stands still has no ratio of its own.
        """
        return float(self.across.mean() / self.within.mean())


def seam(video: Tensor, latent_frames: int, chunk: int) -> Seam:
    """How much decoded videos change across the seams of chunks, and within chunks.

    A codec may change more where a latent frame begins, seam or not: compare with real clips through the codec.

    Args:
        video: `(B, 3, F, H, W)`, F = 1 + (T - 1) s.
        latent_frames: T.
        chunk: latent frames made at once.

    Raises:
        SaltError: F does not fit T, or there is no seam, or no two frames lie in one chunk.
    """
    frames = video.shape[2]
    each = max(frames - 1, 1) // max(latent_frames - 1, 1)
    if frames != 1 + (latent_frames - 1) * each:
        raise SaltError(f"{frames} frames of {latent_frames} latent ones; accepted: 1 + s ({latent_frames} - 1)")
    seams = [each * (start - 1) for start in range(chunk, latent_frames, chunk)]
    inside = sorted(set(range(frames - 1)) - set(seams))
    if not seams or not inside:
        raise SaltError(
            f"{frames} frames of {latent_frames} latent ones, chunk={chunk}: no "
            f"{'two frames within a chunk' if seams else 'seam'}; accepted: both, to be compared"
        )
    change = video.diff(dim=2).abs().mean(dim=(1, 3, 4))
    return Seam(change[:, seams].mean(1), change[:, inside].mean(1))
