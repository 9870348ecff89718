"""What is decided in the lab, written down before the runs that decide it: `experiments/lab/claims.yaml`.

A cell names one number of every training seed. A contrast is a sum of cells minus as many others, seed by seed: what is
common to all of them cancels. A claim is a contrast, the side of 0 that the paper predicts, and the smallest effect
that would matter. A control is a contrast whose outcome is known: an instrument that fails one gives no verdict.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator, model_validator

from salt.config.base import Name, Section
from salt.config.files import accepted, read_mapping, relative, repository_root
from salt.config.lab_arms import PLAN, World
from salt.config.validate import Layer, Merged, shown_value, validate
from salt.errors import SaltError

Metric = Literal[
    "sliced_w1",
    "sliced_w2",
    "energy_distance",
    "mode_tv",
    "mode_entropy",
    "spread",
    "style_spread",
    "style_shift",
    "off_support",
    "nll",
    "defect",
    "defect_median",
    "cross_step",
    "turn_tv",
    "radius",
    "residual",
]
"""Of the mixture, down to cross_step; of the chain: sliced_w1, energy_distance, nll and the last three."""
MEANINGS: dict[Metric, str] = {
    "sliced_w1": "Wasserstein distance to the truth along 16 directions, the primary measure; right at its floor",
    "sliced_w2": "the same with squared lengths; right at its floor",
    "energy_distance": "energy distance to the truth, over directions; right at its floor",
    "mode_tv": "how far the shares of the futures are from their weights; right at its floor",
    "mode_entropy": "entropy of the futures' shares over the truth's; right at 1",
    "spread": "spread within a future over the truth's: above 1 is blur, below 1 collapse",
    "style_spread": "spread of the style over the truth's; right at 1",
    "style_shift": "shift of the style away from other captions, which is saturation; right at 0",
    "off_support": "share of samples where the truth has one in a thousand",
    "nll": "negative log density under the truth: low is too narrow, high is off the data",
    "defect": "semigroup defect, Eq. (16), on the Euler path of 4 steps; 0 composes exactly",
    "defect_median": "the same, median over samples",
    "cross_step": "distance between one noise's samples by n/2 and n Euler steps; right at 0",
    "turn_tv": "chain: how far the shares of turns are from the truth's; right at its floor",
    "radius": "chain: mean distance from the origin over the truth's; right at 1",
    "residual": "chain: distance to the nearer future over the truth's; right at 1",
}
"""Measure -> what it is, in a line."""
Kind = Literal["improves", "worsens", "no_worse", "nothing", "matches"]
TRUTH = "truth"
"""The method that is truth against truth: the floors."""
ANALYTIC = (TRUTH, "exact_teacher", "exact_map", "injected_error", "injected_error_closed_form")
"""Methods that nobody trains; in place of training seeds they are measured again with other noise."""
CONTROL_LEVEL = 0.999
"""Of the intervals of controls."""
BOUNDED: tuple[Kind, ...] = ("no_worse", "nothing", "matches")
"""Controls that are held to a smallest effect: a wide interval around 0 shows nothing."""


class LabCell(Section):
    """One number of every training seed."""

    arm: Name
    """As in experiments/lab/arms.yaml; in controls also a method that nobody trains."""
    nfe: NonNegativeInt
    """Function evaluations at inference; 0: not sampled."""
    solver: Literal["cm", "euler", "none"] = "cm"
    """How it is sampled; none: not by a solver."""
    metric: Metric = "sliced_w1"
    """What is measured; not given: as the claim or the file says."""
    updates: NonNegativeInt | Literal["last"] = "last"
    """Generator updates done; last: all of them."""
    chunk: NonNegativeInt = 0
    """Of a chain, from 1; 0: not of one chunk."""
    cache: NonNegativeInt = 0
    """Steps in which the chunks before it were made; 0: as many as its own."""
    world: World | None = None
    """None: the one in which the arm was measured."""

    @field_validator("updates", mode="before")
    @classmethod
    def _last_or_a_number(cls, value: Any) -> Any:
        if value != "last" and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise ValueError(f"{shown_value(value)}: accepted: last, or a number of updates")
        return value


class Contrast(Section):
    """A sum of cells minus as many others."""

    text: str
    """What it says, in a sentence."""
    metric: Metric = "sliced_w1"
    """Of its cells; not given: as the file says."""
    plus: tuple[LabCell, ...] = ()
    """Cells that count as they are."""
    minus: tuple[LabCell, ...] = ()
    """Cells that are taken away: as many."""

    @property
    def cells(self) -> tuple[LabCell, ...]:
        """Every cell of it."""
        return (*self.plus, *self.minus)

    @model_validator(mode="after")
    def _balanced(self) -> "Contrast":
        if len(self.plus) != len(self.minus):
            raise ValueError(
                f"{len(self.plus)} cells in plus, {len(self.minus)} in minus: accepted: as many, so that what all "
                "share cancels"
            )
        return self


class LabClaim(Contrast):
    """One statement, of the paper or our own, and what would decide it."""

    source: str
    """Section, and table or figure."""
    predicted: Literal["greater", "less"]
    """The side of 0 on which the effect is predicted."""
    by: Literal["paper", "us"] = "paper"
    """Who predicts it: the paper, or, where it says nothing, we."""
    plus: tuple[LabCell, ...] = Field(min_length=1)
    """Cells that count as they are."""
    minus: tuple[LabCell, ...] = Field(min_length=1)
    """Cells that are taken away: as many."""
    smallest: PositiveFloat
    """The smallest effect that would matter, in the unit of the metric."""
    saw: str | None = None
    """What exploration showed."""

    @property
    def side(self) -> int:
        """+1 or -1: the sign that is predicted."""
        return {"greater": 1, "less": -1}[self.predicted]


class Control(Contrast):
    """A contrast whose outcome is known."""

    kind: Kind
    """By the interval of level .999: improves and worsens: it lies below, above 0; no_worse: it ends below `smallest`;
    nothing (of two things that are alike) and matches (a closed form): it includes 0 and lies within +-`smallest`."""
    halves: LabCell | None = None
    """In place of plus and minus: even seeds of one cell against its odd seeds, which are not paired."""
    smallest: PositiveFloat | None = None
    """What no_worse, nothing and matches are held to, in the unit of the metric."""

    @property
    def cells(self) -> tuple[LabCell, ...]:
        """Every cell of it."""
        return super().cells if self.halves is None else (self.halves,)

    @model_validator(mode="after")
    def _one_form(self) -> "Control":
        if (self.halves is None) == (not (self.plus or self.minus)):
            raise ValueError("plus, minus and halves: accepted: plus and minus, or halves")
        if (self.smallest is None) == (self.kind in BOUNDED):
            needed = "a number above 0" if self.kind in BOUNDED else "none"
            raise ValueError(f"smallest={self.smallest} of kind={self.kind}: accepted: {needed}")
        if len({cell.arm in ANALYTIC for cell in self.cells}) > 1:
            arms = ", ".join(dict.fromkeys(cell.arm for cell in self.cells))
            raise ValueError(f"{arms}: accepted: arms that are trained, or methods that are not; they have no pairs")
        return self


class Family(Section):
    """All claims together."""

    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Of intervals, and of the family: 1 - level is the chance to find anything where there is nothing at all."""
    correction: Literal["holm"] = "holm"
    """For the number of claims, tests two-sided."""


