"""What the paper claims: `experiments/claims.yaml`, differences of two rows and the side of 0 that the paper stands on.

The paper's own numbers are not in it: `paper` names two rows of `experiments/paper_values.yaml`.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveInt, model_validator

from salt.config.base import Name, Section, Solver
from salt.config.files import accepted, experiment_names, read_mapping, relative, repository_root
from salt.config.modes import MEASURES, RIGHT
from salt.config.paper import Metric, PaperValue, paper_values
from salt.config.scale import Scale
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError

Measure = Literal["difference", "distribution", "relative_change", "last_interval"]
METRICS: dict[Measure, tuple[str, ...]] = {
    "difference": tuple(metric for metric in get_args(Metric) if metric != "semigroup_defect"),
    "distribution": tuple(MEASURES),
    "relative_change": ("defect_mean", "cross_step[K,K]"),
    "last_interval": ("defect",),
}
"""What can be measured so; K stands for a number of function evaluations."""
PATH_STEPS = 4
"""K of the path on which the paper measures Eq. (16)."""


class Student(Section):
    """An experiment and the number of function evaluations it is sampled with."""

    experiment: Name
    """Stem of the experiment's file."""
    nfe: PositiveInt
    """Function evaluations at inference."""


class Published(Section):
    """Two rows of a published table, whose difference is the paper's number."""

    table: str
    """As in paper_values.yaml."""
    row: str
    """The method's row, as the paper prints its title."""
    baseline: str
    """The baseline's row."""
    metric: Metric | None = None
    """What is printed; None: the metric of the claim."""


class PaperClaim(Section):
    """One statement on two rows, in one or more metrics."""

    says: str
    """The claim, in a sentence."""
    where: str
    """Section, and table or figure."""
    side: Literal["up", "down"]
    """Whether the paper claims a difference above or below 0."""
    measure: Measure = "difference"
    """difference of two scores; distribution: of two measures of distributions; relative_change of a diagnostic;
    last_interval: baseline - method, by how much smaller in the last interval of Eq. (16) than in the others' mean."""
    method: Student
    """Whose number it is: experiment, nfe."""
    baseline: Student
    """What it is compared with: experiment, nfe."""
    metrics: tuple[str, ...] = Field(min_length=1)
    """One claim each."""
    distributions: tuple[str, ...] = ()
    """The same claim in measures of distributions, one each, with the other sign: of them less is better."""
    prompts: Literal["extended", "short", "long"] = "extended"
    """Captions; long: of long videos."""
    solver: Solver | None = None
    """How both are sampled; None: by the scale's `evaluation.main_solver`."""
    paper: Published | None = None
    """The rows whose difference the paper prints: table, row, baseline; None: it prints none."""
    first_frame: bool = False
    """Of scales whose networks are conditioned on a first frame; the others are of those whose are not."""

    @model_validator(mode="after")
    def _distributions_are_measured(self) -> "PaperClaim":
        for metric in self.distributions:
            if metric not in MEASURES or metric in RIGHT:
                known = [one for one in MEASURES if one not in RIGHT]
                raise ValueError(f"distributions: {metric}: less of it is not better; {accepted(metric, known)}")
        return self

    def in_distributions(self) -> "PaperClaim":
        """The same claim in measures of distributions; the paper prints none."""
        side = {"up": "down", "down": "up"}[self.side]
        changed = {"measure": "distribution", "metrics": self.distributions, "distributions": (), "side": side}
        return self.model_copy(update=changed | {"paper": None})

    @model_validator(mode="after")
    def _metrics_are_of_the_measure(self) -> "PaperClaim":
        for metric in self.metrics:
            if re.sub(r"(?<=[\[,])\d+", "K", metric) not in METRICS[self.measure]:
                raise ValueError(f"metrics: {metric}: no {self.measure}; {accepted(metric, METRICS[self.measure])}")
        return self

    @model_validator(mode="after")
    def _diagnostics_are_recorded_so(self) -> "PaperClaim":
        """A diagnostic is recorded under its number of evaluations, `cross_step[few,many]` under the larger one."""
        nfes = {self.method.nfe, self.baseline.nfe}
        for metric in self.metrics if self.measure in ("relative_change", "last_interval") else ():
            recorded = max(step_counts(metric), default=PATH_STEPS)
            if nfes != {recorded}:
                found = " and ".join(map(str, sorted(nfes)))
                raise ValueError(f"nfe: {found} for {metric}; accepted: {recorded}, for method and baseline")
        return self


class PaperClaims(Section):
    """The file: every claim, in the order of the paper."""

    claims: Annotated[tuple[PaperClaim, ...], Field(min_length=1)]
    """A list of claims."""


def step_counts(metric: str) -> tuple[int, ...]:
    """`(2, 4)` of `cross_step[2,4]`."""
    return tuple(map(int, re.findall(r"(?<=[\[,])\d+", metric)))


def paper_claims(scale: Scale) -> list[tuple[PaperClaim, str, tuple[float, float] | None]]:
    """Every claim with one of its metrics, and the paper's numbers of method and baseline, where it prints both.

    Args:
        scale: those of image-to-video are of its scales, all others of the rest.

    Raises:
        SaltError: the file is wrong, or names an experiment or a published number that does not exist.
    """
    path = repository_root() / "experiments" / "claims.yaml"
    source = relative(path)
    claims = validate(PaperClaims, Merged([Layer(read_mapping(path), source)]), source).claims
    values, found = paper_values(), []
    for index, claim in enumerate(claims):
        key = f"{source}: claims.{index}"
        for role, student in (("method", claim.method), ("baseline", claim.baseline)):
            _known(f"{key}.{role}.experiment", student.experiment, "experiment", experiment_names())
        found += [(claim, metric, _published(key, claim, metric, values)) for metric in claim.metrics]
        if scale.names_modes:
            found += [(claim.in_distributions(), metric, None) for metric in claim.distributions]
    return [one for one in found if one[0].first_frame == scale.image_to_video]


def _known(key: str, name: str, kind: str, names: Iterable[str]) -> None:
    names = list(dict.fromkeys(names))
    if name not in names:
        raise SaltError(f"{key} = {name}: no such {kind}; {accepted(name, names)}")


def _published(key: str, claim: PaperClaim, metric: str, values: Iterable[PaperValue]) -> tuple[float, float] | None:
    """The paper's numbers of method and baseline."""
    if claim.paper is None:
        return None
    table, values = claim.paper.table, list(values)
    _known(f"{key}.paper.table", table, "table in paper_values.yaml", (value.table for value in values))
    values = [value for value in values if value.table == table]
    wanted = str(claim.paper.metric or metric)
    pair = []
    for role, row, nfe in (
        ("row", claim.paper.row, claim.method.nfe),
        ("baseline", claim.paper.baseline, claim.baseline.nfe),
    ):
        _known(f"{key}.paper.{role}", row, f"row of {table} in paper_values.yaml", (value.row for value in values))
        printed = {str(v.metric): v.value for v in values if (v.row, v.nfe) == (row, nfe)}
        _known(f"{key}.metrics", wanted, f"number of {row} at {nfe} NFE in {table}", printed)
        pair.append(printed[wanted])
    return pair[0], pair[1]
