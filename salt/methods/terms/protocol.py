"""What the method of distillation knows of a term of the generator's loss, and what a term may use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn

from salt.config.grid import Grid
from salt.config.schema import Experiment
from salt.flow.path import Velocity
from salt.methods.draws import Draws
from salt.methods.rollouts import Rollout, RolloutOutput, build_rollout
from salt.models.conditioning import bind, told
from salt.models.protocol import Batch
from salt.streams import Streams

Output: TypeAlias = Callable[[], RolloutOutput]
"""The student's rollout in this update: computed at the first call, the same at every further one."""


class Term(Protocol):
    """One summand of the generator's loss, and the condition under which it acts.

    To a method a term is what a method is to the training loop: it answers for a micro-batch, and knows no other term.
    """

    weight: float
    """lambda, by which the method multiplies the loss."""

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]] | None:
        """The mean over a micro-batch, and further means worth recording; None where it does not act in this update.

        Only the generator's parameters get a gradient from it. The mean of the losses of equal micro-batches is the
        loss of the whole batch.
        """
        ...

    @property
    def trainable(self) -> dict[str, nn.Module]:
        """Networks of its own, by role, that learn against the generator."""
        return {}

    def discriminate(self, output: RolloutOutput, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]] | None:
        """What the networks of `trainable` lose on samples, which are constants; None: there are none."""
        return None

    def acts_alone(self, step: int) -> bool:
        """Whether in this iteration all other terms, and the critic, wait for this one: its warm-up."""
        return False


@dataclass(frozen=True)
class Components:
    """What the terms of one distillation share. Networks are Any: those of `salt.models.protocol`, as `nn.Module`s."""

    generator: Any
    critic: Any
    teacher: Any
    grid: Grid
    rollout: Rollout
    draws: Draws
    knows_exit: bool = False
    """Whether the critic is told the t_s of the samples it judges."""
    knows_steps: bool = False
    """Whether it is told 1 / K of the rollout that made them."""
    own: Any = None
    """The scale's own teacher, frozen, where what is distilled is a closed form, which has no features."""

    def critic_of(self, batch: Batch, output: RolloutOutput) -> Velocity:
        """The critic under a batch's conditions, for samples that a rollout made of it."""
        text = batch.text
        if self.knows_exit:
            text = told(text, output.sample.t_s)
        if self.knows_steps:
            text = told(text, text.new_full((len(text),), 1 / output.steps))
        return bind(self.critic, text, batch.image)

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        generator: nn.Module,
        critic: nn.Module,
        teacher: nn.Module,
        streams: Streams,
        own: nn.Module | None = None,
    ) -> "Components":
        """Those of an experiment: its networks, and the rollout that it asks for."""
        draws = Draws(streams, experiment.train.batch_size)
        rollout = build_rollout(experiment, generator, draws)
        told_of = experiment.train.critic
        knows_exit, knows_steps = (False, False) if told_of is None else (told_of.knows_exit, told_of.knows_steps)
        return cls(generator, critic, teacher, experiment.grid, rollout, draws, knows_exit, knows_steps, own)
