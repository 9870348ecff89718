"""Distribution matching as a term: the student's samples are moved along the difference of two scores."""

import torch
from torch import Tensor

from salt.config.objectives import DMD
from salt.flow.path import interpolate, x0_from_velocity
from salt.methods.rollouts import RolloutOutput
from salt.methods.terms.protocol import Components, Output, Term
from salt.models.conditioning import guided
from salt.models.protocol import Batch
from salt.objectives.dmd import dmd_direction, dmd_loss


class DistributionMatching(Term):
    """L_DMD, on every rollout: critic and guided teacher judge its noised x_0, t of which follows `noise`.

    Both see whole clips, also where the student is causal. Records the mean absolute direction, since the loss itself
    says nothing about convergence, and K of the rollout.
    """

    def __init__(self, config: DMD, components: Components) -> None:
        self.weight = config.weight
        self._config, self._draws = config, components.draws
        self._critic_of, self._teacher = components.critic_of, components.teacher

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Always acts."""
        rollout = output()
        direction = self._direction(rollout, batch, step)
        recorded = {"dmd_direction": direction.abs().mean().item(), "steps": float(rollout.steps)}
        return dmd_loss(rollout.x_0, direction), recorded

    @torch.no_grad()
    def _direction(self, rollout: RolloutOutput, batch: Batch, step: int) -> Tensor:
        """At the student's x_0: critic without, teacher with guidance."""
        x_0 = rollout.x_0.detach()
        t, eps = self._draws.noising(self._config.noise, "generator", batch, step)
        x_t = interpolate(x_0, eps, t)
        v_real = guided(self._teacher, batch, self._config.cfg_weight)(x_t, t)
        x0_fake = x0_from_velocity(x_t, self._critic_of(batch, rollout)(x_t, t), t)
        x0_real = x0_from_velocity(x_t, v_real, t)
        return dmd_direction(x_0, x0_fake, x0_real, self._config.normaliser)
