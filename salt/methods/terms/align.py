"""Cache-conditioned alignment as a term: a rollout of few steps against a denser one of the same noise."""

import torch
from torch import Tensor

from salt.config.objectives import Align
from salt.flow.path import interpolate
from salt.methods.adversary import frozen
from salt.methods.rollouts import RolloutOutput
from salt.methods.terms.protocol import Components, Output, Term
from salt.models.protocol import Batch
from salt.objectives.align import alignment_loss


class Alignment(Term):
    """L_align 1[K in `references`] between a rollout and its reference, both noised to t_f with the same eps."""

    def __init__(self, config: Align, components: Components) -> None:
        self.weight = config.weight
        self._config, self._draws, self._rollout = config, components.draws, components.rollout
        frozen_one = components.teacher if components.own is None else components.own
        self._network = frozen_one if config.features == "teacher" else components.critic
        self._blocks = (self._network.depth // 2 if config.block is None else config.block,)

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]] | None:
        """Acts where the rollout has a reference in this update."""
        rollout = output()
        if not self._has_reference(rollout, batch, step):
            return None
        reference = self._rollout.reference(batch, step, "generator", rollout, self._config.references[rollout.steps])
        t, eps = self._draws.noising(self._config.noise, "align", batch, step)
        with frozen(self._network):
            low = self._network.features(interpolate(rollout.x_0, eps, t), t, batch.text, self._blocks)[0]
        with torch.no_grad():
            ref = self._network.features(interpolate(reference, eps, t), t, batch.text, self._blocks)[0]
        align = alignment_loss(low, ref, self._config.margin).mean()
        return align, {"align": align.item()}

    def _has_reference(self, rollout: RolloutOutput, batch: Batch, step: int) -> bool:
        if rollout.steps not in self._config.references or step < self._config.start:
            return False
        if not int(rollout.sample.index[0]):  # both would take the one and the same step
            return False
        return self._draws.shared("generator/align", batch, step) < self._config.probability
