"""What every section of the configuration is: frozen, complete, and strict about names and numbers."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section that refuses unknown keys, infinities and NaN.

    The string under a field is its description: editors show it, and the error for a missing key repeats it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
