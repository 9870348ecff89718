"""How far a student's steps are from composing, and from the teacher's flow: the measurements of `salt defect`.

All start from the noise of held-out prompts, the noise that their videos start from. Symbols: T^(K) is the student's
inference grid; a path is its states at (*grid, 0); B samples; RMS is over the elements of one sample.

* `defect[i]`, Eq. (16), on interval i of T^(K), from the states of the Euler path and of the CM path. t_m is the one
  node of T^(2K) between t_s and t_e, whatever grid the student was trained on, so that all students are measured alike.
* `cross_step[a,b]`: RMS distance between the samples of a and b function evaluations from one noise.
* `depth_error[i]`: RMS distance of the Euler path, after i steps, from the teacher's path at the same time, relative to
  the RMS of the teacher's state. The teacher's path is guided Euler on its own grid and all times of the students'.
* trajectories: Euler paths and the teacher's path of the first few samples on two principal directions.

The first alone needs a tenth of the time of all four, most of which goes into the teacher's path.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from salt.config.scale import Evaluation, Scale
from salt.config.schema import Experiment
from salt.data.prompts import prompts_hash
from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.cells import RECORD_COLUMNS, TEACHER, shared_columns
from salt.evaluation.sampling.conditioning import Condition, no_condition
from salt.evaluation.sampling.solvers import Draw, Network, first_broken, initial_noise, renoise_of, trajectory
from salt.evaluation.scorer import digest, low_precision, size_of_vae
from salt.evaluation.scorers import diagnosed_prompts
from salt.flow.grid import Warp, merged_grid, time_grid
from salt.flow.path import MeanVelocity, Velocity, batch_time
from salt.flow.semigroup import composed_endpoint, direct_endpoint, semigroup_defect
from salt.flow.transport import Renoise, euler_operator

DEFECT_COLUMNS = (*RECORD_COLUMNS, "t_s", "t_m", "t_e")
TRAJECTORY_COLUMNS = ("sample", "solver", "nfe", "step", "t", "pc1", "pc2")
TRAJECTORY_SAMPLES = 4
TRAJECTORY_MOST_STEPS = 8
VERSION = 1
"""Raise it when a definition changes; part of the protocol."""

States = list[Tensor]
"""States `(B, ...)` at (*grid, 0): one path for each sample."""


class Quantity(NamedTuple):
    """What was measured, and at which times: those of a triple, or in `t_s` the time that a path has reached."""

    metric: str
    solver: str
    nfe: int
    t_s: float | None = None
    t_m: float | None = None
    t_e: float | None = None


@dataclass(frozen=True)
class Diagnostics:
    """Tidy records, columns `DEFECT_COLUMNS`, and projected paths, columns `TRAJECTORY_COLUMNS`."""

    records: pd.DataFrame
    trajectory: pd.DataFrame


# ------------------------------------------------------------------------------------------- measurements
def rms(x: Tensor) -> Tensor:
    """Root of the mean square of each sample, `(B, ...)` -> `(B,)`."""
    return x.square().flatten(1).mean(1).sqrt()


@torch.no_grad()
def path_defects(velocity: Velocity, path: States, grid: Sequence[float], middle: Sequence[float]) -> Tensor:
    """Eq. (16) of each interval of a path, `(B, len(grid))`.

    Args:
        velocity: the student.
        path: its states at (*grid, 0); the last is not used.
        grid: t_s of each interval; t_e is the next one, and 0 in the end.
        middle: t_m of each interval.
    """
    defects = []
    for x_s, t_s, t_m, t_e in zip(path[:-1], grid, middle, (*grid[1:], 0.0), strict=True):
        if isinstance(velocity, MeanVelocity):  # its direct step has another velocity than the first of the two
            psi = euler_operator(velocity)
            x_1, x_2 = psi(x_s, t_s, t_e), psi(psi(x_s, t_s, t_m), t_m, t_e)
        else:
            v_s = velocity(x_s, batch_time(t_s, x_s))
            x_1 = direct_endpoint(x_s, v_s, t_s, t_e)
            x_2 = composed_endpoint(velocity, x_s, v_s, t_s, t_m, t_e)
        defects.append(semigroup_defect(x_1, x_2, x_s))
    return torch.stack(defects, dim=1)


def principal_plane(path: Tensor) -> tuple[Tensor, Tensor]:
    """The plane in which one sample's path `(S, ...)` moves most.

    Returns:
        Its mean `(n,)` and two orthonormal directions `(2, n)`, float64. The first is signed so that the path ends
        further along it than it begins, the second so that the state half way lies on its positive side.
    """
    flat = path.flatten(1).double()
    mean = flat.mean(0)
    directions = torch.linalg.svd(flat - mean, full_matrices=False).Vh[:2]
    ahead = torch.stack([flat[-1] - flat[0], flat[len(flat) // 2] - mean])
    backwards = (ahead * directions).sum(1, keepdim=True) < 0
    return mean, torch.where(backwards, -directions, directions)


# ----------------------------------------------------------------------------------------------- one batch
@dataclass(frozen=True)
class _Plan:
    """The grids of one student at one scale."""

    evaluation: Evaluation
    steps: int
    warp: Warp
    shift: float
    """Of the teacher's own grid."""
    nfes: Sequence[int]
    """The numbers of evaluations whose paths are compared with each other and with the teacher's; empty: Eq. (16)
    alone is measured, on the path of `steps`."""

    def grid(self, nfe: int) -> tuple[float, ...]:
        return time_grid(nfe, self.warp)

    @property
    def middle(self) -> tuple[float, ...]:
        """t_m of each interval of T^(K): the levels of T^(2K) that T^(K) leaves out."""
        return self.grid(2 * self.steps)[1::2]

    @property
    def fine(self) -> tuple[float, ...]:
        """The times of the teacher's path."""
        return merged_grid(time_grid(self.evaluation.teacher_nfe, self.shift), *map(self.grid, self.nfes))

    @property
    def teacher(self) -> tuple[str, int]:
        """The teacher's path among `Paths`, where anything is compared with it."""
        return TEACHER, len(self.fine)


