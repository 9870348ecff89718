"""The bank of clean latents that training reads: `(C, T, h, w)` each, with their captions, in a store.

The clip of a training sample is a function of the sample's number and the seed alone: epoch after epoch, each a
permutation of the bank.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from salt.config.base import Section
from salt.data.order import Order
from salt.data.store import WHOLE, Embedded, Make, Store, write_store
from salt.errors import SaltError
from salt.models.protocol import Batch, TextEncoder

COMMAND = "salt latents"


class About(Section):
    """All that decides the latents of a bank, besides how many there are."""

    codec: str
    """Hash of the codec's weights."""
    source: str
    """Hash of what the clips come from."""


def write_bank(
    folder: Path, about: About, total: int, shard_size: int, make: Make, part: tuple[int, int] = WHOLE
) -> None:
    """Write latents and their captions, or what is missing of them: see `write_store`."""
    write_store(folder, about, total, shard_size, make, COMMAND, part)


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
        shape: Sequence[int],
        before: bool = False,
        hashed: bool = True,
        empty: str = "",
    ) -> None:
        """Read what `write_bank` finished.

        Args:
            folder: where it lies.
            text_encoder: embeds the captions.
            seed: of the order in which samples show the clips.
            expect: what `about` must say, for some of its fields.
            shape: `(C, T, h, w)` that a clip must have.
            before: give batches `text_before` too.
            hashed: see `Store`.
            empty: what stands for the empty caption.

        Raises:
            SaltError: clips of another shape, or as of `Store`.
        """
        self._store, self._before = Store(folder, About, expect, COMMAND, hashed), before
        if self._store.shape != tuple(shape):
            raise SaltError(
                f"{folder}: latents {self._store.shape}; accepted: {tuple(shape)}; make such a folder with `{COMMAND}`"
            )
        self.about = self._store.about
        self._text = Embedded(self._store.captions, text_encoder, empty)
        self._order = Order(len(self._store), seed)

    def __len__(self) -> int:
        return len(self._store)

    def clips(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents `(stop - start, C, T, h, w)` and captions, in the order of the store."""
        return self._store.latents(range(start, stop)), self._store.captions[start:stop]

    def batch(self, samples: Sequence[int]) -> Batch:
        """The clips of these samples."""
        rows = self._order.rows(samples)
        before = self._text.rows((rows + 1) % len(self)) if self._before else None
        clean, text = self._store.latents(rows), self._text.rows(rows)
        return Batch(clean, text, self._text.empty, tuple(samples), text_before=before)
