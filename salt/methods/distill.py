"""Distillation of a teacher into a few-step student: DMD, with SC, alignment or consistency where objectives name them.

Roles: the generator (student v_theta), and the critic that learns the velocity of the student's own samples. The
teacher is constant. The experiment's rollout says what the student makes; t of the noised samples x_t that teacher and
critic judge follows `objectives.dmd.noise`. Teacher and critic see whole clips, also where the student is causal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from salt.config.objectives import DMD, SC, SCM, Align, NoiseLaw
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import TripleLaw, shift_time, time_grid
from salt.flow.path import expand, interpolate, x0_from_velocity
from salt.methods.rollouts import Autoregressive, Draws, RolloutOutput, build_rollout, max_over_ranks
from salt.models.conditioning import bind, guided
from salt.models.protocol import Batch
from salt.objectives.align import alignment_loss
from salt.objectives.dmd import dmd_direction, dmd_loss
from salt.objectives.regression import flow_matching_loss
from salt.objectives.sc import sc_objective
from salt.objectives.scm import jvp_along_path, scm_loss, scm_tangent, trigflow
from salt.streams import Streams


class Distill:
    """The method of `objectives.dmd`, with or without `objectives.sc`, `objectives.align` and `objectives.scm`."""

    def __init__(
        self, experiment: Experiment, generator: nn.Module, critic: nn.Module, teacher: nn.Module, streams: Streams
    ) -> None:
        """Raises SaltError if the experiment has no `objectives.dmd` or no `train.critic`."""
        objectives, critic_config = experiment.objectives, experiment.train.critic
        if objectives.dmd is None or critic_config is None:
            raise SaltError(f"{experiment.name}: distillation needs objectives.dmd and train.critic")
        self.trainable = {"generator": generator, "critic": critic}
        self._critic, self._teacher = critic, teacher.requires_grad_(False)
        self.constant: tuple[nn.Module, ...] = (teacher,)
        self._dmd: DMD = objectives.dmd
        self._ratio = critic_config.ratio
        self._streams, self._draws = streams, Draws(streams, experiment.train.batch_size)
        self._rollout = build_rollout(experiment, generator, streams)
        grid = experiment.grid
        self._levels = grid.train_steps
        self._sc, self._align, self._scm = objectives.sc, objectives.align, objectives.scm
        self._generator: Any = generator
        te_law = "uniform" if self._sc is None else self._sc.te_law
        training = time_grid(grid.train_steps, grid.shift)
        self._triples = TripleLaw(time_grid(grid.steps, grid.shift), training, te_law)

    def roles(self, step: int) -> tuple[str, ...]:
        """The generator once, then the critic `ratio` times, as in Self Forcing's trainer."""
        return ("generator",) if self._warms_up(step) else ("generator", *["critic"] * self._ratio)

    def _warms_up(self, step: int) -> bool:
        """Whether consistency is the only objective yet."""
        return self._scm is not None and step < self._scm.warmup

    def loss(self, role: str, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The mean over the batch of the generator's or the critic's loss."""
        return self._generator_loss(batch, step) if role == "generator" else self._critic_loss(batch, step)

    def _generator_loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """What `_matching_loss` says, and with `objectives.scm` consistency, at first alone (rCM)."""
        if self._scm is None:
            return self._matching_loss(batch, step)
        consistency = self._continuous_consistency(self._scm, batch, step)
        metrics, loss = {"scm": consistency.item()}, self._scm.weight * consistency
        if self._warms_up(step):
            return loss, metrics
        matching, found = self._matching_loss(batch, step)
        return loss + matching, found | metrics

    def _matching_loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Eq. (10), (13): L_DMD + lambda_SC L_SC 1[K = 8] + lambda_align L_align 1[K in {2, 4}].

        Which K each term acts on is the experiment's to say (`sc.rollouts`, `align.references`); where the student is
        not autoregressive there is one K, and SC acts on it: Eq. (10). Weight 0 leaves a term out. The critic's
        parameters minimise `_critic_loss` in turns with this.
        """
        made = self._rollout(batch, step, "generator")
        direction = self._direction(made.x_0.detach(), batch, step)
        loss = self._dmd.weight * dmd_loss(made.x_0, direction)
        metrics = {"dmd_direction": direction.abs().mean().item(), "steps": float(made.steps)}
        if self._sc is not None and self._sc.weight and made.steps in (self._sc.rollouts or (made.steps,)):
            sc = self._self_consistency(self._sc, made, batch, step)
            loss = loss + self._sc.weight * sc
            metrics["sc"] = sc.item()
        if self._align is not None and self._align.weight and self._aligns(self._align, made, batch, step):
            align = self._alignment(self._align, made, batch, step)
            loss = loss + self._align.weight * align
            metrics["align"] = align.item()
        return loss, metrics

    def _critic_loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Flow matching on the student's samples, which are constants here."""
        with torch.no_grad():
            x_0 = self._rollout(batch, step, "critic").x_0
        t, eps = self._noise(self._dmd.noise, batch, step, "critic")
        critic = bind(self._critic, batch.text, batch.image)
        return flow_matching_loss(critic(interpolate(x_0, eps, t), t), x_0, eps).mean(), {}

    @torch.no_grad()
    def _direction(self, x_0: Tensor, batch: Batch, step: int) -> Tensor:
        """The direction of L_DMD at the student's x_0: critic without, teacher with guidance."""
        t, eps = self._noise(self._dmd.noise, batch, step, "generator")
        x_t = interpolate(x_0, eps, t)
        v_real = guided(self._teacher, batch, self._dmd.cfg_weight)(x_t, t)
        x0_fake = x0_from_velocity(x_t, bind(self._critic, batch.text, batch.image)(x_t, t), t)
        x0_real = x0_from_velocity(x_t, v_real, t)
        return dmd_direction(x_0, x0_fake, x0_real, self._dmd.normaliser)

    def _self_consistency(self, config: SC, made: RolloutOutput, batch: Batch, step: int) -> Tensor:
        """L_SC on drawn triples, as a mean over the batch in which a t_s without a triple counts 0."""
        sample = made.sample
        place = sample.index * (self._levels // made.steps)  # in T_train
        u = self._streams.uniform("generator/triple", step, batch.samples, (2,))
        t_m, t_e, valid = self._triples.sample(place, u.repeat_interleave(len(place) // len(u), 0).to(place.device))
        if not max_over_ranks(bool(valid.any())):
            return sample.x_s.new_zeros(())
        sc = sc_objective(
            sample.velocity,
            sample.x_s,
            sample.v_s,
            sample.t_s,
            t_m,
            t_e,
            valid,
            config.stop_gradient,
            config.time_weight,
        )
        return sc * valid.float().mean()  # from the mean over valid samples, which micro-batches could not add up

    def _continuous_consistency(self, config: SCM, batch: Batch, step: int) -> Tensor:
        """L_sCM on noised data: how the student's clean prediction changes along the teacher's path."""
        drawn = self._streams.normal("generator/angle", step, batch.samples).to(batch.x_0.device)
        a = (config.log_mean + config.log_std * drawn).exp().atan()
        noise = self._draws.normal("generator/consistency", batch, step)
        x = expand(a.cos(), noise) * batch.x_0 + expand(a.sin(), noise) * noise
        student = trigflow(bind(self._generator, batch.text, batch.image))
        with torch.no_grad():
            f_teacher = trigflow(guided(self._teacher, batch, config.cfg_weight))(x, a)
        derivative = jvp_along_path(student, x, a, f_teacher, config.derivative, config.step)
        f = student(x, a)
        share = min(1.0, step / config.warmup) if config.warmup else 1.0
        return scm_loss(f, scm_tangent(f, f_teacher, derivative, x, a, share))

    def _aligns(self, config: Align, made: RolloutOutput, batch: Batch, step: int) -> bool:
        """Whether this update has a reference."""
        if made.steps not in config.references or step < config.start:
            return False
        if not int(made.sample.index[0]):  # both would take the one and the same step
            return False
        return self._draws.shared("generator/align", batch, step) < config.probability

    def _alignment(self, config: Align, made: RolloutOutput, batch: Batch, step: int) -> Tensor:
        """L_align between the rollout and its reference, both noised to t_f with the same eps."""
        assert isinstance(self._rollout, Autoregressive)  # the schema allows no other
        better = self._rollout.reference(batch, step, "generator", made, config.references[made.steps])
        t, eps = self._noise(config.noise, batch, step, "align")
        judge: Any = self._teacher if config.features == "teacher" else self._critic
        with frozen(judge):
            low = judge.features(interpolate(made.x_0, eps, t), t, batch.text, config.block)
        with torch.no_grad():
            ref = judge.features(interpolate(better, eps, t), t, batch.text, config.block)
        return alignment_loss(low, ref, config.margin).mean()

    def _noise(self, law: NoiseLaw, batch: Batch, step: int, role: str) -> tuple[Tensor, Tensor]:
        """A fresh t, uniform, shifted and clamped, and eps."""
        u = self._streams.uniform(f"{role}/t", step, batch.samples).to(batch.x_0.device)
        t = shift_time(law.u_max * u, law.shift).clamp(law.t_min, law.t_max)
        return t, self._draws.normal(f"{role}/eps", batch, step)


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
