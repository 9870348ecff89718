"""What every section of the configuration is: frozen, complete, and strict about names and numbers."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Value = TypeVar("Value")


def _each_once(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if again := [value for index, value in enumerate(values) if value in values[:index]]:
        raise ValueError(f"{again[0]} is given twice; accepted: each once")
    return values


Few = Annotated[tuple[Value, ...], AfterValidator(_each_once)]
"""Values, none twice: a seed that is given twice would count its video twice."""
Set = Annotated[tuple[Value, ...], Field(min_length=1), AfterValidator(_each_once)]
"""At least one of them."""
Share = Annotated[float, Field(gt=0, le=1)]
"""How often something happens; what never happens is left out."""
Probability = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""The stem of a file in experiments/."""
Precision = Literal["float32", "bfloat16"]
Solver = Literal["euler", "cm"]


def is_none(value: object) -> bool:
    """For `Field(exclude_if=...)`: a section that is off is left out of dumps and hashes, which stay as they were."""
    return value is None


class Section(BaseModel):
    """A frozen section that refuses unknown keys, infinities and NaN.

    The string under a field is its description: editors show it, and the error for a missing key repeats it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
