"""The exponential moving average of the generator's weights."""

import copy

import torch
from torch import nn


class EMA:
    """A frozen copy of a network that follows it: w_ema <- decay w_ema + (1 - decay) w.

    Up to update `start` it is the network itself, so that averaging begins from the weights of that update.
    """

    def __init__(self, module: nn.Module, decay: float, start: int) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay, self.start = decay, start

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Follow `module` after its update number `step` (1 is the first)."""
        weight = 1.0 if step <= self.start else 1.0 - self.decay
        for average, parameter in zip(self.module.parameters(), module.parameters(), strict=True):
            average.lerp_(parameter, weight)
