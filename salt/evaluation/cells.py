"""Which cells are sampled and scored: caption variants, solvers and numbers of function evaluations.

Students: extended prompts with every solver and NFE of the scale (causal ones with the main solver), short prompts with
the main solver only. The guided
teacher: both variants by its own Euler steps. `real`, clips of exactly the prompts' contents through the codec: both
variants, solver "none", NFE 0.
"""

from typing import get_args

from salt.config.scale import Scale
from salt.data.prompts import Variant
from salt.evaluation.score import Cell

TEACHER, REAL = "teacher", "real"
NO_SOLVER = "none"
"""Solver of cells that no network makes."""


def cells_of(experiment: str, method: str, scale: Scale, seed: int, causal: bool = False) -> list[Cell]:
    """All cells of one trained model, or of `teacher` or `real`.

    Args:
        experiment: stem of a student's file, `teacher` or `real`.
        method: as tables print it.
        scale: its `evaluation` says which solvers and NFE.
        seed: the training seed; 0 for `teacher` and `real`.
        causal: whether it makes its videos chunk by chunk; such students are sampled by the main solver only.
    """
    evaluation = scale.evaluation
    variants: tuple[Variant, ...] = get_args(Variant)
    ways: list[tuple[Variant, str, int]]
    if experiment == TEACHER:
        ways = [(variant, "euler", evaluation.teacher_nfe) for variant in variants]
    elif experiment == REAL:
        ways = [(variant, NO_SOLVER, 0) for variant in variants]
    else:
        solvers = (evaluation.main_solver,) if causal else evaluation.solvers
        ways = [("extended", solver, nfe) for solver in solvers for nfe in evaluation.nfe]
        ways += [("short", evaluation.main_solver, nfe) for nfe in evaluation.short_nfe]
    return [Cell(method, experiment, scale.name, seed, *way) for way in ways]