class LabClaims(Section):
    """The file: controls and claims."""

    family: Family = Family()
    """level, correction."""
    metric: Metric = "sliced_w1"
    """Of every cell that does not say otherwise."""
    controls: dict[Name, Control] = Field(min_length=1)
    """By name."""
    claims: dict[Name, LabClaim] = Field(min_length=1)
    """By name."""


AnyContrast = TypeVar("AnyContrast", bound=Contrast)


def lab_claims(arms: Collection[str] | None = None, plan: str = PLAN) -> LabClaims:
    """A file of claims, every cell with its metric.

    Args:
        arms: names of the arms that there are; None: any name is accepted.
        plan: stem of the file.

    Raises:
        SaltError: naming file, key, value and what is accepted.
    """
    path = claims_path(plan)
    source = relative(path)
    read = validate(LabClaims, Merged([Layer(read_mapping(path), source)]), source)
    controls = {name: _with_metrics(control, read) for name, control in read.controls.items()}
    claims = {name: _with_metrics(claim, read) for name, claim in read.claims.items()}
    for name, control in controls.items():
        _check(f"{source}: controls.{name}", control, None if arms is None else (*ANALYTIC, *arms))
    for name, claim in claims.items():
        _check(f"{source}: claims.{name}", claim, arms)
    return read.model_copy(update={"controls": controls, "claims": claims})


def claims_path(plan: str = PLAN) -> Path:
    """`experiments/lab/claims.yaml`, or another plan."""
    return repository_root() / "experiments" / "lab" / f"{plan}.yaml"


# ---------------------------------------------------------------------------------------------------- parts
def _with_metrics(contrast: AnyContrast, file: LabClaims) -> AnyContrast:
    """The contrast with the metric of every cell: its own, the contrast's, the file's."""
    metric = contrast.metric if "metric" in contrast.model_fields_set else file.metric

    def filled(cell: LabCell) -> LabCell:
        return cell if "metric" in cell.model_fields_set else cell.model_copy(update={"metric": metric})

    changed: dict[str, Any] = {"metric": metric}
    for key in ("plus", "minus"):
        changed[key] = tuple(filled(cell) for cell in getattr(contrast, key))
    if isinstance(contrast, Control) and contrast.halves is not None:
        changed["halves"] = filled(contrast.halves)
    return contrast.model_copy(update=changed)


def _check(key: str, contrast: Contrast, arms: Collection[str] | None) -> None:
    """One metric, and arms that there are."""
    metrics = dict.fromkeys(cell.metric for cell in contrast.cells)
    if len(metrics) > 1:
        raise SaltError(f"{key}: metric = {', '.join(metrics)}; accepted: one in all its cells, whose unit is its own")
    for place, cells in _places(contrast).items():
        for index, cell in enumerate(cells):
            if arms is not None and cell.arm not in arms:
                where = place if place == "halves" else f"{place}.{index}"
                raise SaltError(f"{key}.{where}.arm = {cell.arm}: no such arm; {accepted(cell.arm, sorted(arms))}")


def _places(contrast: Contrast) -> dict[str, tuple[LabCell, ...]]:
    if isinstance(contrast, Control) and contrast.halves is not None:
        return {"halves": (contrast.halves,)}
    return {key: getattr(contrast, key) for key in ("plus", "minus")}
