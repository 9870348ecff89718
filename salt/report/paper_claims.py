"""How each claim of `experiments/claims.yaml` is measured on our records, and the paper's own number beside it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from salt.config.claims import PATH_STEPS, Measure, PaperClaim, Student, paper_claims, step_counts
from salt.config.load import load_experiment
from salt.config.scale import Scale
from salt.evaluation.cells import Cell
from salt.report.ceiling import saturated
from salt.report.metrics import title
from salt.report.records import Kind, Records
from salt.report.statistics import Interval, seed_interval
from salt.report.tables import differences, mode_differences

WANTED_SEEDS = range(100)
"""Claims use every training seed that has been measured."""


@dataclass(frozen=True)
class Claim(ABC):
    """One claim: what the paper says, and the number that tests it."""

    says: str
    where: str
    side: int
    """+1 or -1: the sign that the paper claims."""
    metric: str
    method: Cell
    baseline: Cell
    labels: tuple[str, str]
    """Of method and baseline."""
    published: tuple[float, float] | None
    """The paper's numbers of both, where it prints them."""

    @property
    @abstractmethod
    def measured(self) -> str:
        """What our number is."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """Of our number and the paper's."""

    @property
    def paper(self) -> float | None:
        """The paper's number; None where it prints none."""
        return None if self.published is None else self._compared(*self.published)

    @property
    def kind(self) -> Kind:
        """The records that hold it."""
        return "defect"

    @abstractmethod
    def _compared(self, method: float, baseline: float) -> float:
        """One number of two."""

    @abstractmethod
    def _interval(self, records: Records, seeds: tuple[int, ...]) -> Interval | None:
        """Over the training seeds that both have; None: a score is absent."""

    def saturated(self, records: Records, seeds: tuple[int, ...]) -> bool:
        """Whether method and baseline are both as good as real clips, so that neither can be better."""
        return False

    def measure(self, records: Records) -> tuple[Interval, tuple[int, ...]] | None:
        """The interval and its training seeds; None where it cannot be measured."""
        pair = (self.method, self.baseline)
        found = [set(records.seeds(self.kind, cell.experiment, WANTED_SEEDS)) for cell in pair]
        seeds = tuple(sorted(set.intersection(*found)))
        nfes = {*step_counts(self.metric), *(cell.nfe for cell in pair)}
        if not seeds or not nfes <= set(_sampled(records.scale, self.method)):
            return None
        interval = self._interval(records, seeds)
        return None if interval is None else (interval, seeds)


class Difference(Claim):
    """Of two scores, over captions and training seeds."""

    unit = "points"

    @property
    def measured(self) -> str:
        """`Total: SC-DMD at 2 NFE minus DMD-4`."""
        method, baseline, (one, other) = self.method, self.baseline, self.labels
        at = f" at {baseline.nfe}" if baseline.nfe != method.nfe else ""
        on = {"extended": "", "short": ", short prompts", "long": ", long videos"}[method.prompts]
        return f"{title(self.metric)}: {one} at {method.nfe} NFE minus {other}{at}{on}"

    @property
    def kind(self) -> Kind:
        """Scores, of long videos where they are long."""
        return self.method.kind

    def _compared(self, method: float, baseline: float) -> float:
        return method - baseline

    def _interval(self, records: Records, seeds: tuple[int, ...]) -> Interval | None:
        return differences(records, self.method, self.baseline, seeds).get(self.metric)

    def saturated(self, records: Records, seeds: tuple[int, ...]) -> bool:
        """As `salt.report.ceiling` has it."""
        return saturated(records, (self.method, self.baseline), seeds, self.metric)


class OfDistributions(Difference):
    """Of two measures of distributions, over training seeds."""

    @property
    def kind(self) -> Kind:
        """Measures of distributions."""
        return "modes"

    def _interval(self, records: Records, seeds: tuple[int, ...]) -> Interval | None:
        return mode_differences(records, self.method, self.baseline, seeds).get(self.metric)


class RelativeChange(Claim):
    """Of a diagnostic that should fall, over training seeds."""

    unit = "%"

    @property
    def measured(self) -> str:
        """`defect_mean, cm path: SC-DMD against DMD-8`."""
        one, other = self.labels
        return f"{self.metric}, {self.method.solver} path: {one} against {other}"

    def _compared(self, method: float, baseline: float) -> float:
        return 100 * (method / baseline - 1)

    def _interval(self, records: Records, seeds: tuple[int, ...]) -> Interval:
        pair = (records.values("defect", cell, seeds, self.metric) for cell in (self.method, self.baseline))
        return seed_interval([self._compared(a, b) for a, b in zip(*pair, strict=True)])


class LastInterval(Claim):
    """Baseline - method: by how much smaller in the last interval of Eq. (16) than the mean of the three before."""

    unit = "1e-3"

    @property
    def measured(self) -> str:
        """`mean gap (DMD-8 minus SC-DMD) of the first three ...`."""
        one, other = self.labels
        gap = f"mean gap ({other} minus {one})"
        return f"{gap} of the first three intervals minus that of the last, {self.method.solver} path"

    def _compared(self, method: float, baseline: float) -> float:
        return 1000 * (baseline - method)

    def _interval(self, records: Records, seeds: tuple[int, ...]) -> Interval:
        *early, last = [self._gaps(records, seeds, f"{self.metric}[{i}]") for i in range(PATH_STEPS)]
        return seed_interval([sum(e) / len(e) - one for *e, one in zip(*early, last, strict=True)])

    def _gaps(self, records: Records, seeds: Sequence[int], metric: str) -> list[float]:
        pair = (records.values("defect", cell, seeds, metric) for cell in (self.method, self.baseline))
        return [self._compared(a, b) for a, b in zip(*pair, strict=True)]


MEASURES: dict[Measure, type[Claim]] = {
    "difference": Difference,
    "distribution": OfDistributions,
    "relative_change": RelativeChange,
    "last_interval": LastInterval,
}


def claims(scale: Scale) -> list[Claim]:
    """All claims of a scale, in the order of the paper."""
    stated = paper_claims(scale)
    names = {student.experiment for claim, _, _ in stated for student in (claim.method, claim.baseline)}
    every = {name: load_experiment(name, scale.name) for name in names}
    labels = {name: experiment.label or experiment.title for name, experiment in every.items()}

    def cell(claim: PaperClaim, student: Student) -> Cell:
        solver = claim.solver or scale.evaluation.main_solver
        return Cell(student.experiment, claim.prompts, solver, student.nfe)

    return [
        MEASURES[claim.measure](
            claim.says,
            claim.where,
            {"up": 1, "down": -1}[claim.side],
            metric,
            cell(claim, claim.method),
            cell(claim, claim.baseline),
            (labels[claim.method.experiment], labels[claim.baseline.experiment]),
            published,
        )
        for claim, metric, published in stated
    ]


def _sampled(scale: Scale, cell: Cell) -> Sequence[int]:
    """The numbers of function evaluations with which a scale samples its students so."""
    evaluation = scale.evaluation
    if cell.solver not in evaluation.solvers:
        return ()
    if cell.prompts == "long":
        return evaluation.long.nfe if evaluation.long else ()
    return evaluation.short_nfe if cell.prompts == "short" else evaluation.nfe
