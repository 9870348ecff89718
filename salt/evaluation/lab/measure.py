"""Measuring an arm: all its members at once, in every cell, from random numbers that all arms share.

Of a mixture every cell `measured.nfe` x `measured.solvers` is measured, each metric as the mean over captions. Of a
chain every chunk of sequences made in 1 to 16 consistency steps a chunk, and the last chunk of the training length made
in `nfe` steps behind chunks made in `cache` steps.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from salt.config.lab import Chain, Exact, Mixture
from salt.config.lab_claims import TRUTH
from salt.config.schema import Experiment
from salt.data.exact import captions_of
from salt.errors import SaltError
from salt.evaluation.lab.columns import CLOUD_COLUMNS
from salt.evaluation.lab.measures import (
    Numbers,
    chain_nll,
    chunk_measures,
    cross_step,
    mixture_measures,
    step_defects,
)
from salt.evaluation.lab.records import UNGUIDED, Arm, Cell, exact_of, guidance_of, mean_of, table
from salt.evaluation.lab.samples import CommonNoise, Field, next_chunks, roll_chains, sample
from salt.evaluation.lab.truth import (
    CaptionTruth,
    caption_truths,
    chunk_truth,
    directions_of,
    guided_quantiles,
    sample_captions,
    sample_chains,
)
from salt.evaluation.sampling.solvers import trajectory
from salt.flow.grid import Warp, time_grid
from salt.models.conditioning import bind
from salt.models.ensemble import lost_members
from salt.models.protocol import CausalModel, VelocityModel

DEFECT_STEPS = 4
"""Of the Euler path on which Eq. (16) is measured; t_m is the level of the grid of twice as many steps in between."""
MOST_CHAIN_STEPS = 16
"""Of a chunk: with more, sequences take longer than all else together."""
CHAIN_SOLVER = "cm"
CLOUD = 400
"""Samples of a caption that figures show."""
CLOUD_CELLS = (("cm", 1), ("cm", 4), ("cm", 8), ("cm", 16), ("euler", 4), ("euler", 16))
Rows = Iterator[dict[str, Any]]
Cells = Sequence[tuple[str, int]]
"""Pairs of solver and nfe."""


def measure_arm(
    network: nn.Module,
    experiment: Experiment,
    method: str,
    seeds: Sequence[int],
    updates: int,
    left_out: Sequence[int] = (),
) -> pd.DataFrame:
    """Every record of one arm.

    Args:
        network: an ensemble of as many members as there are seeds, in float32.
        experiment: its configuration, at a scale with `exact`.
        method: the arm's name.
        seeds: the training seeds of the members, which key the random numbers of their samples.
        updates: of the generator so far.
        left_out: members that are not measured; neither are those whose weights are not finite.

    Raises:
        BrokenSamples: NaN or infinity in the samples of members whose weights are finite.
        SaltError: a world of more than a plane.
    """
    exact = exact_of(experiment)
    lost = tuple({*lost_members(network), *left_out})
    arm = Arm(
        method, experiment.name, exact, tuple(seeds), guidance_of(experiment), experiment.grid.warp, updates, lost
    )
    if not arm.living:
        return table([])
    if isinstance(exact.world, Mixture):
        return table(list(mixture_rows(arm, _fields(network, exact))))
    if not isinstance(network, CausalModel):
        raise SaltError(f"{method}: makes whole sequences; accepted: a causal network, in the world of kind chain")
    return table(list(chain_rows(arm, network)))


def _fields(network: VelocityModel, exact: Exact) -> list[Field]:
    """The velocity of each caption."""
    captions = captions_of(exact.world)
    return [field_of(network, captions.encode([caption])) for caption in captions.names]


def field_of(network: VelocityModel, text: Tensor) -> Field:
    """The velocity of one caption `(1, L, D)`."""
    return lambda batch: bind(network, text.expand(batch, -1, -1))


# ------------------------------------------------------------------------------------------------- mixture
def every_cell(exact: Exact) -> list[tuple[str, int]]:
    """Of a mixture."""
    return list(product(exact.measured.solvers, sorted(exact.measured.nfe)))


def mixture_rows(arm: Arm, fields: Sequence[Field], cells: Cells | None = None, paths: bool = True) -> Rows:
    """Rows of an arm in a mixture.

    Args:
        arm: its names, seeds and world.
        fields: the velocity of each caption.
        cells: None: `every_cell`.
        paths: whether Eq. (16) is measured as well, along the Euler path.
    """
    world = arm.exact.world
    assert isinstance(world, Mixture)
    truths, directions = caption_truths(world), directions_of(arm.exact.measured.directions)
    targets = [target(arm, truth, directions) for truth in truths]
    noises = noises_of(arm)
    euler: dict[int, list[Tensor]] = {}
    for solver, nfe in every_cell(arm.exact) if cells is None else cells:
        cell = Cell(nfe, solver)
        made = [sample(field, noise, nfe, solver, arm.warp) for field, noise in zip(fields, noises, strict=True)]
        for x, truth in zip(made, truths, strict=True):
            arm.check_finite(x, cell, truth.caption)
        numbers = mean_of(
            [mixture_measures(x, truth, directions, q) for x, truth, q in zip(made, truths, targets, strict=True)]
        )
        if solver == "euler":
            euler[nfe] = made
            if 2 * (nfe // 2) == nfe and nfe // 2 in euler:
                pairs = zip(euler[nfe // 2], made, strict=True)
                numbers["cross_step"] = mean_of([{"": cross_step(few, many)} for few, many in pairs])[""]
        yield from arm.rows(cell, numbers)
    if paths:
        defects = [_defects(field, noise, arm.warp) for field, noise in zip(fields, noises, strict=True)]
        yield from arm.rows(Cell(DEFECT_STEPS, "euler"), mean_of(defects))


def target(arm: Arm, truth: CaptionTruth, directions: Tensor) -> Tensor:
    """The quantiles that samples are compared with: of the truth, or of what a guided teacher makes of it."""
    if arm.guidance.cfg_weight == 1:
        return truth.mixture.quantiles(directions, arm.exact.measured.samples)
    return guided_quantiles(arm.exact, truth.caption, arm.guidance, directions)


def noises_of(arm: Arm, n: int | None = None) -> list[CommonNoise]:
    """The random numbers of each caption."""
    exact = arm.exact
    number = exact.measured.samples if n is None else n
    captions = captions_of(exact.world).names
    return [CommonNoise(arm.seeds, number, exact.world.latent_shape, i) for i in range(len(captions))]


@torch.no_grad()
def _defects(field: Field, noise: CommonNoise, warp: Warp) -> Numbers:
    """Eq. (16) along the Euler path, the mean over its intervals."""
    grid, middle = time_grid(DEFECT_STEPS, warp), time_grid(2 * DEFECT_STEPS, warp)[1::2]
    members, x = len(noise.seeds), noise.initial().flatten(0, 1)
    velocity = field(len(x))
    path = trajectory(velocity, x, grid, "euler", lambda i, like: like)
    intervals = zip(path[:-1], grid, middle, (*grid[1:], 0.0), strict=True)
    return mean_of([step_defects(velocity, x_s, t_s, t_m, t_e, members) for x_s, t_s, t_m, t_e in intervals])


def clouds(network: nn.Module, experiment: Experiment, method: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Samples of the first living member, for figures: the first 400 of those that are measured; none of a chain."""
    exact, lost = exact_of(experiment), tuple(lost_members(network))
    arm = Arm(method, experiment.name, exact, tuple(seeds), guidance_of(experiment), experiment.grid.warp, lost=lost)
    rows: list[tuple[object, ...]] = []
    if arm.living and isinstance(exact.world, Mixture):
        noises = noises_of(arm, CLOUD)
        for (caption, field, noise), (solver, nfe) in product(
            zip(exact.world.captions, _fields(network, exact), noises, strict=True), CLOUD_CELLS
        ):
            x = sample(field, noise, nfe, solver, arm.warp)
            arm.check_finite(x, Cell(nfe, solver), caption)
            rows += [(method, caption, solver, nfe, round(a, 4), round(b, 4)) for a, b in x[arm.living[0]].tolist()]
    return pd.DataFrame(rows, columns=pd.Index(CLOUD_COLUMNS))


