"""Controls without any training: what the measures say of students whose faults are known.

* `exact_teacher`: the exact teacher. Its field is the probability flow itself, so by Euler it improves with the number
  of steps. By the consistency sampler its posterior mean stands for a student: as blurred as a student can be.
* `exact_map`: the exact flow map to t = 0 as a consistency function. It must not degrade with steps: where a student
  does, that is the student's error.
* `injected_error`: a consistency function of one Gaussian that is (1 + delta) times the exact one. Its errors add up
  with the steps; `injected_error_closed_form` is the sliced W1 that a recursion of mean and variance gives.
* `truth`: samples of the truth against the truth, the floors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import ceil, cos, pi, radians, sin
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from salt.config.lab import Chain, Exact, Mixture
from salt.config.memory import Memory
from salt.config.scale import Scale
from salt.data.exact import captions_of, modes_of
from salt.errors import SaltError
from salt.evaluation.lab.measure import chain_rows, field_of, measure_floor, mixture_rows
from salt.evaluation.lab.measures import distances
from salt.evaluation.lab.records import Arm, Cell, table
from salt.evaluation.lab.samples import CommonNoise, Field, sample
from salt.evaluation.lab.truth import Guidance, PlaneMixture, caption_truths, directions_of
from salt.flow.grid import time_grid
from salt.flow.path import velocity_from_x0
from salt.models.ensemble import LastChunk
from salt.models.exact import ExactTeacher

TEACHER, MAP, INJECTED, CLOSED_FORM = "exact_teacher", "exact_map", "injected_error", "injected_error_closed_form"
MOST_STEPS = 16
"""Of consistency functions, which are integrated at every step."""
MOST_CHAIN_STEPS = 8
"""The same of a chain, for every chunk."""
DELTA = 0.05
"""The injected error, relative."""
ODE_STEPS = 20
"""Runge-Kutta steps from t = 1 to 0, of equal lengths; from lower levels so many that they are no longer. Then states
miss by less than 1e-4 on average."""
END = 1e-3
"""The time at which the field is left for its posterior mean, which is the state there up to END^2."""
Row = dict[str, Any]
PosteriorMean = Callable[[Tensor, float], Tensor]
"""(x `(B, 2)`, a time for all) -> E[x_0 | x_t = x]."""


def analytic_controls(lab: Scale, shift: float, repeats: int = 16, floors: int = 64) -> pd.DataFrame:
    """Records of every control of one world.

    Args:
        lab: a scale with `exact`.
        shift: of all grids, as students have it.
        repeats: of every control; they stand for training seeds, and key the noise as those do.
        floors: repeats of truth against truth.

    Raises:
        SaltError: the scale has no `exact`.
    """
    if (exact := lab.exact) is None:
        raise SaltError(f"scale {lab.name}: its world cannot name its modes; accepted: a scale with `exact`")
    seeds = tuple(range(repeats))
    teacher, mapped, injected, closed = (
        Arm(method, method, exact, seeds, Guidance(1.0, shift), shift)
        for method in (TEACHER, MAP, INJECTED, CLOSED_FORM)
    )
    world, rows = exact.world, list[Row]()
    if isinstance(world, Chain):
        few = [nfe for nfe in sorted(exact.measured.nfe) if nfe <= MOST_CHAIN_STEPS]
        rows += chain_rows(teacher, ExactCausal(world), "euler", sorted(exact.measured.nfe))
        rows += chain_rows(mapped, ExactCausal(world, mapped=True), "cm", few)
    else:
        rows += mixture_rows(teacher, teacher_fields(exact))
        rows += mixture_rows(mapped, map_fields(world), _consistency(exact), paths=False)
        rows += _injected_rows(injected, world)
        rows += _closed_rows(closed, world)
    return pd.concat([table(rows), measure_floor(exact, floors)], ignore_index=True)


def _consistency(exact: Exact) -> list[tuple[str, int]]:
    return [("cm", nfe) for nfe in sorted(exact.measured.nfe) if nfe <= MOST_STEPS]


# --------------------------------------------------------------------------------------------- exact fields
def teacher_fields(exact: Exact) -> list[Field]:
    """The exact teacher under each caption."""
    captions, teacher = captions_of(exact.world), ExactTeacher(modes_of(exact.world))
    return [field_of(teacher, captions.encode([caption])) for caption in captions.names]


def map_fields(world: Mixture) -> list[Field]:
    """The exact flow map to 0 under each caption, as a velocity: v = (x_t - Phi^{t->0}(x_t)) / t."""
    return [_map_field(truth.mixture) for truth in caption_truths(world)]


def _map_field(mixture: PlaneMixture) -> Field:
    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        x_0 = flow_to_data(mixture.posterior_mean, x_t.flatten(1).double(), float(t[0]))
        return velocity_from_x0(x_t, x_0.view_as(x_t).to(x_t), t)

    return lambda batch: velocity


def flow_to_data(posterior_mean: PosteriorMean, x: Tensor, t: float, steps: int = ODE_STEPS) -> Tensor:
    """Eq. (2) to s = 0: the probability flow dx/dt = (x - E[x_0 | x_t]) / t from t down, by the Runge-Kutta of order 4.

    Args:
        posterior_mean: E[x_0 | x_t = x] at one time for all.
        x: states `(B, 2)`, float64.
        t: their time.
        steps: of the whole way from 1.
    """
    number = max(ceil(steps * (t - END)), 2)
    grid = [t + (END - t) * i / number for i in range(number + 1)]
    for before, after in pairwise(grid):
        h, middle = after - before, (before + after) / 2
        k_1 = (x - posterior_mean(x, before)) / before
        x_2 = x + h / 2 * k_1
        k_2 = (x_2 - posterior_mean(x_2, middle)) / middle
        x_3 = x + h / 2 * k_2
        k_3 = (x_3 - posterior_mean(x_3, middle)) / middle
        x_4 = x + h * k_3
        k_4 = (x_4 - posterior_mean(x_4, after)) / after
        x = x + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
    return posterior_mean(x, grid[-1])


# ---------------------------------------------------------------------------------------------- exact chain
@dataclass
class ExactCausal:
    """The exact causal teacher of a chain, as a `CausalModel`: its velocity, or its flow map to 0 as one.

    The futures of a chunk after z lie at c z and k s J z, k = +-1, with c, s of the angle and J a quarter turn. The
    posterior of k is the sigmoid of a linear function of x_t.

    Attributes:
        world: the chain.
        mapped: whether it is the flow map.
    """

    world: Chain
    mapped: bool = False
    chunk: int = 1

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor | None = None) -> Tensor:
        """Whole clips are not for this control.

        Raises:
            SaltError: always.
        """
        raise SaltError("exact causal control: a whole clip; accepted: chunk by chunk")

    def open_memory(
        self, policy: Memory, batch: int, height: int, width: int, capacity_frames: int | None = None
    ) -> LastChunk:
        """An empty memory."""
        return LastChunk(batch, 2)

    def step(self, x_t: Tensor, t: Tensor, text: Tensor, context: LastChunk, exits: list[Any] | None = None) -> Tensor:
        """One chunk `(B, 2, 1, 1, 1)`, all at one time."""
        x, time = x_t.flatten(1).double(), float(t[0])
        before = context.before.double() if context.start else None
        mean = partial(self.posterior_mean, before=before)
        x_0 = flow_to_data(mean, x, time) if self.mapped else mean(x, time)
        return velocity_from_x0(x_t, x_0.view_as(x_t).to(x_t), t)

    def posterior_mean(self, x: Tensor, t: float, before: Tensor | None = None) -> Tensor:
        """E[x_0 | x_t = x] `(B, 2)` given the chunk before; None: of the first chunk."""
        world, variance = self.world, (1 - t) ** 2 * self.world.spread**2 + t**2
        if before is None:
            mean = x.new_tensor([1.0, 0.0])
        else:
            left, right = world.weights
            half = sin(radians(world.angle)) * torch.stack([-before[:, 1], before[:, 0]], dim=1)
            middle = cos(radians(world.angle)) * before
            towards = ((x - (1 - t) * middle) * half).sum(1) * 2 * (1 - t) / variance
            share = torch.sigmoid(towards + torch.tensor(left / right, dtype=torch.float64).log())
            mean = middle + (2 * share - 1)[:, None] * half
        return mean + (1 - t) * world.spread**2 / variance * (x - (1 - t) * mean)

    def remember(self, memory: LastChunk, x_0: Tensor, text: Tensor, exits: Sequence[Any] | None = None) -> None:
        """Keep a finished chunk."""
        memory.before, memory.start = x_0.flatten(1), memory.start + 1

    def switch(self, memory: LastChunk, text: Tensor) -> None:
        """There is one caption."""


# ------------------------------------------------------------------------------------------- injected error
def gaussian_of(world: Mixture) -> PlaneMixture:
    """One Gaussian: the first mode of the first caption."""
    first = caption_truths(world)[0].mixture
    return PlaneMixture(torch.ones(1, dtype=torch.float64), first.means[:1], first.covariances[:1])


def _stretch(gaussian: PlaneMixture, t: float) -> Tensor:
    """The slope of the exact flow map from t to 0 of each coordinate: s / sqrt((1 - t)^2 s^2 + t^2)."""
    variance = gaussian.covariances[0].diagonal()
    return (variance / ((1 - t) ** 2 * variance + t**2)).sqrt()


def injected_field(gaussian: PlaneMixture, delta: float) -> Field:
    """(1 + delta) Phi^{t->0} of a Gaussian with independent coordinates, as a velocity."""

    def velocity(x_t: Tensor, t: Tensor) -> Tensor:
        time, mean = float(t[0]), gaussian.means[0]
        x_0 = (1 + delta) * (mean + _stretch(gaussian, time) * (x_t.flatten(1).double() - (1 - time) * mean))
        return velocity_from_x0(x_t, x_0.view_as(x_t).to(x_t), t)

    return lambda batch: velocity


def injected_moments(gaussian: PlaneMixture, delta: float, grid: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each coordinate after the consistency sampler, by recursion over its levels.

    A step from t: mu <- (1 + delta) (m + a (mu - (1 - t) m)), sd <- (1 + delta) a sd with a the slope of the exact map;
    noised to s: mu <- (1 - s) mu, sd^2 <- (1 - s)^2 sd^2 + s^2.
    """
    mean, variance, centre = torch.zeros(2).double(), torch.ones(2).double(), gaussian.means[0]
    for t, s in pairwise((*grid, 0.0)):
        slope = (1 + delta) * _stretch(gaussian, t)
        mean, variance = (1 + delta) * centre + slope * (mean - (1 - t) * centre), slope.square() * variance
        if s > 0:
            mean, variance = (1 - s) * mean, (1 - s) ** 2 * variance + s**2
    return mean, variance.sqrt()


