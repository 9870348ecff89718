"""Distillation of a teacher into a few-step student: DMD, and SC-DMD where `objectives.sc` is present.

Roles: the generator (student v_theta), and the critic that learns the velocity of the student's own samples. The
teacher is constant. Times of a student's evaluations are those of T_train; t of the noised samples x_t that teacher
and critic judge follows `objectives.dmd.noise`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from salt.config.schema import DMD, Experiment
from salt.errors import SaltError
from salt.flow.grid import TripleLaw, shift_time, time_grid
from salt.flow.path import Velocity, guide, interpolate, x0_from_velocity
from salt.methods.protocol import bind
from salt.methods.streams import Streams
from salt.models.protocol import Batch
from salt.objectives.consistency import sc_objective
from salt.objectives.distribution import dmd_direction, dmd_loss
from salt.objectives.regression import flow_matching_loss
from salt.rollout import Sample, backward_simulation, noised_data


class Distill:
    """The method of `objectives.dmd`, with or without `objectives.sc`."""

    def __init__(
        self, experiment: Experiment, generator: nn.Module, critic: nn.Module, teacher: nn.Module, streams: Streams
    ) -> None:
        """Raises SaltError if the experiment has no `objectives.dmd` or no `train.critic`."""
        dmd, critic_config = experiment.objectives.dmd, experiment.train.critic
        if dmd is None or critic_config is None:
            raise SaltError(f"{experiment.name}: distillation needs objectives.dmd and train.critic")
        self.trainable = {"generator": generator, "critic": critic}
        self._generator, self._critic, self._teacher = generator, critic, teacher.requires_grad_(False)
        self._dmd: DMD = dmd
        self._sc, self._rollout, self._ratio = experiment.objectives.sc, experiment.rollout, critic_config.ratio
        self._streams = streams
        grid = experiment.grid
        self._grid = time_grid(grid.train_steps, grid.shift)
        te_law = "uniform" if self._sc is None else self._sc.te_law
        self._triples = TripleLaw(time_grid(grid.steps, grid.shift), self._grid, te_law)

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator once, then the critic `ratio` times, as in Self Forcing's trainer."""
        return ("generator", *["critic"] * self._ratio)

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean over the batch of the generator's or the critic's loss."""
        return self._generator_loss(batch, step) if role == "generator" else self._critic_loss(batch, step)

    def _generator_loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Eq. (10): L_DMD + lambda_SC L_SC, on the same evaluation of the student; weight 0 leaves L_SC out.

        The critic's parameters minimise `_critic_loss` in turns with this.
        """
        velocity = bind(self._generator, batch.text)
        sample = self._sample(velocity, batch, step, "generator")
        direction = self._direction(sample.x_0.detach(), batch, step)
        loss = self._dmd.weight * dmd_loss(sample.x_0, direction)
        metrics = {"dmd_direction": direction.abs().mean().item()}
        if self._sc is not None and self._sc.weight:
            sc = self._self_consistency(velocity, sample, batch, step)
            loss = loss + self._sc.weight * sc
            metrics["sc"] = sc.item()
        return loss, metrics

    def _critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Flow matching on the student's samples, which are constants here."""
        with torch.no_grad():
            x_0 = self._sample(bind(self._generator, batch.text), batch, step, "critic").x_0
        x_t, t, eps = self._noised(x_0, batch, step, "critic")
        return flow_matching_loss(self._critic(x_t, t, batch.text), x_0, eps).mean(), {}

    def _sample(self, velocity: Velocity, batch: Batch, step: int, role: str) -> Sample:
        """What the student makes of this batch, each sample at its own uniformly drawn t_s of T_train."""
        index = self._streams.integers(f"{role}/index", step, batch.samples, len(self._grid)).to(batch.x_0.device)
        noise = self._normal(f"{role}/noise", batch, step)
        if self._rollout.kind == "noised_data":
            return noised_data(velocity, batch.x_0, self._grid, noise, index)
        renoise: Callable[[int, Tensor], Tensor] = lambda i, like: self._normal(f"{role}/renoise{i}", batch, step)  # noqa: E731
        return backward_simulation(velocity, noise, self._grid, index, renoise)

    @torch.no_grad()
    def _direction(self, x_0: Tensor, batch: Batch, step: int) -> Tensor:
        """The direction of L_DMD at the student's x_0: critic without, teacher with guidance."""
        x_t, t, _ = self._noised(x_0, batch, step, "generator")
        empty = batch.empty_text.expand_as(batch.text)
        # Two calls: on a CPU one call of twice the batch took 10 % longer.
        v_real = guide(self._teacher(x_t, t, batch.text), self._teacher(x_t, t, empty), self._dmd.cfg_weight)
        x0_fake = x0_from_velocity(x_t, self._critic(x_t, t, batch.text), t)
        x0_real = x0_from_velocity(x_t, v_real, t)
        return dmd_direction(x_0, x0_fake, x0_real, self._dmd.normaliser)

    def _self_consistency(self, velocity: Velocity, sample: Sample, batch: Batch, step: int) -> Tensor:
        """L_SC on drawn triples, as a mean over the batch in which a t_s without a triple counts 0."""
        assert self._sc is not None
        u = self._streams.uniform("generator/triple", step, batch.samples, (2,)).to(batch.x_0.device)
        t_m, t_e, valid = self._triples.sample(sample.index, u)
        sc = sc_objective(
            velocity,
            sample.x_s,
            sample.v_s,
            sample.t_s,
            t_m,
            t_e,
            valid,
            self._sc.stop_gradient,
            self._sc.time_weight,
        )
        return sc * valid.float().mean()  # from the mean over valid samples, which micro-batches could not add up

    def _noised(self, x_0: Tensor, batch: Batch, step: int, role: str) -> tuple[Tensor, Tensor, Tensor]:
        """x_t, t and eps at a fresh t: uniform, shifted, clamped."""
        law = self._dmd.noise
        u = self._streams.uniform(f"{role}/t", step, batch.samples).to(x_0.device)
        t = shift_time(u, law.shift).clamp(law.t_min, law.t_max)
        eps = self._normal(f"{role}/eps", batch, step)
        return interpolate(x_0, eps, t), t, eps

    def _normal(self, purpose: str, batch: Batch, step: int) -> Tensor:
        """Standard normal noise like the batch's latents."""
        return self._streams.normal(purpose, step, batch.samples, batch.x_0.shape[1:]).to(batch.x_0.device)
