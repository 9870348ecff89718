"""Flow matching: a network regresses v = eps - x_0. What teachers are trained with.

t is uniform, then shifted; a share of the captions is replaced by the empty one, for classifier-free guidance. A causal
network is taught by teacher forcing: every chunk has its own t and sees the clean chunks before it. Where a world can
name its modes, the mean of v given x_t and the caption may stand for v itself.
"""

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import shift_time
from salt.flow.path import interpolate, velocity_target
from salt.methods.draws import Draws
from salt.methods.protocol import Method
from salt.models.conditioning import bind
from salt.models.protocol import Batch
from salt.objectives.regression import bell, velocity_loss
from salt.rollout import fold_chunks, unfold_chunks
from salt.streams import Streams


class FlowMatching(Method):
    """The method of `objectives.flow_matching`: one role, the generator."""

    def __init__(
        self, experiment: Experiment, generator: nn.Module, streams: Streams, exact: nn.Module | None = None
    ) -> None:
        """Raises SaltError if the experiment lacks `objectives.flow_matching`.

        `exact` is the mean of v given x_t and the caption, (x_t, t, text) -> v, of whole clips.
        """
        flow_matching = experiment.objectives.flow_matching
        if flow_matching is None:
            raise SaltError(f"{experiment.name}: flow matching needs objectives.flow_matching")
        self.trainable = {"generator": generator}
        self.constant: tuple[nn.Module, ...] = ()
        self._config, self._causal, self._generator = flow_matching, experiment.causal, generator
        self._exact = exact
        self._streams, self._draws = streams, Draws(streams, experiment.train.batch_size)

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator, once."""
        return ("generator",)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean regression error, times its weight."""
        frames, samples, device = batch.x_0.shape[2], batch.samples, batch.x_0.device
        chunk = frames if self._causal is None else self._causal.chunk
        number = frames // chunk
        u = self._streams.uniform("teacher/t", step, samples, (number,)).to(device).flatten()
        t = shift_time(u, self._config.shift)
        eps = fold_chunks(self._draws.normal("teacher/eps", batch, step), chunk)
        dropped = self._streams.uniform("teacher/drop", step, samples).to(device) < self._config.caption_drop
        text = torch.where(dropped[:, None, None], batch.empty_text, batch.text)
        x_0 = fold_chunks(batch.x_0, chunk)
        x_t, target = unfold_chunks(interpolate(x_0, eps, t), number), velocity_target(x_0, eps)
        if self._exact is not None and not bool(dropped.all()):
            with torch.no_grad():
                target[~dropped] = self._exact(x_t[~dropped], t[~dropped], text[~dropped])
        if self._causal is None:
            v = bind(self._generator, text, batch.image)(x_t, t)
        else:
            v = self._generator(x_t, t.view(-1, number), text, batch.x_0)
        loss = velocity_loss(fold_chunks(v, chunk), target)
        if self._config.weighting == "bell":
            loss = bell(t, self._config.shift) * loss
        return self._config.weight * loss.mean(), {}
