"""Phased consistency distillation: PCM, the baseline of Table 1.

Roles: the generator, and the discriminator of `objectives.adversarial` where that is given. The generator's state lies
on the path between a clip and noise; one Euler step of the guided teacher leads to the next fine level, and from both
the generator should arrive at the same end of their phase. There, noised again within the phase, what it makes of the
first should pass for what it makes of the second. Its phases are the steps of T^(K), by which it is sampled (Euler).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.path import interpolate
from salt.flow.transport import euler_step
from salt.methods.adversary import Adversary
from salt.methods.draws import Draws
from salt.methods.protocol import Method
from salt.models.conditioning import bind, guided
from salt.models.protocol import Batch
from salt.objectives.pcm import phase_ends, phased_consistency_loss, phased_target, renoised
from salt.streams import Streams


@dataclass(frozen=True)
class Ends:
    """Where the generator arrives at the end t_e of a phase, from both states."""

    x_e: Tensor
    target: Tensor
    """From the later state, without gradient."""
    place: Tensor
    """Of the earlier state among the fine levels, `(B,)`."""


class PhasedConsistency(Method):
    """The method of `objectives.pcm`, and of `objectives.adversarial` beside it."""

    def __init__(
        self,
        experiment: Experiment,
        generator: nn.Module,
        teacher: nn.Module,
        streams: Streams,
        own: nn.Module | None = None,
    ) -> None:
        """Raises SaltError if the experiment lacks `objectives.pcm`; `own`: the features where `teacher` has none."""
        pcm = experiment.objectives.pcm
        if pcm is None:
            raise SaltError(f"{experiment.name}: phased consistency needs objectives.pcm")
        self.trainable = {"generator": generator}
        self._generator: Any = generator
        self._teacher = teacher.requires_grad_(False)
        self.constant: tuple[nn.Module, ...] = (teacher,) if own is None else (teacher, own)
        self._config, self._draws = pcm, Draws(streams, experiment.train.batch_size)
        self._fine = (*time_grid(pcm.solver_steps, experiment.grid.warp), 0.0)
        self._ends = phase_ends(pcm.solver_steps, experiment.grid.steps)
        self._each = pcm.solver_steps // experiment.grid.steps
        self._adversary: Adversary | None = None
        adversarial, discriminator = experiment.objectives.adversarial, experiment.train.discriminator
        if adversarial is not None and adversarial.weight and discriminator is not None:
            self._adversary = Adversary.of(adversarial, teacher if own is None else own, streams)
            self.trainable["discriminator"] = self._adversary.head
            self._ratio = discriminator.ratio or 1

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator once, then the discriminator; in the published code they take turns, too."""
        return ("generator",) if self._adversary is None else ("generator", *["discriminator"] * self._ratio)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The generator's: the mean distance at the end of the phase, times its weight, and the adversarial loss."""
        if role == "discriminator":
            return self._discriminate(batch, step)
        ends = self._arrive(role, batch, step)
        loss = self._config.weight * phased_consistency_loss(ends.x_e, ends.target, self._config.huber).mean()
        if self._adversary is None or step < self._adversary.config.start:
            return loss, {}
        x_t, t = self._noised(ends.x_e, ends.place, role, batch, step)
        adversarial, recorded = self._adversary.student_loss(x_t, t, batch)
        recorded |= {"consistency": loss.item(), "adversarial": adversarial.item()}
        return loss + self._adversary.config.weight * adversarial, recorded

    def _arrive(self, role: str, batch: Batch, step: int) -> Ends:
        place = self._draws.places(role, batch, step, self._config.solver_steps)
        fine = self._levels(batch)
        t, t_next, t_e = fine[place], fine[place + 1], fine[self._end_of(place)]
        x_t = interpolate(batch.x_0, self._draws.normal(f"{role}/noise", batch, step), t)
        with torch.no_grad():
            v = guided(self._teacher, batch, self._config.cfg_weight)(x_t, t)
            x_next = euler_step(x_t, v, t, t_next)
        student = bind(self._generator, batch.text, batch.image)
        target = phased_target(student, x_next, t_next, t_e)
        return Ends(euler_step(x_t, student(x_t, t), t, t_e), target, place)

    def _discriminate(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """What the generator makes of the later state is real, of the earlier one fake."""
        assert self._adversary is not None
        with torch.no_grad():
            ends = self._arrive("discriminator", batch, step)
        fake, t = self._noised(ends.x_e, ends.place, "discriminator", batch, step)
        other = "" if self._adversary.config.shared_noise else "/data"
        real, _ = self._noised(ends.target, ends.place, "discriminator", batch, step, other)
        return self._adversary.loss(real, fake, t, batch, step)

    def _noised(
        self, x_e: Tensor, place: Tensor, role: str, batch: Batch, step: int, other: str = ""
    ) -> tuple[Tensor, Tensor]:
        """A state at the end of its phase, noised to a level t of the phase, and t."""
        back = self._draws.places(f"{role}/back", batch, step, self._each)
        end, fine = self._end_of(place), self._levels(batch)
        t, noise = fine[end - back], self._draws.normal(f"{role}/eps{other}", batch, step)
        return renoised(x_e, noise, fine[end], t), t

    def _levels(self, batch: Batch) -> Tensor:
        return torch.tensor(self._fine, device=batch.x_0.device, dtype=batch.x_0.dtype)

    def _end_of(self, place: Tensor) -> Tensor:
        return torch.tensor(self._ends, device=place.device)[place]
