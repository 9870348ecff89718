"""Which item of a bank each training sample is: epoch after epoch, each a permutation of the bank.

It depends on the sample's number and the seed alone, so batches can be split and runs resumed at will.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Order:
    """The order of one bank of `size` items under one seed."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._permutation = lru_cache(maxsize=2)(self._shuffle)

    def rows(self, samples: Sequence[int]) -> Tensor:
        """The items of these samples, `(len(samples),)`, int64."""
        return torch.tensor([int(self._permutation(n // self._size)[n % self._size]) for n in samples])

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._size)
