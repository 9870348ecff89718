"""Clean latents of a world that can name its modes, made when they are asked for: a mode, and a style drawn for it.

What a sample is depends on its number and the seed alone. Nothing is stored but the cue channels of the figures, and no
clip is seen twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from salt.data.modes import WorldModes
from salt.data.world import SHORT_FORMS, Content, Mentions, caption, split_of
from salt.draws import generator
from salt.models.factored import FactoredModes
from salt.models.protocol import Batch, TextEncoder

STORED_SEED = 3
"""Seed of the clips that have numbers of their own, for trajectories of a teacher."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One clip."""

    mode: int
    style: Tensor
    """z, `(R,)`."""
    content: Content
    caption: str


@dataclass(frozen=True, eq=False)
class ModeBank:
    """Batches of latents and text embeddings: contents of the training split, as `ClipSource` draws them."""

    modes: WorldModes
    factored: FactoredModes
    text_encoder: TextEncoder
    seed: int
    before: bool = False
    """Whether batches have `text_before`."""
    empty: str = ""
    """The caption embedded as `empty_text`."""
    _known: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        """Clips that have numbers of their own."""
        return self.modes.world.clips

    def clips(self, start: int, stop: int) -> tuple[Tensor, list[str]]:
        """Latents `(stop - start, C, T, h, w)` and captions of the clips with these numbers."""
        drawn = [self._draw(STORED_SEED, number) for number in range(start, stop)]
        return self._latents(drawn), [one.caption for one in drawn]

    def batch(self, samples: Sequence[int]) -> Batch:
        """The clips of these samples."""
        drawn = [self._draw(self.seed, sample) for sample in samples]
        before = self._embedded([self._caption(sample) for sample in samples]) if self.before else None
        text, empty = self._embedded([one.caption for one in drawn]), self._embedded([self.empty])
        return Batch(self._latents(drawn), text, empty, tuple(samples), text_before=before)

    def _latents(self, drawn: Sequence[Drawn]) -> Tensor:
        mode = torch.tensor([one.mode for one in drawn])
        return self.factored.states(mode, torch.stack([one.style for one in drawn])).float()

    def _draw(self, seed: int, number: int) -> Drawn:
        rng = generator(seed, "data/clip", 0, number)
        content, words = self._caption_by(rng)
        begin, end = (int(self.modes.bounds[content + i]) for i in (0, 1))
        mode = begin + int(rng.choice(end - begin, p=self._weights[begin:end]))
        style = torch.from_numpy(rng.standard_normal(self.factored.style.shape[2]))
        return Drawn(mode, style, self.modes.contents[content], words)

    def _caption(self, sample: int) -> str:
        """Another clip's caption."""
        return self._caption_by(generator(self.seed, "data/before", 0, sample))[1]

    def _caption_by(self, rng: np.random.Generator) -> tuple[int, str]:
        """The number of a content, and a caption of it."""
        world = self.modes.world
        count = 2 if rng.random() < world.pair_share else 1
        content = int(rng.choice(self._contents[count]))
        mentions = Mentions()
        if rng.random() < world.short_share:
            mentions = SHORT_FORMS[count][rng.integers(len(SHORT_FORMS[count]))]
        return content, caption(self.modes.contents[content], mentions)

    @cached_property
    def _contents(self) -> dict[int, list[int]]:
        """Numbers of the training split's contents, by how many sprites they have."""
        numbered = list(enumerate(self.modes.contents))
        return {
            count: [i for i, one in numbered if len(one.sprites) == count and split_of(one) == "train"]
            for count in (1, 2)
        }

    @cached_property
    def _weights(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        weights: np.ndarray[Any, np.dtype[np.float64]] = self.modes.log_weights.exp().numpy()
        return weights

    def _embedded(self, captions: Sequence[str]) -> Tensor:
        new = [text for text in dict.fromkeys(captions) if text not in self._known]
        if new:
            self._known.update(zip(new, self.text_encoder.encode(new), strict=True))
        return torch.stack([self._known[text] for text in captions])
