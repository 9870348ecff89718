"""`experiments/tables.yaml` as typed data: which rows make which table, which experiments make which figure."""

from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import Field, PositiveInt, model_validator

from salt.config.base import Name, Section
from salt.config.claims import Student
from salt.config.files import accepted, experiment_names, read_mapping, relative, repository_root
from salt.config.modes import MEASURES
from salt.config.scale import Scale
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError
from salt.evaluation.cells import Prompts

Spec = TypeVar("Spec", "TableSpec", "FigureSpec")
Use = Literal["scores", "long", "modes", "any_step", "defect", "paths", "caches", "videos", "long_videos", "controls"]


class Row(Student):
    """One row of a table."""

    against: tuple[Name, ...] = ()
    """It is compared with the rows of these experiments at the same nfe, with intervals."""


class Entry(Section):
    """What tables and figures have in common."""

    title: str
    """Of a table, the caption's first sentence; of a figure, what it shows."""
    seeds: PositiveInt
    """Training seeds 0 .. seeds - 1."""
    uses: tuple[Use, ...]
    """Kinds of records that are needed."""
    references: tuple[Literal["teacher", "real"], ...] = ()
    """Below the students, or drawn as well; seed 0 only."""
    first_frame: bool = False
    """Of image-to-video scales; the others are of text-to-video scales."""
    meaningful: bool = False
    """Of scales whose numbers mean something, alone."""
    exact: bool = False
    """Of scales whose world can name its modes and so has an exact teacher, alone."""

    def missing_at(self, scale: Scale) -> str:
        """Why a scale does not have it; empty: it does."""
        if self.first_frame != scale.image_to_video:
            return f"networks are conditioned on {'a' if scale.image_to_video else 'no'} first frame"
        if self.meaningful and not scale.meaningful:
            return "numbers mean nothing"
        if self.exact and not scale.names_modes:
            return "world has no exact teacher"
        if {"long", "long_videos"} & set(self.uses) and not scale.has_long_videos:
            return "videos have one length (evaluation.long)"
        if "any_step" in self.uses and not scale.any_step:
            return "nothing is sampled at any number of steps (any_step)"
        return ""


class TableSpec(Entry):
    """What stands in a table."""

    prompts: Prompts
    """extended, short, or long: videos beyond the training length, of extended captions."""
    columns: tuple[str, ...]
    """Metrics, in the order printed; empty: all."""
    rows: tuple[Row, ...]
    """Students, in the order printed."""

    @model_validator(mode="after")
    def _partners(self) -> "TableSpec":
        there = {(row.experiment, row.nfe) for row in self.rows}
        for row in self.rows:
            for name in row.against:
                if (name, row.nfe) not in there:
                    others = sorted(nfe for experiment, nfe in there if experiment == name)
                    has = f"rows at nfe {', '.join(map(str, others))} alone" if others else "no row in this table"
                    raise ValueError(
                        f"rows: {row.experiment} at nfe {row.nfe} is against {name}, which has {has}; accepted: "
                        f"rows of this table at nfe {row.nfe}"
                    )
        return self

    def at(self, scale: Scale) -> "TableSpec":
        """Without measures of distributions, and long videos of real clips, where the world cannot name its modes."""
        if scale.names_modes:
            return self
        left = {
            "uses": tuple(use for use in self.uses if use != "modes"),
            "columns": tuple(column for column in self.columns if column not in MEASURES),
            "references": () if self.prompts == "long" else self.references,
        }
        return self.model_copy(update=left)


class FigureSpec(Entry):
    """What stands in a figure."""

    experiments: tuple[Name, ...]
    """In the order drawn."""
    nfe: tuple[PositiveInt | Literal["own"], ...] = ()
    """Function evaluations at which scores, modes or videos of training length are drawn; own: each one's own."""
    every_solver: bool = False
    """Whether by every solver of the scale; else by the main one."""

    def at(self, scale: Scale) -> "FigureSpec":
        """Without measures of distributions where the world cannot name its modes."""
        if scale.names_modes:
            return self
        return self.model_copy(update={"uses": tuple(use for use in self.uses if use != "modes")})

    @model_validator(mode="after")
    def _cells(self) -> "FigureSpec":
        if bool({"scores", "videos", "modes"} & set(self.uses) and self.experiments) != bool(self.nfe):
            raise ValueError(
                f"nfe={list(self.nfe)}: accepted: some where scores, modes or videos of experiments are drawn, none "
                "elsewhere"
            )
        return self


class Ablations(Section):
    """The targets `ablation_NAME`."""

    seeds: PositiveInt
    """Training seeds 0 .. seeds - 1."""


class Real(Section):
    """The names of `real`, the codec's ceiling, which is no experiment."""

    method: str
    """In records."""
    title: str
    """In tables."""


class Suite(Section):
    """The whole file."""

    real: Real
    """What the codec's ceiling is called."""
    tables: dict[str, TableSpec] = Field(min_length=1)
    """By name."""
    figures: dict[str, FigureSpec] = Field(min_length=1)
    """By name."""
    ablations: Ablations
    """Seeds of the ablations."""

    def at(self, scale: Scale) -> "Suite":
        """Those tables and figures that a scale has."""
        tables = {name: entry.at(scale) for name, entry in self.tables.items() if not entry.missing_at(scale)}
        figures = {name: entry.at(scale) for name, entry in self.figures.items() if not entry.missing_at(scale)}
        return self.model_copy(update={"tables": tables, "figures": figures})


def load_suite() -> Suite:
    """Read the file.

    Raises:
        SaltError: naming file, key, value and what is accepted.
    """
    path = repository_root() / "experiments" / "tables.yaml"
    source = relative(path)
    return validate(Suite, Merged([Layer(read_mapping(path), source)]), source)


def experiments_at(scale: Scale) -> list[str]:
    """All experiments; at image-to-video scales those that tables and figures name, and the teacher.

    Raises:
        SaltError: one of these that there is not.
    """
    if not scale.image_to_video:
        return experiment_names()
    here = load_suite().at(scale)
    named = [row.experiment for table in here.tables.values() for row in table.rows]
    named += [name for figure in here.figures.values() for name in figure.experiments]
    for name in named:
        if name not in experiment_names():
            near = accepted(name, experiment_names())
            raise SaltError(f"experiments/tables.yaml: {name}: no such experiment; {near}")
    return ["teacher", *dict.fromkeys(named)]


def table_spec(name: str, scale: Scale) -> TableSpec:
    """One table by name; one that there is not, or not at this scale, is a `SaltError`."""
    return _named("table", name, load_suite().tables, load_suite().at(scale).tables, scale)


def figure_spec(name: str, scale: Scale) -> FigureSpec:
    """One figure by name; one that there is not, or not at this scale, is a `SaltError`."""
    return _named("figure", name, load_suite().figures, load_suite().at(scale).figures, scale)


def _named(kind: str, name: str, every: Mapping[str, Spec], here: Mapping[str, Spec], scale: Scale) -> Spec:
    if name not in every:
        raise SaltError(f"{kind} {name!r}: not in experiments/tables.yaml; {accepted(name, every)}")
    if name not in here:
        why = every[name].missing_at(scale)
        raise SaltError(f"{kind} {name}: not of scale {scale.name}, whose {why}; {accepted(name, here)}")
    return here[name]
