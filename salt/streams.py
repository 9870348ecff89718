"""The named random streams of `salt.draws` as tensors."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from salt.draws import generator


class Streams:
    """The random streams of one seed; draws are stacked along the samples, on the CPU."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generator(self, purpose: str, step: int, sample: int) -> np.random.Generator:
        """The stream of one sample."""
        return generator(self.seed, purpose, step, sample)

    def normal(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        """Standard normal `(len(samples), *shape)`, float32."""
        size = tuple(shape)
        drawn = [self.generator(purpose, step, sample).standard_normal(size, dtype=np.float32) for sample in samples]
        return torch.from_numpy(np.asarray(drawn, np.float32))

    def uniform(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        """Uniform on [0, 1), `(len(samples), *shape)`, float32."""
        size = tuple(shape)
        drawn = [self.generator(purpose, step, sample).random(size, dtype=np.float32) for sample in samples]
        return torch.from_numpy(np.asarray(drawn, np.float32))

    def integers(self, purpose: str, step: int, samples: Sequence[int], high: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, `(len(samples),)`, int64."""
        drawn = [self.generator(purpose, step, sample).integers(high) for sample in samples]
        return torch.from_numpy(np.asarray(drawn, np.int64))
