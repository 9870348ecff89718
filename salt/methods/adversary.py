"""A discriminator at work: a head on the features of a network, which it may share with the critic.

Symbols: samples x_0 of the student, noised to x_t; logits `(B, n)`, high for data.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from salt.config.adversarial import Adversarial, Penalty
from salt.models.discriminator import build_discriminator, rows
from salt.models.protocol import Batch
from salt.objectives.adversarial import discriminator_loss, gradient_penalty, student_loss
from salt.streams import MemberStreams, Streams


@dataclass(frozen=True)
class Adversary:
    """What the student and the discriminator lose by each other."""

    config: Adversarial
    network: Any
    """The `FeatureModel` that the head looks through."""
    head: nn.Module
    streams: Streams

    @classmethod
    def of(cls, config: Adversarial, network: Any, streams: Streams) -> "Adversary":
        """With a head of random weights, on the network's device."""
        seeds = streams.seeds if isinstance(streams, MemberStreams) else (streams.seed,)
        head = build_discriminator(config.head, network, len(config.blocks_in(network.depth)), seeds)
        return cls(config, network, head.to(next(network.parameters()).device), streams)

    @property
    def shared(self) -> bool:
        """Whether the network is trained with the head."""
        return self.config.features == "critic"

    def student_loss(self, x_t: Tensor, t: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The mean over a micro-batch; only the student gets a gradient from it."""
        with ExitStack() as stack:
            for each in (self.network, self.head):
                stack.enter_context(frozen(each))
            fake = self._logits(x_t, t, batch)
        return student_loss(fake, self.config.loss).mean(), {"fake_logit": fake.mean().item()}

    def loss(self, real: Tensor, fake: Tensor, t: Tensor, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The discriminator's: the mean over a micro-batch, times `discriminator_weight`, and its penalties.

        Args:
            real: noised data at t.
            fake: noised samples of the student at t, constants.
            t: `(B,)`.
            batch: for captions and first frames.
            step: the iteration.
        """
        config = self.config
        # constants, but for what is trained with the head
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.shared):
            seen = [self._features(x_t, t, batch) for x_t in (real, fake)]
        logits = [self._judged(features, real) for features in seen]
        loss = config.discriminator_weight * discriminator_loss(logits[0], logits[1], config.loss).mean()
        recorded = {"real_logit": logits[0].mean().item(), "fake_logit": logits[1].mean().item()}
        for name, penalty, x_t, known in zip(("r1", "r2"), (config.r1, config.r2), (real, fake), logits, strict=True):
            if penalty is not None:
                value = self._penalty(name, penalty, x_t, known, t, batch, step)
                loss = loss + penalty.weight * value
                recorded[name] = value.item()
        return loss, recorded

    def _penalty(
        self, name: str, penalty: Penalty, x_t: Tensor, known: Tensor, t: Tensor, batch: Batch, step: int
    ) -> Tensor:
        noise = self.streams.normal(f"discriminator/{name}", step, batch.samples, x_t.shape[1:]).to(x_t)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.shared):
            features = self._features(x_t + penalty.sigma * noise, t, batch)
        return gradient_penalty(known, self._judged(features, x_t)).mean()

    def _logits(self, x_t: Tensor, t: Tensor, batch: Batch) -> Tensor:
        return self._judged(self._features(x_t, t, batch), x_t)

    def _features(self, x_t: Tensor, t: Tensor, batch: Batch) -> list[Tensor]:
        found: list[Tensor] = self.network.features(
            x_t, t, batch.text, self.config.blocks_in(self.network.depth), batch.image
        )
        return found

    def _judged(self, features: Sequence[Tensor], x_t: Tensor) -> Tensor:
        height, width = x_t.shape[-2:]
        logits: Tensor = self.head(features, rows(features[0].shape[2], height, width))
        return logits


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Keep gradients out of a network's parameters for what is computed inside, not out of what flows through it."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
