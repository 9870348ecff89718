"""Flow-map matching: a network of two times learns the law of flow maps on noised data. How AnyFlow begins.

One role, the generator. Its guidance is learnt: (u - (1 - w) u_uncond) / w is what has the law of the data.
"""

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import shift_time
from salt.flow.path import interpolate
from salt.methods.draws import Draws
from salt.methods.protocol import Method
from salt.models.protocol import Batch, FlowMapModel
from salt.objectives.flow_map import Mean, balanced, derivative_along_path, flow_map_target, flow_map_weight
from salt.objectives.regression import velocity_loss
from salt.streams import Streams


class FlowMapMethod(Method):
    """The method of `objectives.flow_map`."""

    def __init__(self, experiment: Experiment, generator: nn.Module, streams: Streams) -> None:
        """Raises SaltError if the experiment lacks `objectives.flow_map`, or the network takes one time."""
        config = experiment.objectives.flow_map
        if config is None or not isinstance(generator, FlowMapModel):
            raise SaltError(
                f"{experiment.name}: flow-map matching needs objectives.flow_map and a network of two times"
            )
        self.trainable = {"generator": generator}
        self.constant: tuple[nn.Module, ...] = ()
        self._config, self._network = config, generator
        self._streams, self._draws = streams, Draws(streams, experiment.train.batch_size)

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator, once."""
        return ("generator",)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean loss over a micro-batch, within which losses are balanced, times its weight."""
        config, x_0 = self._config, batch.x_0
        t, s = self._times(batch, step)
        eps = self._draws.normal("flow_map/eps", batch, step)
        x_t = interpolate(x_0, eps, t)
        u = self._mean(batch, batch.text)(x_t, t, s)
        if config.cfg_weight != 1:
            with torch.no_grad():
                uncond = self._mean(batch, batch.empty_text.expand_as(batch.text))(x_t, t, s)
            u = (u - (1 - config.cfg_weight) * uncond) / config.cfg_weight
        derivative = derivative_along_path(self._mean(batch, batch.text), x_0, eps, t, s, config.step)
        target = flow_map_target(x_0, eps, t, s, derivative / config.cfg_weight)
        losses = flow_map_weight(t, config.shift) * velocity_loss(u, target)
        recorded = {"velocity": losses[s == t].mean().item()} if bool((s == t).any()) else {}
        return config.weight * balanced(losses, s == t, config.balance).mean(), recorded

    def _times(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """T and s; which samples have s = t or s = 0 is drawn for each."""
        first, second, which = (
            self._streams.uniform(f"flow_map/{name}", step, batch.samples).to(batch.x_0.device)
            for name in ("first", "second", "share")
        )
        t, s = (
            shift_time(each, self._config.shift)
            for each in (torch.maximum(first, second), torch.minimum(first, second))
        )
        s = torch.where(which < self._config.velocity_share + self._config.end_share, 0.0, s)
        return t, torch.where(which < self._config.velocity_share, t, s)

    def _mean(self, batch: Batch, text: Tensor) -> Mean:
        return lambda x_t, t, s: self._network.mean_velocity(x_t, t, s, text, batch.image)
