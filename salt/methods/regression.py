"""Regression of a teacher's trajectories: how causal students are started (CausVid, Self Forcing, Causal Forcing).

`batch.states` holds trajectories at the levels of T_train and 0. Of a bidirectional teacher: every chunk is given its
own level, and sees the noised chunks before it. Of a causal teacher, whose trajectories began from clean chunks before
them: one level a sample, and every chunk sees those clean chunks, `batch.x_0` (Causal Forcing, arXiv 2602.02214).
A student that is not causal regresses whole clips, which are one chunk.
"""

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.flow.path import x0_from_velocity
from salt.methods.draws import Draws
from salt.methods.protocol import Method
from salt.models.protocol import Batch
from salt.objectives.regression import ode_loss
from salt.rollout import fold_chunks, unfold_chunks
from salt.streams import Streams


class Regression(Method):
    """The method of `objectives.ode`: one role, the generator."""

    def __init__(self, experiment: Experiment, generator: nn.Module, streams: Streams) -> None:
        """Raises SaltError if the experiment lacks `objectives.ode` or `pairs`."""
        ode, pairs = experiment.objectives.ode, experiment.pairs
        if ode is None or pairs is None:
            raise SaltError(f"{experiment.name}: regression of trajectories needs objectives.ode and pairs")
        self.trainable = {"generator": generator}
        self.constant: tuple[nn.Module, ...] = ()
        self._generator, self._weight, self._causal = generator, ode.weight, experiment.causal
        self._clean_context = experiment.of_clean_chunks
        self._times = time_grid(experiment.grid.train_steps, experiment.grid.warp)
        self._clean = experiment.rollout.clean
        self._draws = Draws(streams, experiment.train.batch_size)

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator, once."""
        return ("generator",)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean error of the jump to the trajectory's end, times its weight."""
        assert batch.states is not None
        size, frames = len(batch.states), batch.states.shape[3]
        chunk = frames if self._causal is None else self._causal.chunk
        number = frames // chunk
        levels = len(self._times)
        times = (*self._times, 0.0) if self._clean else self._times
        draws = 1 if self._clean_context else number
        place = self._draws.places(role, batch, step, len(times), draws).view(size, draws).expand(size, number)
        states = batch.states.unflatten(3, (number, chunk))  # (B, S, C, number, chunk, H, W)
        every = torch.arange(size)[:, None], place, slice(None), torch.arange(number)
        x_t = states[every].transpose(1, 2).flatten(2, 3)
        t = x_t.new_tensor(times)[place]
        context = (batch.x_0,) if self._clean_context else ()
        v = self._generator(x_t, t.flatten() if self._causal is None else t, batch.text, *context)
        x_0 = x0_from_velocity(fold_chunks(x_t, chunk), fold_chunks(v, chunk), t.flatten())
        end = batch.states[:, levels]
        judged = levels / len(times)  # of chunks, on average: clean ones have no error, and do not count
        return self._weight / judged * ode_loss(unfold_chunks(x_0, number), end).mean(), {}
