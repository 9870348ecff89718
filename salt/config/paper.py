"""The published numbers: `experiments/paper_values.yaml`, one row of a table per entry, read as one value per metric.

Units are those of the paper: VBench scores in percent, the semigroup defect of Eq. (16) as a fraction.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from salt.config.base import Name, Section
from salt.config.files import accepted, experiment_names, read_mapping, relative, repository_root
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError

Metric = Literal[
    "total",
    "quality",
    "semantic",
    "i2v",
    "subject_consistency",
    "background_consistency",
    "temporal_flickering",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "imaging_quality",
    "object_class",
    "multiple_objects",
    "spatial_relationship",
    "semigroup_defect",
]
"""VBench's names of its dimensions, its aggregate scores, and the defect of Eq. (16)."""


class _Place(Section):
    """Where a published number stands."""

    table: str = Field(pattern=r"^(table[1-5]|tableA1|figA1|text)$")
    """table1 .. table5, tableA1 (A: appendix), figA1, or text."""
    row: str
    """The row's title as the paper prints it."""
    experiment: Name | None = None
    """Our experiment of this row; null: not reproduced here."""
    nfe: PositiveInt | None = None
    """Function evaluations; null: not printed."""
    where: str
    """Section, table and group of rows."""
    conflict: str | None = None
    """What in the paper contradicts this number or leaves its meaning open."""


class PaperRow(_Place):
    """One row of a published table."""

    values: dict[Metric, float] = Field(min_length=1)
    """Metric: number, as printed."""


class PaperRows(Section):
    """The file: every published row."""

    rows: Annotated[tuple[PaperRow, ...], Field(min_length=1)]
    """A list of rows."""


class PaperValue(_Place):
    """One published number."""

    metric: Metric
    """One of VBench's dimensions or aggregates, or semigroup_defect."""
    value: float
    """As printed."""


def paper_values() -> list[PaperValue]:
    """Every published number, in the order of the paper's tables.

    Raises:
        SaltError: the file is wrong, or names an experiment that does not exist.
    """
    path = repository_root() / "experiments" / "paper_values.yaml"
    source, names = relative(path), experiment_names()
    rows = validate(PaperRows, Merged([Layer(read_mapping(path), source)]), source).rows
    for index, row in enumerate(rows):
        if row.experiment is not None and row.experiment not in names:
            wrong = f"{source}: rows.{index}.experiment = {row.experiment}"
            raise SaltError(f"{wrong}: no such experiment; {accepted(row.experiment, names)}")
    return [
        PaperValue(metric=metric, value=value, **row.model_dump(exclude={"values"}))
        for row in rows
        for metric, value in row.values.items()
    ]
