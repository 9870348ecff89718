"""The lab's figures, their titles and arms: `experiments/lab/figures.yaml`. `salt.report.lab.figures` draws them."""

from collections.abc import Iterable, Iterator

from pydantic import Field, NonNegativeInt, PositiveInt

from salt.config.base import Name, Section, Solver
from salt.config.files import accepted, read_mapping, relative, repository_root
from salt.config.lab_arms import Arms, World
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError


class Measure(Section):
    """One number of every member: a column of the records, and how a figure calls it."""

    metric: Name
    """As in the records."""
    solver: Solver | None = None
    """cm or euler; None: the only one that is recorded."""
    nfe: PositiveInt | None = None
    """Function evaluations; None: the only ones that are recorded."""
    title: str
    """What it is, in a few words; a panel is headed with it."""


class Growth(Section):
    """How much further from the truth many steps are than few."""

    solver: Solver
    """cm or euler."""
    few: PositiveInt
    """Steps."""
    many: PositiveInt
    """Steps."""


class Clouds(Section):
    """Samples that are shown beside the curves."""

    caption: Name
    """Of the world."""
    solver: Solver
    """cm or euler."""
    arms: tuple[Name, ...] = Field(min_length=1)
    """One row each."""
    nfe: tuple[PositiveInt, ...] = Field(min_length=1)
    """One column each."""


class EveryFigure(Section):
    """What every figure has."""

    title: str
    """Its heading on the page of the lab."""
    ensembles: PositiveInt | None = None
    """Ensembles of seeds that it is drawn from, the first of the phase; None: all."""


class Picture(EveryFigure):
    """fig_lab: the distance to the truth against steps, and samples."""

    metric: Name
    """As in the records."""
    arms: tuple[Name, ...] = Field(min_length=1)
    """In the order drawn."""
    growth: Growth
    """What the headline says."""
    said: tuple[Name, ...] = Field(min_length=1)
    """Of these arms, in this order."""
    clouds: Clouds
    """caption, solver, arms, nfe."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Key and name of every arm."""
        yield from _named("arms", self.arms)
        yield from _named("said", self.said)
        yield from _named("clouds.arms", self.clouds.arms)


class Form(Section):
    """One form of the regulariser, in several strengths."""

    title: str
    """How the figure calls it."""
    arms: tuple[Name, ...] = Field(min_length=1)
    """Without the baseline, in any order: the weight is each arm's own `objectives.sc.weight`."""


class TradeOff(Section):
    """Two measures against each other, over the strengths."""

    across: Measure
    """To the right."""
    up: Measure
    """Upwards."""


class Sweep(EveryFigure):
    """fig_lab_lambda: what the regulariser gives and takes, over its weight."""

    baseline: Name
    """The arm without the regulariser."""
    forms: dict[Name, Form] = Field(min_length=1, max_length=2)
    """By name, the paper's first."""
    composition: tuple[Measure, ...] = Field(min_length=1)
    """How well steps compose: a panel each."""
    sharpness: tuple[Measure, ...] = Field(min_length=1)
    """How narrow the modes are: a panel each."""
    path: TradeOff
    """One against the other."""
    best: Measure
    """The headline says at which weight it is least."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Key and name of every arm."""
        yield "baseline", self.baseline
        for name, form in self.forms.items():
            yield from _named(f"forms.{name}.arms", form.arms)


class Pair(Section):
    """An arm and what it is compared with."""

    arm: Name
    """Whose number it is."""
    against: Name
    """What is subtracted."""
    label: str
    """What differs, in a few words."""


class Factor(Section):
    """Comparisons in which the same thing is changed."""

    title: str
    """What is changed."""
    pairs: tuple[Pair, ...] = Field(min_length=1)
    """In the order drawn."""


