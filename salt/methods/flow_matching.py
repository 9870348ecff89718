"""Flow matching: a network regresses v = eps - x_0. What teachers are trained with.

t is uniform, then shifted; a share of the captions is replaced by the empty one, for classifier-free guidance.
"""

import torch
from torch import Tensor, nn

from salt.config.schema import FlowMatching as FlowMatchingConfig
from salt.flow.grid import shift_time
from salt.flow.path import interpolate
from salt.methods.streams import Streams
from salt.models.protocol import Batch
from salt.objectives.regression import flow_matching_loss


class FlowMatching:
    """The method of `objectives.flow_matching`: one role, the generator."""

    def __init__(self, config: FlowMatchingConfig, generator: nn.Module, streams: Streams) -> None:
        self.trainable = {"generator": generator}
        self._config, self._generator, self._streams = config, generator, streams

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator, once."""
        return ("generator",)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean regression error, times its weight."""
        x_0, samples, device = batch.x_0, batch.samples, batch.x_0.device
        t = shift_time(self._streams.uniform("teacher/t", step, samples).to(device), self._config.shift)
        eps = self._streams.normal("teacher/eps", step, samples, x_0.shape[1:]).to(device)
        dropped = self._streams.uniform("teacher/drop", step, samples).to(device) < self._config.caption_drop
        text = torch.where(dropped[:, None, None], batch.empty_text, batch.text)
        v = self._generator(interpolate(x_0, eps, t), t, text)
        return self._config.weight * flow_matching_loss(v, x_0, eps).mean(), {}