Paths = dict[tuple[str, int], States]
"""(solver, nfe) -> its states."""


def _student_paths(velocity: Velocity, noise: Tensor, renoise: Renoise, plan: _Plan) -> Paths:
    nfes = sorted({*plan.nfes, plan.steps})
    return {
        (solver, nfe): trajectory(velocity, noise, plan.grid(nfe), solver, renoise)
        for solver in plan.evaluation.solvers
        for nfe in nfes
    }


def _measurements(velocity: Velocity, paths: Paths, plan: _Plan) -> Iterator[tuple[Quantity, Tensor]]:
    """Every metric of a batch, `(B,)`."""
    grid, middle = plan.grid(plan.steps), plan.middle
    for solver in plan.evaluation.solvers:
        defects = path_defects(velocity, paths[solver, plan.steps], grid, middle)
        for i, (t_s, t_m, t_e) in enumerate(zip(grid, middle, (*grid[1:], 0.0), strict=True)):
            yield Quantity(f"defect[{i}]", solver, plan.steps, t_s, t_m, t_e), defects[:, i]
        yield Quantity("defect_mean", solver, plan.steps), defects.mean(1)
    for solver in plan.evaluation.solvers:
        for few, many in combinations(sorted(plan.nfes), 2):
            distance = rms(paths[solver, few][-1] - paths[solver, many][-1])
            yield Quantity(f"cross_step[{few},{many}]", solver, many), distance
    if "euler" in plan.evaluation.solvers:
        for nfe in plan.nfes:
            teacher = dict(zip((*plan.fine, 0.0), paths[plan.teacher], strict=True))
            reached = (*plan.grid(nfe)[1:], 0.0)
            for i, (t, x) in enumerate(zip(reached, paths["euler", nfe][1:], strict=True), start=1):
                yield Quantity(f"depth_error[{i}]", "euler", nfe, t), rms(x - teacher[t]) / rms(teacher[t])


def _projected_paths(paths: Paths, plan: _Plan, samples: Sequence[int]) -> Iterator[tuple[object, ...]]:
    """Rows of `TRAJECTORY_COLUMNS`; `samples` are the numbers of the first samples of the batch."""
    if plan.teacher not in paths:
        return
    fine = paths[plan.teacher]
    euler = {(solver, nfe): (plan.grid(nfe), path) for (solver, nfe), path in paths.items() if solver == "euler"}
    euler = {way: path for way, path in euler.items() if way[1] <= TRAJECTORY_MOST_STEPS}
    euler[plan.teacher] = plan.fine, fine
    for place, sample in enumerate(samples):
        mean, directions = principal_plane(torch.stack([x[place].cpu() for x in fine]))
        for (solver, nfe), (grid, path) in euler.items():
            for step, (t, x) in enumerate(zip((*grid, 0.0), path, strict=True)):
                pc1, pc2 = (directions @ (x[place].cpu().double().flatten() - mean)).tolist()
                yield sample, solver, nfe, step, t, pc1, pc2


