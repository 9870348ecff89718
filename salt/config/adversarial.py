"""Section `objectives.adversarial`: a discriminator, what it looks at, and what it and the student lose by it."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from salt.config.base import Section, Set, is_none
from salt.config.noise import NoiseLaw
from salt.config.train import Train


class Head(Section):
    """What makes logits of a network's features. In an exact world it is a perceptron."""

    kind: Literal["attention", "convolution", "tokens", "perceptron"] = "attention"
    """`attention`: a learned query for each block looks at its tokens (Self-Forcing, One-Forcing); `convolution`: over
    the tokens of each block at several scales (FastGen); `tokens`: a logit of every token of every block (PCM);
    `perceptron`: on the mean token of each block."""
    width: PositiveInt = 512
    """Of its hidden layers; `tokens` has the network's."""
    scales: Set[PositiveInt] = (1,)
    """Of `convolution`: before it, squares of so many tokens are averaged."""


class Penalty(Section):
    """weight E[(D(x + sigma n) - D(x))^2]. Self-Forcing divides by sigma^2: its weights are smaller by that factor."""

    weight: PositiveFloat = 100.0
    sigma: PositiveFloat = 0.1
    """Standard deviation of what is added to the noised sample."""


class Adversarial(Section):
    """A discriminator of noised samples and noised data, on a network's features, and the student's part in it."""

    weight: NonNegativeFloat = 0.03
    """Of the student's loss."""
    loss: Literal["non_saturating", "hinge"] = "non_saturating"
    features: Literal["teacher", "critic"] = "teacher"
    """The network it looks through. `teacher` is frozen (FastGen, PCM); where it is a closed form: the scale's own
    network. `critic` is trained by the discriminator's loss too, in the same updates (Self-Forcing, One-Forcing)."""
    blocks: Set[NonNegativeInt] | None = None
    """Of the network, counted from 0; None: at a half, at three quarters, and the last."""
    head: Head = Head()
    noise: NoiseLaw = NoiseLaw()
    """The law of t at which samples and data are compared; beside pcm t is a level of the phase that ended."""
    shared_noise: bool = True
    """Whether a sample and the data it is compared with have the same noise."""
    discriminator_weight: PositiveFloat = 1.0
    """Of the discriminator's loss; with `features: critic` it stands beside the critic's."""
    r1: Penalty | None = Field(default=None, exclude_if=is_none)
    """Penalty on data; None: none."""
    r2: Penalty | None = Field(default=None, exclude_if=is_none)
    """Penalty on the student's samples; None: none."""
    start: NonNegativeInt = 0
    """Generator updates before the student's first loss; the discriminator learns from the first on."""

    def blocks_in(self, depth: int) -> tuple[int, ...]:
        """The blocks of a network of `depth`; by default FastGen's 15, 22 and 29 of Wan's 30."""
        return self.blocks or tuple(sorted({depth // 2, 3 * depth // 4, depth - 1}))

    def check(self, train: Train, depth: int, exact: bool) -> None:
        """Refuse what does not fit together.

        Args:
            train: of the experiment.
            depth: blocks of the network that is looked through.
            exact: whether networks are small ones, of an exact world.

        Raises:
            ValueError: naming the key, its value and what is accepted.
        """
        assert train.discriminator is not None
        if self.features == "critic" and train.critic is None:
            raise ValueError("objectives.adversarial.features=critic: there is none; accepted beside pcm: teacher")
        if train.critic is None and self.noise != NoiseLaw():
            raise ValueError("objectives.adversarial.noise: beside pcm t is a level of a phase; accepted: none")
        if self.features == "critic" and train.discriminator.ratio is not None:
            raise ValueError(
                f"train.discriminator.ratio={train.discriminator.ratio}: features of the critic are trained with it; "
                "accepted: null"
            )
        if exact and (self.features, self.head.kind, self.blocks) != ("critic", "perceptron", None):
            raise ValueError(
                f"objectives.adversarial: features={self.features}, head.kind={self.head.kind}: accepted in an exact "
                "world: critic, perceptron, and blocks: null"
            )
        if not exact and self.blocks is not None and max(self.blocks) >= depth:
            raise ValueError(
                f"objectives.adversarial.blocks={list(self.blocks)}: accepted: 0 to {depth - 1}, the network's blocks"
            )
        if self.head.kind == "tokens" and self.head.width != Head().width:
            raise ValueError(
                f"objectives.adversarial.head.width={self.head.width}: accepted with kind=tokens: none, as it has the "
                "network's"
            )
        if self.head.kind != "convolution" and self.head.scales != (1,):
            raise ValueError(
                f"objectives.adversarial.head.scales={list(self.head.scales)}: accepted with kind={self.head.kind}: [1]"
            )
