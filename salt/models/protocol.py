"""What the rest of the program knows of networks, and of what they are trained on.

Symbols: B samples; latents `(B, C, T, H, W)`; times `(B,)` in [0, 1], 1 being noise; text `(B, L, D)`, zero where
padded; videos `(B, 3, F, H, W)` in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class VelocityModel(Protocol):
    """An `nn.Module` that predicts v = eps - x_0."""

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """`(B, C, T, H, W)`, `(B,)`, `(B, L, D)` -> v `(B, C, T, H, W)`."""
        ...


class TextEncoder(Protocol):
    """Captions to embeddings."""

    def encode(self, captions: Sequence[str]) -> Tensor:
        """N captions -> `(N, L, D)`."""
        ...


class Codec(Protocol):
    """Videos to latents and back."""

    def encode(self, video: Tensor) -> Tensor:
        """`(B, 3, F, H, W)` in [0, 1] -> latents `(B, C, T, H', W')`."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(B, C, T, H', W')` -> `(B, 3, F, H, W)` in [0, 1]."""
        ...

    def latent_shape(self, frames: int, size: int) -> tuple[int, int, int, int]:
        """`(C, T, H', W')` of a square video with `frames` frames and sides of `size` pixels."""
        ...


@dataclass(frozen=True)
class Batch:
    """What one micro-batch of training sees.

    Attributes:
        x_0: clean latents `(B, C, T, H, W)`.
        text: their captions' embeddings `(B, L, D)`.
        empty_text: the empty caption's embedding `(1, L, D)`.
        samples: B numbers, each sample's place in the whole run; random draws are keyed by them.
    """

    x_0: Tensor
    text: Tensor
    empty_text: Tensor
    samples: tuple[int, ...]

    def to(self, device: str) -> "Batch":
        """The same batch on a device."""
        return Batch(self.x_0.to(device), self.text.to(device), self.empty_text.to(device), self.samples)