# --------------------------------------------------------------------------------------------------- chain
def chain_rows(arm: Arm, model: CausalModel, solver: str = CHAIN_SOLVER, steps: Sequence[int] | None = None) -> Rows:
    """Rows of an arm in a chain.

    Args:
        arm: its names, seeds and world.
        model: makes the chunks.
        solver: of every chunk.
        steps: of every chunk; None: those of `measured.nfe` up to 16.
    """
    exact = arm.exact
    assert isinstance(exact.world, Chain)
    world, cache = exact.world, sorted(exact.measured.cache)
    measured = [nfe for nfe in sorted(exact.measured.nfe) if nfe <= MOST_CHAIN_STEPS] if steps is None else list(steps)
    text = captions_of(world).encode(["chain"])
    noise = CommonNoise(arm.seeds, exact.measured.samples, (2, world.generated, 1, 1))
    made: dict[int, Tensor] = {}
    for nfe in sorted({*measured, *cache}):
        x = roll_chains(model, text, noise, nfe, solver, arm.warp).transpose(2, 3)  # (E, n, T, 2)
        arm.check_finite(x, Cell(nfe, solver), "chain")
        if nfe in cache:
            made[nfe] = x
        if nfe in measured:
            yield from _sequence_rows(arm, world, x, nfe, solver)
    judge, last = _chunk_judge(exact, world), world.chunks
    for before, nfe in product(cache, cache):
        cell, past = Cell(nfe, solver, before, last), made[before][:, :, : last - 1]
        x = next_chunks(model, text, noise, past.transpose(2, 3), nfe, solver, arm.warp)
        arm.check_finite(x, cell, "chain")
        yield from arm.rows(cell, judge(past[:, :, -1], x, last))