class FailureMap(EveryFigure):
    """fig_lab_map: levels trained against steps sampled, what each choice changes, and learning curves."""

    metric: Name
    """As in the records."""
    levels: tuple[Name, ...] = Field(min_length=1)
    """Arms that differ in the levels they are trained on, fewest first."""
    measure: Measure
    """Left column of the comparisons, and the learning curves."""
    growth: Growth
    """Right column of the comparisons."""
    factors: tuple[Factor, ...] = Field(min_length=1)
    """Groups of comparisons."""
    curves: dict[Name, Name] = Field(min_length=1)
    """Arm that is measured while it learns: the arm whose name and look it is drawn with."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Key and name of every arm."""
        yield from _named("levels", self.levels)
        for place, factor in enumerate(self.factors):
            for pair in factor.pairs:
                yield from _named(f"factors.{place}", (pair.arm, pair.against))
        yield from _named("curves", (*self.curves, *self.curves.values()))


class ChainFigure(EveryFigure):
    """fig_lab_chain: every chunk of a chain, and how much the chunk before matters."""

    arms: tuple[Name, ...] = Field(min_length=1)
    """In the order drawn."""
    baseline: Name
    """The arm that others are compared with, chunk by chunk."""
    compared: tuple[Name, ...] = Field(min_length=1)
    """These; the last one is what the headline speaks of."""
    nfe: PositiveInt
    """Steps of every chunk, by the consistency sampler."""
    distance: Name
    """Metric of every chunk, drawn as it is and as a difference from the baseline."""
    drift: Name
    """Metric of every chunk."""
    matrix: tuple[Name, ...] = Field(min_length=1)
    """Arms whose last chunk is measured behind chunks of other numbers of steps."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Key and name of every arm."""
        yield "baseline", self.baseline
        yield from _named("arms", self.arms)
        yield from _named("compared", self.compared)
        yield from _named("matrix", self.matrix)


class AnyStep(EveryFigure):
    """fig_lab_any_step: the distance to the truth against steps, of students and their rivals."""

    metric: Name
    """As in the records."""
    arms: tuple[Name, ...] = Field(min_length=1)
    """In the order drawn."""
    growth: Growth
    """What the headline asks of every arm."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Key and name of every arm."""
        yield from _named("arms", self.arms)


class LabFigures(Section):
    """The whole file."""

    shown: NonNegativeInt = 400
    """Samples in each panel of a cloud."""
    fig_lab: Picture
    """The picture of the README."""
    fig_lab_lambda: Sweep
    """Why lambda_SC has an optimum."""
    fig_lab_map: FailureMap
    """The failure map."""
    fig_lab_chain: ChainFigure
    """The autoregressive half."""
    fig_lab_any_step: AnyStep
    """Does more compute help?"""

    def spec(self, name: str) -> Picture | Sweep | FailureMap | ChainFigure | AnyStep:
        """One figure by name; one that there is not is a `SaltError`."""
        if name not in FIGURES:
            raise SaltError(f"figure {name!r}: not in {_source()}; {accepted(name, FIGURES)}")
        return getattr(self, name)


FIGURES: dict[str, World] = {
    "fig_lab": "mixture",
    "fig_lab_lambda": "mixture",
    "fig_lab_map": "mixture",
    "fig_lab_chain": "chain",
    "fig_lab_any_step": "mixture",
}
"""Figure: the world its arms live in."""


def load_lab_figures(arms: Arms | None = None) -> LabFigures:
    """Read the file.

    Args:
        arms: those that there are; None: any name is accepted.

    Raises:
        SaltError: one line with file, key, value and what is accepted; also for an arm that there is not, or of the
            other world.
    """
    path, source = repository_root() / "experiments" / "lab" / "figures.yaml", _source()
    figures = validate(LabFigures, Merged([Layer(read_mapping(path), source)]), source)
    if arms is None:
        return figures
    for figure, world in FIGURES.items():
        here = [name for one in arms.sets.values() if one.world == world for name in one.arms]
        for key, name in figures.spec(figure).named():
            if name not in here:
                raise SaltError(f"{source}: {figure}.{key}: {name}: no such arm of a {world}; {accepted(name, here)}")
    return figures


def _named(key: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        yield key, name


def _source() -> str:
    return relative(repository_root() / "experiments" / "lab" / "figures.yaml")
