"""Continuous-time consistency as a term: rCM (arXiv 2510.08431) puts it beside distribution matching."""

import torch
from torch import Tensor

from salt.config.objectives import SCM
from salt.flow.path import expand
from salt.methods.terms.protocol import Components, Output, Term
from salt.models.conditioning import bind, guided
from salt.models.protocol import Batch
from salt.objectives.scm import jvp_along_path, scm_loss, scm_tangent, trigflow


class ContinuousConsistency(Term):
    """L_sCM on noised data, at first alone: how the student's clean prediction changes along the teacher's path."""

    def __init__(self, config: SCM, components: Components) -> None:
        self.weight = config.weight
        self._config, self._draws = config, components.draws
        self._generator, self._teacher = components.generator, components.teacher

    def acts_alone(self, step: int) -> bool:
        """Until the direction is that of consistency."""
        return step < self._config.warmup

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Always acts; looks at data, not at the student's rollout."""
        config = self._config
        drawn = self._draws.streams.normal("generator/angle", step, batch.samples).to(batch.x_0.device)
        a = (config.log_mean + config.log_std * drawn).exp().atan()
        noise = self._draws.normal("generator/consistency", batch, step)
        x = expand(a.cos(), noise) * batch.x_0 + expand(a.sin(), noise) * noise
        student = trigflow(bind(self._generator, batch.text, batch.image))
        with torch.no_grad():
            f_teacher = trigflow(guided(self._teacher, batch, config.cfg_weight))(x, a)
        derivative = jvp_along_path(student, x, a, f_teacher, config.derivative, config.step)
        f = student(x, a)
        share = min(1.0, step / config.warmup) if config.warmup else 1.0
        scm = scm_loss(f, scm_tangent(f, f_teacher, derivative, x, a, share, config.whole_derivative))
        return scm, {"scm": scm.item()}
