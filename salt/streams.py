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


class MemberStreams(Streams):
    """The streams of an ensemble: each member draws by its own seed, as it would alone; members lie one after another.

    Numbers come in one block for each (seed, purpose, step, first sample), not one for each sample, since a draw costs
    more than an update of a small network. So a batch must not be split. A draw for a whole update (`samples` of one
    number, whose first result is used) is that of the first member, for all.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__(seeds[0])
        self.seeds = tuple(seeds)

    def normal(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        """Standard normal `(E * len(samples), *shape)`, float32."""
        size = (len(samples), *shape)
        blocks = self._blocks(purpose, step, samples)
        return torch.from_numpy(np.concatenate([one.standard_normal(size, dtype=np.float32) for one in blocks]))

    def uniform(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        """Uniform on [0, 1), `(E * len(samples), *shape)`, float32."""
        size = (len(samples), *shape)
        blocks = self._blocks(purpose, step, samples)
        return torch.from_numpy(np.concatenate([one.random(size, dtype=np.float32) for one in blocks]))

    def integers(self, purpose: str, step: int, samples: Sequence[int], high: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, `(E * len(samples),)`, int64: floor(u high), so that a u serves every `high`."""
        blocks = self._blocks(purpose, step, samples)
        u = np.concatenate([one.random(len(samples)) for one in blocks])
        return torch.from_numpy((u * high).astype(np.int64))

    def _blocks(self, purpose: str, step: int, samples: Sequence[int]) -> list[np.random.Generator]:
        return [generator(seed, purpose, step, samples[0]) for seed in self.seeds]