def _chunk_judge(exact: Exact, world: Chain) -> Callable[[Tensor | None, Tensor, int], Numbers]:
    """Measures a chunk against its marginal."""
    directions, n = directions_of(exact.measured.directions), exact.measured.samples

    def judge(before: Tensor | None, x: Tensor, chunk: int) -> Numbers:
        q = chunk_truth(world, chunk).quantiles(directions, n)
        return chunk_measures(before, x, chunk, world, directions, q)

    return judge


def _sequence_rows(arm: Arm, world: Chain, x: Tensor, nfe: int, solver: str) -> Rows:
    """Rows of every chunk of sequences `(E, n, T, 2)`, and of those of training length as a whole."""
    judge = _chunk_judge(arm.exact, world)
    for i in range(x.shape[2]):
        before = x[:, :, i - 1] if i else None
        yield from arm.rows(Cell(nfe, solver, chunk=i + 1), judge(before, x[:, :, i], i + 1))
    yield from arm.rows(Cell(nfe, solver), {"nll": chain_nll(x[:, :, : world.chunks], world)})


# --------------------------------------------------------------------------------------------------- floor
def measure_floor(exact: Exact, repeats: int = 64) -> pd.DataFrame:
    """The metrics of samples of the truth, as many as are measured of a student: what a perfect student would get.

    Args:
        exact: the world.
        repeats: samples of the truth; each is a "seed" of the method `truth`.
    """
    arm = Arm(TRUTH, TRUTH, exact, tuple(range(repeats)), UNGUIDED, UNGUIDED.shift)
    n, world = exact.measured.samples, exact.world
    if isinstance(world, Chain):
        return table(list(_sequence_rows(arm, world, sample_chains(world, arm.seeds, n), 0, "none")))
    truths, directions = caption_truths(world), directions_of(exact.measured.directions)
    samples = sample_captions(world, arm.seeds, n)
    judged = [
        mixture_measures(x, truth, directions, truth.mixture.quantiles(directions, n))
        for x, truth in zip(samples, truths, strict=True)
    ]
    return table(list(arm.rows(Cell(), mean_of(judged))))
