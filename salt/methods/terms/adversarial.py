"""The adversarial term: the student's noised samples should pass for noised data before a discriminator."""

from torch import Tensor, nn

from salt.config.adversarial import Adversarial
from salt.flow.path import interpolate
from salt.methods.adversary import Adversary
from salt.methods.rollouts import RolloutOutput
from salt.methods.terms.protocol import Components, Output, Term
from salt.models.protocol import Batch


class AdversarialTerm(Term):
    """lambda_adv L_adv, on every rollout, from `start` on; its discriminator learns from the first update on."""

    def __init__(self, config: Adversarial, components: Components) -> None:
        self.weight = config.weight
        self._config, self._draws = config, components.draws
        frozen_one = components.teacher if components.own is None else components.own
        network = components.critic if config.features == "critic" else frozen_one
        self._adversary = Adversary.of(config, network, components.draws.streams)

    @property
    def trainable(self) -> dict[str, nn.Module]:
        """The head."""
        return {"discriminator": self._adversary.head}

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]] | None:
        """Acts from `start` on."""
        if step < self._config.start:
            return None
        t, eps = self._draws.noising(self._config.noise, "generator/adversarial", batch, step)
        loss, recorded = self._adversary.student_loss(interpolate(output().x_0, eps, t), t, batch)
        return loss, {"adversarial": loss.item(), **recorded}

    def discriminate(self, output: RolloutOutput, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Data of the batch against what the student made of it."""
        t, eps = self._draws.noising(self._config.noise, "discriminator", batch, step)
        other = eps if self._config.shared_noise else self._draws.normal("discriminator/data", batch, step)
        real, fake = interpolate(batch.x_0, other, t), interpolate(output.x_0.detach(), eps, t)
        return self._adversary.loss(real, fake, t, batch, step)