# ------------------------------------------------------------------------------------------------- the whole
def defect_protocol(scale: Scale) -> str:
    """12 hexadecimal digits of all that decides these measurements besides the student."""
    world, evaluation = scale.world, scale.evaluation
    decides = {
        "version": VERSION,
        "prompts": prompts_hash(diagnosed_prompts(scale)),
        "seed": evaluation.seeds[0],
        "clip": [world.size, world.frames],
        "teacher": [evaluation.teacher_nfe, evaluation.cfg_weight, sorted(evaluation.nfe)],
    }
    steered = scale.text.model_dump(include={"negative"})  # nothing where there is none
    return digest(decides | size_of_vae(scale) | low_precision(evaluation) | steered)


@torch.no_grad()
def measure(
    student: Network,
    teacher: Network,
    experiment: Experiment,
    seed: int,
    latent_shape: Sequence[int],
    condition: Condition = no_condition,
    alone: bool = False,
) -> Diagnostics:
    """Measure one student on `diagnosed_prompts` (extended) and the first sampling seed.

    Args:
        student: without guidance.
        teacher: with it, on the same device.
        experiment: the student's; its `grid` gives K and all times, its scale all the rest.
        seed: the training seed, for the records.
        latent_shape: `(C, T, H, W)`.
        condition: what conditions networks besides captions.
        alone: measure Eq. (16) alone, for which the teacher is not asked.

    Raises:
        SaltError: states that are not finite, naming path and prompt.
    """
    evaluation = experiment.scale.evaluation
    grid, nfes = experiment.grid, () if alone else evaluation.nfe
    plan = _Plan(evaluation, grid.steps, grid.warp, grid.shift, nfes)
    prompts = diagnosed_prompts(experiment.scale)
    measured: dict[Quantity, list[Tensor]] = {}
    projected: list[tuple[object, ...]] = []
    for start in tqdm(range(0, len(prompts), evaluation.batch_size), unit="batch", dynamic_ncols=True, disable=None):
        batch = prompts[start : start + evaluation.batch_size]
        draws = [Draw(evaluation.seeds[0], prompt.index) for prompt in batch]
        captions = [prompt.extended for prompt in batch]
        noise = initial_noise(draws, latent_shape).to(student.device)
        image = condition([(prompt, evaluation.seeds[0]) for prompt in batch])
        velocity = student.velocity(captions, image)
        paths = _student_paths(velocity, noise, renoise_of(draws), plan)
        if plan.nfes:
            guided = teacher.velocity(captions, image)
            paths[plan.teacher] = trajectory(guided, noise, plan.fine, "euler", renoise_of(draws))
        _check_finite(experiment, seed, paths, batch)
        for key, values in _measurements(velocity, paths, plan):
            measured.setdefault(key, []).append(values.double().cpu())
        projected += _projected_paths(paths, plan, range(start, min(start + len(batch), TRAJECTORY_SAMPLES)))
    samples = {key: torch.cat(parts) for key, parts in measured.items()}
    return Diagnostics(
        _records(samples, experiment, seed), pd.DataFrame(projected, columns=pd.Index(TRAJECTORY_COLUMNS))
    )


def _check_finite(experiment: Experiment, seed: int, paths: Paths, batch: Sequence[AnyPrompt]) -> None:
    for (solver, nfe), path in paths.items():
        place = first_broken(path[-1])
        if place is not None:
            raise SaltError(
                f"{experiment.name} seed {seed}, {solver} path of {nfe} steps: the sample of prompt {batch[place].id} "
                "holds NaN or infinity; accepted: finite ones. The weights are broken: train again"
            )


def _records(samples: dict[Quantity, Tensor], experiment: Experiment, seed: int) -> pd.DataFrame:
    """Means over samples, and the standard error of `defect_mean`."""
    means: list[tuple[Quantity, float, int]] = []
    for key, values in samples.items():
        means.append((key, float(values.mean()), len(values)))
        if key.metric == "defect_mean":
            error = float(values.std() / len(values) ** 0.5)
            means.append((key._replace(metric="defect_mean_se"), error, len(values)))
    fixed = shared_columns(experiment, seed, defect_protocol(experiment.scale))
    rows = [fixed | key._asdict() | {"value": value, "n": n} for key, value, n in means]
    return pd.DataFrame(rows, columns=pd.Index(DEFECT_COLUMNS))
