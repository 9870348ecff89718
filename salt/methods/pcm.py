"""Phased consistency distillation: PCM, the baseline of Table 1, without its adversary (deviation 41).

Roles: the generator alone. Its state lies on the path between a clip and noise; one Euler step of the guided teacher
leads to the next fine level, and from both the generator should arrive at the same end of their phase. Its phases are
the steps of T^(K), by which it is sampled (Euler).
"""

from typing import Any

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.path import interpolate
from salt.flow.transport import euler_step
from salt.methods.draws import Draws
from salt.models.conditioning import bind, guided
from salt.models.protocol import Batch
from salt.objectives.pcm import phase_ends, phased_consistency_loss, phased_target
from salt.streams import Streams


class PhasedConsistency:
    """The method of `objectives.pcm`."""

    def __init__(self, experiment: Experiment, generator: nn.Module, teacher: nn.Module, streams: Streams) -> None:
        """Raises SaltError if the experiment lacks `objectives.pcm`."""
        pcm = experiment.objectives.pcm
        if pcm is None:
            raise SaltError(f"{experiment.name}: phased consistency needs objectives.pcm")
        self.trainable = {"generator": generator}
        self._generator: Any = generator
        self._teacher = teacher.requires_grad_(False)
        self.constant: tuple[nn.Module, ...] = (teacher,)
        self._config, self._draws = pcm, Draws(streams, experiment.train.batch_size)
        self._fine = (*time_grid(pcm.solver_steps, experiment.grid.warp), 0.0)
        self._ends = phase_ends(pcm.solver_steps, experiment.grid.steps)

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator, once."""
        return ("generator",)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean distance at the end of the phase, times its weight."""
        place = self._draws.places(role, batch, step, self._config.solver_steps)
        fine = torch.tensor(self._fine, device=place.device, dtype=batch.x_0.dtype)
        t, t_next, t_e = fine[place], fine[place + 1], fine[torch.tensor(self._ends, device=place.device)[place]]
        x_t = interpolate(batch.x_0, self._draws.normal(f"{role}/noise", batch, step), t)
        with torch.no_grad():
            v = guided(self._teacher, batch, self._config.cfg_weight)(x_t, t)
            x_next = euler_step(x_t, v, t, t_next)
        student = bind(self._generator, batch.text, batch.image)
        target = phased_target(student, x_next, t_next, t_e)
        x_e = euler_step(x_t, student(x_t, t), t, t_e)
        return self._config.weight * phased_consistency_loss(x_e, target, self._config.huber).mean(), {}
