"""Intervals as rows of a forest plot: places in percent of a row's width, which the templates draw as SVG.

The side that the claim predicts is on the right of every row, and 0 is in the middle, so one line runs down the page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

Tone = Literal["good", "small", "bad", "mixed", "quiet"]
"""The colour of a verdict."""
MIDDLE, HALF = 50.0, 46.0
"""Where 0 is, and how far the ends of the axis are from it."""
Curve = Callable[[float], float]


@dataclass(frozen=True)
class Span:
    """An estimate and its interval, in the unit of its row."""

    estimate: float
    low: float
    high: float
    tone: Tone
    hollow: bool = False
    """Explored, not confirming."""

    def interval(self, digits: int) -> str:
        """`[-0.12, +0.34]`, or `unbounded`."""
        if not (isfinite(self.low) and isfinite(self.high)):
            return "unbounded"
        return f"[{self.low:+.{digits}f}, {self.high:+.{digits}f}]"

    def turned(self, side: int) -> "Span":
        """The same with the predicted side above 0."""
        low, high = sorted((side * self.low, side * self.high))
        return Span(side * self.estimate, low, high, self.tone, self.hollow)


@dataclass(frozen=True)
class Bar:
    """What is drawn of a span; an end that lies outside of the axis is an arrow."""

    at: float
    low: float
    high: float
    tone: Tone
    hollow: bool
    beyond_low: bool
    beyond_high: bool


@dataclass(frozen=True)
class Axis:
    """From -reach to +reach; straight, or bent by a curve that is odd and rises."""

    reach: float
    curve: Curve = float

    def place(self, value: float) -> float:
        """In percent of the width."""
        inside = max(-self.reach, min(self.reach, value))
        return round(MIDDLE + HALF * self.curve(inside) / self.curve(self.reach), 2)

    def bar(self, span: Span) -> Bar:
        """A span, drawn."""
        at, low, high = map(self.place, (span.estimate, span.low, span.high))
        return Bar(at, low, high, span.tone, span.hollow, span.low < -self.reach, span.high > self.reach)


def axis_of(spans: Sequence[Span], others: Sequence[float] = (), curve: Curve = float) -> Axis:
    """The axis that holds all ends and other values, as far as they are finite."""
    ends = [abs(value) for span in spans for value in (span.estimate, span.low, span.high)]
    return Axis(max((value for value in [*ends, *map(abs, others)] if isfinite(value)), default=0.0) or 1.0, curve)
