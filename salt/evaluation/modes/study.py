"""Samples of one model, measured against the modes of the world: cell by cell, long videos window by window.

A window of a long video is as many latent frames as a clip, and shares one with the next window, so no step from frame
to frame is left out. Since any window of a video of the world is a clip of the world, each has the same truth.

Symbols: W windows; n = prompts times samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from salt.config.modes import HIGH_OF, WINDOW
from salt.config.scale import Scale
from salt.data.prompts import Prompt, Variant, prompts_hash, report_prompts
from salt.evaluation.cells import RECORD_COLUMNS, ModelCell
from salt.evaluation.modes.explained import Explained, explain
from salt.evaluation.modes.measures import Numbers, Shares, energy_distance, measures
from salt.evaluation.sampling.sources import Item, RealClips, Source
from salt.evaluation.sampling.videos import finite
from salt.evaluation.scorer import digest, low_precision
from salt.models.factored import FactoredTeacher
from salt.models.protocol import PictureCodec, TextEncoder

VERSION = 1
"""Raise it when a measure changes."""
VARIANT: Variant = "extended"
"""What is measured: captions that leave open where, when and how fast, in which style, but not what."""
SETS = 20
"""Sets of real clips from which floors are taken."""
HIGH = 0.95
"""The share of these sets that lie below what is called high."""
TRUTH = 1 << 20
"""Sampling seeds of real clips that samples are compared with begin here."""


@dataclass(frozen=True, eq=False)
class Study:
    """What all models of a scale are measured with."""

    scale: Scale
    teacher: FactoredTeacher
    shares: Shares
    text_encoder: TextEncoder
    codec: PictureCodec
    clips: RealClips
    prompts: Sequence[Prompt]

    def items(self, first: int = 0) -> list[Item]:
        """`evaluation.mode_samples` of each prompt, with sampling seeds from `first` on."""
        seeds = range(first, first + self.scale.evaluation.mode_samples)
        return [Item(prompt, seed) for seed, prompt in product(seeds, self.prompts)]

    def protocol(self) -> str:
        """Identifies everything that determines a measurement besides the model, of clips and of long videos alike."""
        evaluation, world = self.scale.evaluation, self.scale.world
        long = evaluation.long and [evaluation.long.length, evaluation.long.prompts]
        decides = {
            "modes": VERSION,
            "prompts": prompts_hash(report_prompts(world, evaluation.prompts)),
            "long": long,
            "samples": evaluation.mode_samples,
            "world": world.model_dump(mode="json"),
        }
        return digest(decides | low_precision(evaluation))

    def records(self, cell: ModelCell, source: Source) -> pd.DataFrame:
        """All measures of a cell, columns `RECORD_COLUMNS`."""
        items = self.items()
        return self._rows(cell, self.measure(cell, source, items), len(items))

    def floor(self, cell: ModelCell, source: Source) -> pd.DataFrame:
        """What real clips measure: the mean of `SETS` sets of as many, and what `HIGH` of the sets stay below."""
        sets = [
            self.measure(cell, source, self.items(number * self.scale.evaluation.mode_samples))
            for number in tqdm(range(SETS), desc=f"real {cell.name}", disable=None)
        ]
        every = pd.DataFrame(sets)
        joined = pd.concat([every.mean(), every.quantile(HIGH).add_suffix(HIGH_OF)])
        return self._rows(cell, {str(name): value for name, value in joined.items()}, len(self.items()))

    def _rows(self, cell: ModelCell, numbers: Numbers, n: int) -> pd.DataFrame:
        """A measure that too few samples are on the support for is of none."""
        known = cell.columns() | {"protocol": self.protocol()}
        rows = [{"metric": name, "value": value, "n": n * (value == value)} for name, value in numbers.items()]
        return pd.DataFrame([known | row for row in rows], columns=[*RECORD_COLUMNS])

    # ------------------------------------------------------------------------------------------- one cell
    def measure(self, cell: ModelCell, source: Source, items: Sequence[Item]) -> Numbers:
        """All measures; of long videos their means over windows, those of each window, and how style drifts."""
        captions = [item.prompt.text(VARIANT) for item in items]
        latents, text = self.latents(cell, source, items), self.text_encoder.encode(captions)
        truth = self.clips.clips([Item(prompt, TRUTH + seed) for prompt, seed in items])
        windows = cut(latents, truth.shape[2], self.codec)
        found = [explain(self.teacher, window, text) for window in windows]
        each = [
            {"energy_distance": energy_distance(window, truth), **measures(one, self.shares)}
            for window, one in zip(windows, found, strict=True)
        ]
        if len(each) == 1:
            return each[0]
        for one, later in zip(each, found, strict=True):
            one["style_drift"] = drift(found[0], later)
        parts = {f"{name}{WINDOW}{i}": value for i, one in enumerate(each) for name, value in one.items()}
        means = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        return means | parts

    def latents(self, cell: ModelCell, source: Source, items: Sequence[Item]) -> Tensor:
        """Of some videos of a cell, on the CPU."""
        size = self.scale.evaluation.batch_size
        batches = [items[start : start + size] for start in range(0, len(items), size)]
        with torch.no_grad():
            return torch.cat(
                [
                    torch.cat(list(finite(source.parts(cell, batch), cell, batch)), dim=2).cpu()
                    for batch in tqdm(batches, desc=cell.name, disable=None, leave=False)
                ]
            )


def cut(latents: Tensor, frames: int, codec: PictureCodec) -> list[Tensor]:
    """The windows `(B, C, frames, h, w)` of latents `(B, C, T, h, w)`, in order of time, as latents of clips."""
    starts = range(0, latents.shape[2] - frames + 1, frames - 1)
    return [codec.begun(latents[:, :, start : start + frames]) if start else latents[:, :, :frames] for start in starts]


def drift(first: Explained, later: Explained) -> float:
    """How far styles are from those of the same videos' first windows, in standard deviations; of the support."""
    both = ~(first.off_support | later.off_support)
    if not bool(both.any()):
        return float("nan")
    return float((later.style[both] - first.style[both]).square().mean().sqrt())
