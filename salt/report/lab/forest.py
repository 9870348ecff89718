"""The claims as a forest plot for the page: effects in units of their smallest effect, the predicted side to the right.

Drawn from `lab_claims.csv`, as SVG. Above each other, of one claim: the explored interval, hollow, and the confirming
one. The axis is asinh, which is straight near 0 and logarithmic far from it.
"""

from collections.abc import Mapping, Sequence
from math import asinh

from markupsafe import Markup, escape

ROW, LEFT, WIDTH, TOP, RIGHT = 40, 470, 520, 24, 150
TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100)
LONGEST = 66  # characters of a claim in one line
COLOURS = {"holds": "#009E73", "holds, below the smallest effect": "#56B4E9", "opposite": "#D55E00"}
QUIET = "#6b6b6b"

Line = Mapping[str, str]
"""Of the CSV."""


def forest(lines: Sequence[Line]) -> Markup:
    """The plot; nothing where no claim has an interval."""
    drawn = [line for line in lines if line["low"]]
    if not drawn:
        return Markup("")
    furthest = max(abs(value) for line in drawn for value in _ends(line))
    reach = next((tick for tick in TICKS if tick > 1 and tick >= furthest), TICKS[-1])
    names = list(dict.fromkeys(line["claim"] for line in lines))
    height = TOP + ROW * len(names) + 40
    parts = [*_frame(reach, height)]
    for place, name in enumerate(names):
        own = [line for line in lines if line["claim"] == name]
        y = TOP + ROW * (place + 0.5)
        text = own[0]["text"]
        shown = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4:.0f}" text-anchor="end">{escape(shown)}</text>')
        for line in own:
            if line["low"]:
                parts.append(_interval(line, y + (-6 if line["phase"] == "explore" else 6), reach))
        told = own[-1]["verdict"]
        colour = COLOURS.get(told, QUIET)
        shown = told.replace(", below the smallest effect", ", but small")
        parts.append(f'<text x="{LEFT + WIDTH + 12}" y="{y + 4:.0f}" fill="{colour}">{escape(shown)}</text>')
    size = f'viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
    label = "Effects of the claims with their intervals, in units of the smallest effect that would matter"
    head = f'<svg class="forest" {size} role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">'
    return Markup("\n".join([head, *parts, "</svg>"]))


def _ends(line: Line) -> tuple[float, float]:
    """The interval in units of the smallest effect, the predicted side positive."""
    unit = float(line["smallest"]) * (1 if line["predicted"] == "greater" else -1)
    low, high = sorted((float(line["low"]) / unit, float(line["high"]) / unit))
    return low, high


def _x(value: float, reach: float) -> float:
    inside = max(-reach, min(reach, value))
    return LEFT + WIDTH * (0.5 + 0.5 * asinh(inside) / asinh(reach))


def _frame(reach: float, height: int) -> list[str]:
    """Band of what would not matter, axis, and which side is predicted."""
    bottom = height - 34
    left, right = _x(-1, reach), _x(1, reach)
    parts = [f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{bottom - TOP}" fill="#f0f1f2"/>']
    for tick in (tick for tick in TICKS if abs(tick) <= reach):
        x = _x(tick, reach)
        colour, told = (QUIET, "0") if tick == 0 else ("#d8d8d8", f"{tick:+d}")
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" class="small">{told}</text>')
    middle, paper = _x(0, reach), "as predicted →"
    return [
        *parts,
        f'<text x="{middle + 8:.1f}" y="{TOP - 8}" class="small">{paper}</text>',
        f'<text x="{middle - 8:.1f}" y="{TOP - 8}" text-anchor="end" class="small">← against it</text>',
        f'<text x="{middle:.1f}" y="{bottom + 30}" text-anchor="middle" class="small">effect, in units of the smallest '
        "that would matter; hollow: explored; filled: confirming</text>",
    ]


def _interval(line: Line, y: float, reach: float) -> str:
    """A line with its mean; an end that lies outside of the drawing is an arrow's."""
    low, high = _ends(line)
    unit = float(line["smallest"]) * (1 if line["predicted"] == "greater" else -1)
    explored = line["phase"] == "explore"
    colour = QUIET if explored else COLOURS.get(line["verdict"], "#1d2126")
    x1, x2, x = (_x(value, reach) for value in (low, high, float(line["estimate"]) / unit))
    width = 1.2 if explored else 2
    parts = [f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="{width}"/>']
    for value, end, way in ((low, x1, -1), (high, x2, 1)):
        if abs(value) > reach:
            tip = f"{end:.1f},{y:.1f} {end - 6 * way:.1f},{y - 4:.1f} {end - 6 * way:.1f},{y + 4:.1f}"
            parts.append(f'<polygon points="{tip}" fill="{colour}"/>')
    fill = "white" if explored else colour
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"/>')
    told = f"{line['phase']}: {float(line['estimate']):+.4g} [{float(line['low']):+.4g}, {float(line['high']):+.4g}]"
    return f"<g><title>{escape(told)}</title>{''.join(parts)}</g>"