def gaussian_w1(shift: Tensor, stretch: Tensor) -> Tensor:
    """W1 of two Gaussians on the line whose means and deviations differ by these: E|shift + stretch Z|."""
    stretch = stretch.abs().clamp(min=1e-12)
    density = (2 / pi) ** 0.5 * stretch * torch.exp(-shift.square() / (2 * stretch.square()))
    return density + shift * (1 - 2 * torch.special.ndtr(-shift / stretch))


def injected_w1(gaussian: PlaneMixture, delta: float, grid: Sequence[float], directions: Tensor) -> float:
    """The sliced W1 of what the recursion gives, from the truth; without sampling error."""
    mean, deviation = injected_moments(gaussian, delta, grid)
    variance = gaussian.covariances[0].diagonal()
    own = (directions.square() @ deviation.square()).sqrt()
    apart = own - (directions.square() @ variance).sqrt()
    return float(gaussian_w1(directions @ (mean - gaussian.means[0]), apart).mean())


def _injected_rows(arm: Arm, world: Mixture) -> Iterator[Row]:
    measured, gaussian = arm.exact.measured, gaussian_of(world)
    directions, number = directions_of(measured.directions), len(world.captions)  # noise of no caption
    q = gaussian.quantiles(directions, measured.samples)
    noise = CommonNoise(arm.seeds, measured.samples, world.latent_shape, number)
    for solver, nfe in _consistency(arm.exact):
        x = sample(injected_field(gaussian, DELTA), noise, nfe, solver, arm.warp)
        yield from arm.rows(Cell(nfe, solver), distances(x, directions, q))


def _closed_rows(arm: Arm, world: Mixture) -> Iterator[Row]:
    gaussian, directions = gaussian_of(world), directions_of(arm.exact.measured.directions)
    for solver, nfe in _consistency(arm.exact):
        w1 = injected_w1(gaussian, DELTA, time_grid(nfe, arm.warp), directions)
        yield from arm.rows(Cell(nfe, solver), {"sliced_w1": torch.full((len(arm.seeds),), w1).double()}, n=0)
