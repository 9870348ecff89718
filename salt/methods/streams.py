"""Named random streams: every draw is a function of (seed, purpose, step, sample number) and of nothing else.

So results depend neither on how a batch is split nor on the number of processes, and a resumed run draws what the
unbroken one would have drawn, without any stored state of a generator.

The name is hashed to the 128-bit key of numpy's counter-based Philox. (torch's CPU generator is no choice: it uses
only the lower 32 bits of a seed, so that streams of one run would coincide by chance.)
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Streams:
    """The random streams of one seed; draws are stacked along the samples, on the CPU."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generator(self, purpose: str, step: int, sample: int) -> np.random.Generator:
        """The stream of one sample: the same name gives the same numbers, in every process and on every machine."""
        name = f"{self.seed}/{purpose}/{step}/{sample}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
        return np.random.Generator(np.random.Philox(key=key))

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
