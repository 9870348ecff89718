"""Self-consistency as a term: the student's Euler steps should compose, on triples below the rollout's t_s."""

from torch import Tensor

from salt.config.objectives import SC
from salt.flow.grid import TripleLaw, time_grid
from salt.methods.rollouts import RolloutOutput, max_over_ranks
from salt.methods.terms.protocol import Components, Output, Term
from salt.models.protocol import Batch
from salt.objectives.sc import sc_objective


class SelfConsistency(Term):
    """L_SC 1[K in `rollouts`], at the price of one evaluation of the student."""

    def __init__(self, config: SC, components: Components) -> None:
        self.weight = config.weight
        self._config, self._streams = config, components.draws.streams
        grid = components.grid
        self._levels = grid.train_steps
        training = time_grid(grid.train_steps, grid.warp)
        self._triples = TripleLaw(time_grid(grid.steps, grid.warp), training, config.te_law)

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]] | None:
        """Acts on rollouts of the configured K."""
        rollout = output()
        if self._config.rollouts is not None and rollout.steps not in self._config.rollouts:
            return None
        sc = self._self_consistency(rollout, batch, step)
        return sc, {"sc": sc.item()}

    def _self_consistency(self, rollout: RolloutOutput, batch: Batch, step: int) -> Tensor:
        """On sampled triples, as a mean over the batch in which a t_s without a triple counts 0."""
        sample = rollout.sample
        place = sample.index * (self._levels // rollout.steps)  # in T_train
        u = self._streams.uniform("generator/triple", step, batch.samples, (2,))
        t_m, t_e, valid = self._triples.sample(place, u.repeat_interleave(len(place) // len(u), 0).to(place.device))
        if not max_over_ranks(bool(valid.any())):
            return sample.x_s.new_zeros(())
        return sc_objective(
            sample.velocity,
            sample.x_s,
            sample.v_s,
            sample.t_s,
            t_m,
            t_e,
            valid,
            self._config.stop_gradient,
            self._config.time_weight,
        ).mean()
