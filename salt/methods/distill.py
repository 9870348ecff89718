"""Distillation of a teacher into a few-step student: a rollout makes samples, terms judge them, a critic follows.

Roles: the generator (student v_theta), the critic that learns the velocity of the student's own samples, and where a
term has one, the discriminator. The teacher is constant. The experiment's rollout says what the student makes, its
objectives which terms judge it.
"""

from collections.abc import Sequence
from functools import cache, partial, reduce
from operator import add

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.path import interpolate
from salt.methods.protocol import Method
from salt.methods.rollouts import RolloutOutput
from salt.methods.terms import Components, Term
from salt.models.protocol import Batch
from salt.objectives.regression import flow_matching_loss


class Distill(Method):
    """The method of `objectives.dmd` and of what stands beside it: a sum of terms, none of which it knows by name."""

    def __init__(self, experiment: Experiment, components: Components, terms: Sequence[Term]) -> None:
        """Raises SaltError if the experiment has no `objectives.dmd` or no `train.critic`."""
        dmd, critic = experiment.objectives.dmd, experiment.train.critic
        if dmd is None or critic is None:
            raise SaltError(f"{experiment.name}: distillation needs objectives.dmd and train.critic")
        self.trainable: dict[str, nn.Module] = {"generator": components.generator, "critic": components.critic}
        self.constant: tuple[nn.Module, ...] = (components.teacher.requires_grad_(False),)
        if components.own is not None:
            self.constant += (components.own,)
        self._critic_of, self._rollout, self._draws = components.critic_of, components.rollout, components.draws
        self._noise, self._ratio = dmd.noise, critic.ratio
        self._terms = tuple(terms)
        self._judging = tuple(term for term in terms if term.trainable)
        for term in self._judging:
            self.trainable |= term.trainable
        discriminator = experiment.train.discriminator
        self._own_updates = discriminator.ratio or 0 if discriminator and self._judging else 0

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator once, then the critic `ratio` times, as in Self Forcing's trainer."""
        if self._alone(step):
            return ("generator",)
        return "generator", *["critic"] * self._ratio, *["discriminator"] * self._own_updates

    def updated(self, role: str) -> tuple[str, ...]:
        """A discriminator without updates of its own is updated with the critic."""
        if role != "critic" or self._own_updates:
            return (role,)
        return ("critic", *(name for term in self._judging for name in term.trainable))

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean over the batch of the loss of a role."""
        if role == "generator":
            return self._generator_loss(batch, step)
        with torch.no_grad():
            output = self._rollout(batch, step, role)
        judged = () if role == "critic" and self._own_updates else self._judging
        losses = [self._critic_loss(output, batch, step)] if role == "critic" else []
        metrics: dict[str, float] = {}
        for term in judged:
            if (found := term.discriminate(output, batch, step)) is not None:
                losses.append(found[0])
                metrics |= {"discriminator": found[0].item(), **found[1]}
        return reduce(add, losses), metrics

    def _generator_loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Eq. (10), (13): L_DMD + lambda_SC L_SC 1[K = 8] + lambda_align L_align 1[K in {2, 4}].

        Which K each term acts on is the experiment's to say (`sc.rollouts`, `align.references`); where the student is
        not autoregressive there is one K, and SC acts on it: Eq. (10). The critic's parameters minimise `_critic_loss`
        in turns with this.
        """
        output = cache(partial(self._rollout, batch, step, "generator"))
        losses: list[Tensor] = []
        metrics: dict[str, float] = {}
        for term in self._alone(step) or self._terms:
            if (judged := term.loss(output, batch, step)) is not None:
                loss, recorded = judged
                losses.append(term.weight * loss)
                metrics |= recorded
        return reduce(add, losses), metrics

    def _alone(self, step: int) -> tuple[Term, ...]:
        """The terms in their warm-up, for which all others wait."""
        return tuple(term for term in self._terms if term.acts_alone(step))

    def _critic_loss(self, output: RolloutOutput, batch: Batch, step: int) -> Tensor:
        """Flow matching on the student's samples, which are constants here."""
        t, eps = self._draws.noising(self._noise, "critic", batch, step)
        critic = self._critic_of(batch, output)
        return flow_matching_loss(critic(interpolate(output.x_0, eps, t), t), output.x_0, eps).mean()
