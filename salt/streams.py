"""The named random streams of `salt.draws` as tensors."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from salt.draws import Rewound, generator

Draw: TypeAlias = Callable[[np.random.Generator], NDArray[Any]]


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
        self._one = Rewound()

    def normal(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        """Standard normal `(E * len(samples), *shape)`, float32."""
        size = (len(samples), *shape)
        return self._joined(purpose, step, samples, lambda one: one.standard_normal(size, dtype=np.float32))

    def uniform(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        """Uniform on [0, 1), `(E * len(samples), *shape)`, float32."""
        size = (len(samples), *shape)
        return self._joined(purpose, step, samples, lambda one: one.random(size, dtype=np.float32))

    def integers(self, purpose: str, step: int, samples: Sequence[int], high: int) -> Tensor:
        """Uniform on {0, ..., high - 1}, `(E * len(samples),)`, int64: floor(u high), so that a u serves all."""
        size = len(samples)
        return self._joined(purpose, step, samples, lambda one: (one.random(size) * high).astype(np.int64))

    def _joined(self, purpose: str, step: int, samples: Sequence[int], draw: Draw) -> Tensor:
        drawn = [draw(self._one.to(seed, purpose, step, samples[0])) for seed in self.seeds]
        return torch.from_numpy(np.concatenate(drawn))
