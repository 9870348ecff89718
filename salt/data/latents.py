"""The bank of clean latents that training reads: `(C, T, h, w)` each, with their captions, in a store.

Which clip a training sample is depends on the sample's number and the seed alone: epoch after epoch, each a permutation
of the bank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import Field
from torch import Tensor

from salt.config.base import Section, is_none
from salt.data.order import Order
from salt.data.store import WHOLE, Embedded, Make, Store, write_store
from salt.errors import SaltError
from salt.models.protocol import Batch, FirstFrame, TextEncoder

COMMAND = "salt latents"


class About(Section):
    """Everything that determines the latents of a bank, except how many there are."""

    codec: str
    """Hash of the codec's weights."""
    source: str
    """Hash of the clips' source."""
    first_frame: str | None = Field(default=None, exclude_if=is_none)
    """At image-to-video scales, hash of the encoder of first frames; None: there are no first frames."""


def write_bank(
    folder: Path, about: About, total: int, shard_size: int, make: Make, part: tuple[int, int] = WHOLE
) -> None:
    """Write latents and their captions, or what is missing of them: see `write_store`."""
    write_store(folder, about, total, shard_size, make, COMMAND, part)


@dataclass(frozen=True)
class Shape:
    """The shapes of what is stored for one clip."""

    latents: tuple[int, int, int, int]
    """`(C, T, h, w)`."""
    features: tuple[int, int] | None = None
    """`(N, D)`, the features of its first frame; None: it has none, or networks take none."""
    first_frame: bool = False
    """Whether its first frame is stored with it, as latents and features."""

    def row(self) -> tuple[int, ...]:
        """The shape of one row of the store: that of the latents or, with a first frame, of all three concatenated."""
        return (sum(self._sizes()),) if self.first_frame else self.latents

    def pack(self, x_0: Tensor, image: FirstFrame | None) -> Tensor:
        """Rows `(N, *row)` of clips."""
        if image is None:
            return x_0
        parts = [x_0, image.latents, image.features]
        return torch.cat([part.flatten(1) for part in parts if part is not None], dim=1)

    def unpack(self, rows: Tensor) -> tuple[Tensor, FirstFrame | None]:
        """The inverse of `pack`."""
        if not self.first_frame:
            return rows, None
        x_0, latents, *features = rows.split(self._sizes(), dim=1)
        kept = features[0].unflatten(1, self.features) if self.features else None
        return x_0.unflatten(1, self.latents), FirstFrame(latents.unflatten(1, self.latents), kept)

    def _sizes(self) -> list[int]:
        return [prod(self.latents)] * 2 + ([prod(self.features)] if self.features else [])


class Bank(Protocol):
    """Clean latents for training."""

    def __len__(self) -> int:
        """Clips that have numbers of their own."""
        ...

    def batch(self, samples: Sequence[int]) -> Batch:
        """The clips of these samples."""
        ...

    def clips(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents `(stop - start, C, T, h, w)` and captions of the clips with these numbers."""
        ...


class LatentBank:
    """Batches of latents and text embeddings.

    Attributes:
        about: what the latents were made from.
    """

    def __init__(
        self,
        folder: Path,
        text_encoder: TextEncoder,
        seed: int,
        expect: Mapping[str, Any],
        shape: Shape,
        before: bool = False,
        hashed: bool = True,
        empty: str = "",
    ) -> None:
        """Open a bank that `write_bank` completed.

        Args:
            folder: of the bank.
            text_encoder: embeds the captions.
            seed: of the order of the clips.
            expect: required values of some fields of `about`.
            shape: required shape of a clip.
            before: whether batches have `text_before`.
            hashed: see `Store`.
            empty: the caption embedded as `empty_text`.

        Raises:
            SaltError: clips have another shape; otherwise see `Store`.
        """
        self._store, self._before, self._shape = Store(folder, About, expect, COMMAND, hashed), before, shape
        if self._store.shape != shape.row():
            raise SaltError(
                f"{folder}: latents {self._store.shape}; accepted: {shape.row()}; make such a folder with `{COMMAND}`"
            )
        self.about = self._store.about
        self._text = Embedded(self._store.captions, text_encoder, empty)
        self._order = Order(len(self._store), seed)

    def __len__(self) -> int:
        return len(self._store)

    def clips(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents `(stop - start, C, T, h, w)` and captions, in the order of the store."""
        x_0, _ = self._shape.unpack(self._store.latents(range(start, stop)))
        return x_0, self._store.captions[start:stop]

    def batch(self, samples: Sequence[int]) -> Batch:
        """The clips of these samples."""
        rows = self._order.rows(samples)
        before = self._text.rows((rows + 1) % len(self)) if self._before else None
        x_0, image = self._shape.unpack(self._store.latents(rows))
        return Batch(x_0, self._text.rows(rows), self._text.empty, tuple(samples), text_before=before, image=image)
