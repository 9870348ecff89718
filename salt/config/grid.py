"""Section `grid`: the times at which a student is evaluated in training and at inference."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Section, is_none

Level = Annotated[float, Field(gt=0, le=1)]
"""A noise level at which a network can be evaluated."""


class Grid(Section):
    """T^(K) and T_train (Eq. 9): `steps` levels for inference, `train_steps` for training, of one map from u to t."""

    steps: PositiveInt
    """K, the number of student evaluations at inference."""
    train_steps: PositiveInt
    """|T_train|; a multiple of K, so that T^(K) is nested in T_train."""
    shift: PositiveFloat
    """s of t = s u / (1 + (s - 1) u)."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] | None = Field(default=None, exclude_if=is_none)
    """The times at which the student is evaluated in `steps` steps, from noise to data without the final 0, in place of
    the shifted uniform ones; None: those. Between them times are linear in u, so grids of any other number of steps and
    T_train lie on the same map. The first may be below 1: sampling starts there from pure noise."""

    @model_validator(mode="after")
    def _nested(self) -> "Grid":
        if self.train_steps % self.steps:
            raise ValueError(
                f"T^({self.steps}) is not on the training grid: train_steps={self.train_steps} must be a multiple "
                f"of steps={self.steps}, e.g. {self.steps}, {2 * self.steps} or {4 * self.steps}"
            )
        return self

    @model_validator(mode="after")
    def _as_many_levels_as_steps(self) -> "Grid":
        levels = self.levels or ()
        if levels and len(levels) != self.steps:
            raise ValueError(
                f"levels: {len(levels)} of them, but steps={self.steps}; accepted: as many levels as steps, or null"
            )
        for i, (t, s) in enumerate(pairwise(levels), start=1):
            if s >= t:
                raise ValueError(f"levels.{i}={s:g} follows {t:g}; accepted: from noise to data, each below the last")
        return self

    @property
    def warp(self) -> float | tuple[float, ...]:
        """How u becomes t, as `salt.flow.grid.time_grid` takes it: `levels` where they are given, else `shift`."""
        return self.shift if self.levels is None else self.levels
