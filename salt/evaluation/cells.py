"""A cell is what is sampled and scored as one: an experiment, its captions, a solver and a number of evaluations.

Students: extended prompts with every solver and NFE of the scale, and with their own number of steps (causal ones with
the main solver), short prompts with the main solver only. The guided teacher: both variants by its own Euler steps.
`real`, clips of exactly the prompts' contents through the codec: both variants, solver "none", NFE 0. Long videos, of
causal students only and as `evaluation.long` says, are cells whose `prompts` are "long" (the extended captions).
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from salt.config.scale import Long, Scale
from salt.config.schema import Experiment
from salt.data.prompts import Variant

TEACHER, REAL = "teacher", "real"
MANIFEST = "manifest.json"
"""Beside a model's videos: what they were made from."""
NO_SOLVER = "none"
"""Solver of cells that no network makes."""
UNKNOWN: Literal["unknown"] = "unknown"
"""Captions and solver of videos that were made elsewhere."""
RECORD_COLUMNS = (
    "method",
    "experiment",
    "scale",
    "seed",
    "prompts",
    "solver",
    "nfe",
    "metric",
    "value",
    "n",
    "protocol",
)


Prompts = Variant | Literal["long", "unknown"]
"""Extended or short captions, or long videos of extended ones; unknown: of videos made elsewhere."""


@dataclass(frozen=True)
class Cell:
    """An experiment sampled in one way: a row of a table."""

    experiment: str
    """Stem of a student's file, `teacher` or `real`."""
    prompts: Prompts
    solver: str
    nfe: int

    @property
    def variant(self) -> Variant:
        """Of its captions."""
        return "short" if self.prompts == "short" else "extended"

    @property
    def name(self) -> str:
        """Stem of the cell's files, `{prompts}_{solver}_{nfe}`."""
        return f"{self.prompts}_{self.solver}_{self.nfe}"

    @property
    def kind(self) -> Literal["scores", "long"]:
        """Of the records that hold its scores."""
        return "long" if self.prompts == "long" else "scores"


@dataclass(frozen=True)
class ModelCell(Cell):
    """A cell of one model: what is sampled and scored at once."""

    method: str
    """As tables print it."""
    scale: str
    seed: int
    """The training seed."""

    def columns(self) -> dict[str, Any]:
        """As records and provenance name it, in the order of `RECORD_COLUMNS`."""
        values = asdict(self)
        return {name: values[name] for name in RECORD_COLUMNS if name in values}


def cells_of(
    experiment: str, method: str, scale: Scale, seed: int, student: Experiment | None = None
) -> list[ModelCell]:
    """All cells of one trained model, or of `teacher` or `real`.

    Args:
        experiment: stem of a student's file, `teacher` or `real`.
        method: as tables print it.
        scale: its `evaluation` says which solvers and NFE.
        seed: the training seed; 0 for `teacher` and `real`.
        student: its configuration; those that make their videos chunk by chunk are sampled by the main solver only.
    """
    evaluation = scale.evaluation
    variants: tuple[Variant, ...] = get_args(Variant)
    ways: list[tuple[Variant, str, int]]
    if experiment == TEACHER:
        ways = [(variant, "euler", evaluation.teacher_nfe) for variant in variants]
    elif experiment == REAL:
        ways = [(variant, NO_SOLVER, 0) for variant in variants]
    else:
        own = () if student is None or student.grid.steps in evaluation.nfe else (student.grid.steps,)
        solvers = evaluation.solvers if student is None else solvers_of(student)
        ways = [("extended", solver, nfe) for solver in solvers for nfe in (*evaluation.nfe, *own)]
        ways += [("short", evaluation.main_solver, nfe) for nfe in evaluation.short_nfe]
    return [ModelCell(experiment, *way, method, scale.name, seed) for way in ways]


def solvers_of(student: Experiment) -> tuple[str, ...]:
    """By which solvers its clips are sampled: the main one alone where it makes them chunk by chunk."""
    evaluation = student.scale.evaluation
    return (evaluation.main_solver,) if student.causal is not None else evaluation.solvers


def long_cells(experiment: str, method: str, scale: Scale, seed: int, long: Long) -> list[ModelCell]:
    """The cells of long videos, `long_{main_solver}_{nfe}` of a causal student; arguments as of `cells_of`."""
    if experiment == REAL:
        return [ModelCell(experiment, "long", NO_SOLVER, 0, method, scale.name, seed)]
    solver = scale.evaluation.main_solver
    return [ModelCell(experiment, "long", solver, nfe, method, scale.name, seed) for nfe in long.nfe]


def shared_columns(experiment: Experiment, seed: int, protocol: str) -> dict[str, Any]:
    """Those of `RECORD_COLUMNS` that all diagnostics of one student share: they are of extended captions."""
    return {
        "method": experiment.title,
        "experiment": experiment.name,
        "scale": experiment.scale.name,
        "seed": seed,
        "prompts": "extended",
        "protocol": protocol,
    }
