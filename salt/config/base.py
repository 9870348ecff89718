"""What every section of the configuration is: frozen, complete, and strict about names and numbers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
