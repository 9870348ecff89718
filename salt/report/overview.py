"""fig3: Salt for autoregressive video, drawn; after the paper's Figure 3. No record is needed.

Left: a step count K is sampled, and all chunks of the rollout take that many steps. Middle: the student denoises the
current chunk under the KV cache, the text and the noise; at K = 8 its direct step is compared with its composed step.
Right: every rollout gets the DMD loss, those of 2 and 4 steps are aligned with a reference of twice as many steps.

One unit of the drawing is a tenth of an inch; x goes right, y up. Blue is the student, green its composed step and what
is trusted more, orange a loss, grey what carries no gradient.
"""

from typing import TYPE_CHECKING

from salt.report.figure_context import FigureContext
from salt.report.style import GREY, LIGHT, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PALE = {BLUE: "#dcebf5", GREEN: "#d9f0e8", GREY: "#efefef", ORANGE: "#fbe6d9"}
HEIGHT = 30.0
PANELS = ((0.0, 20.0), (22.5, 45.0), (47.5, 70.0))
"""Left and right of each panel."""
STEP_COUNTS = (8, 4, 2)


def overview(context: FigureContext) -> tuple["Figure", str]:
    """The three panels and the objective, Eq. (13), under them."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT / 10))
    axes.set(xlim=(0, 10 * WIDTH), ylim=(0, HEIGHT), aspect="equal")
    axes.axis("off")
    titles = ("Mixed-step rollout", "Self-consistent steps", "Matching and alignment")
    for letter, title, (left, right) in zip("abc", titles, PANELS, strict=True):
        _box(axes, (left, 3.2), (right - left, 24.3), "", LIGHT, "white")
        axes.text(left + 0.2, 28.3, f"({letter})  {title}", fontsize=8.5)
    _rollout(axes)
    _student(axes)
    _losses(axes)
    axes.text(
        5 * WIDTH, 1.0, r"$\mathcal{L}_{\mathrm{DMD}}\;+\;\lambda_{\mathrm{SC}}\,\mathcal{L}_{\mathrm{SC}}\,"
        r"\mathbf{1}[K=8]\;+\;\lambda_{\mathrm{align}}\,\mathcal{L}_{\mathrm{align}}\,\mathbf{1}[K\in\{2,4\}]$",
        fontsize=9, ha="center", va="center",
    )  # fmt: skip
    return figure, f"{context.spec.title}. A drawing: it shows the method and no measurement."


# ----------------------------------------------------------------------------------------------------- panels
def _rollout(axes: "Axes") -> None:
    """(a): nested schedules, and chunks that are made one after the other through the cache."""
    _text(axes, (10, 26.2), r"sample $K\in\{8,4,2\}$")
    left, width = 5.2, 12.6
    for steps, y in zip(STEP_COUNTS, (23.8, 21.6, 19.4), strict=True):
        _text(axes, (2.6, y), f"$K={steps}$", colour=BLUE)
        _arrow(axes, (left, y), (left + width + 0.6, y), BLUE, shrink=0)
        axes.plot([left + width * i / steps for i in range(steps)], [y] * steps, "o", color=BLUE, markersize=3.4)
    _text(axes, (left, 18.0), "noise", size=6.5, colour=GREY)
    _text(axes, (left + width, 18.0), "data", size=6.5, colour=GREY)
    for x, name, colour in ((1.0, "1", GREY), (5.9, "2", GREY), (10.8, "3", BLUE)):
        _chunk(axes, (x, 10.6), name, colour)
    _text(axes, (16.7, 12.4), "...", size=9, colour=GREY)
    _text(axes, (10, 16.0), "chunks, one after the other", size=6.5, colour=GREY)
    _box(axes, (0.8, 5.6), (8.9, 2.4), "KV cache", GREY)
    for x in (2.4, 7.3):
        _arrow(axes, (x, 10.4), (x, 8.1), GREY)
    _arrow(axes, (9.8, 6.8), (12.4, 10.4), BLUE, bend=0.35)
    _text(axes, (15.7, 7.2), "conditions\nchunk 3", size=6.5, colour=BLUE)
    _text(axes, (10, 4.4), "its quality follows $K$", size=6.5, colour=GREY)


def _student(axes: "Axes") -> None:
    """(b): what the student is given, and the two ways from t_s to t_e."""
    for y, name in ((22.0, "KV cache"), (19.0, "text $c$"), (16.0, r"noise $\epsilon$")):
        _box(axes, (23.3, y), (6.0, 2.2), name, GREY)
        _arrow(axes, (29.4, y + 1.1), (32.2, 20.1 + (y - 19) / 3), GREY)
    _box(axes, (32.3, 17.0), (4.6, 6.2), r"$G_\theta$", BLUE, text=10)
    _arrow(axes, (37.0, 20.1), (39.5, 20.1), BLUE)
    _chunk(axes, (39.7, 18.3), r"$x_0$", BLUE)
    _arrow(axes, (41.4, 22.6), (26.3, 24.3), GREY, bend=0.16, style="--")
    _text(axes, (37.0, 25.9), r"remember at $t=0$, no gradient", size=6.5, colour=GREY)
    _text(axes, (37.6, 15.8), "a step of the current chunk:", size=6.5, colour=GREY)
    start, middle, two, one = (25.4, 6.0), (31.4, 11.6), (39.4, 13.0), (39.4, 6.4)
    _arrow(axes, start, middle, GREEN, bend=-0.12)
    _arrow(axes, middle, two, GREEN, bend=-0.1)
    _arrow(axes, start, one, BLUE, bend=0.1, style="--")
    for point, colour in ((start, BLUE), (middle, GREEN), (two, GREEN), (one, BLUE)):
        axes.plot(*point, "o", color=colour, markersize=4.2)
    axes.annotate("", (39.4, 12.4), (39.4, 7.0), arrowprops={"arrowstyle": "<->", "color": ORANGE, "linewidth": 1.1})
    _text(axes, (36.6, 9.8), r"$\mathcal{L}_{\mathrm{SC}}$", size=9, colour=ORANGE)
    _text(axes, (42.2, 9.8), "only\n$K=8$", size=6.5, colour=ORANGE)
    _text(axes, (24.8, 7.9), r"$x_{t_s}$", size=8, colour=BLUE)
    _text(axes, (30.2, 13.1), r"$x_{t_m}$", size=8, colour=GREEN)
    _text(axes, (41.6, 13.6), r"$x^{(2)}_{t_e}$", size=8, colour=GREEN)
    _text(axes, (41.6, 5.9), r"$x^{(1)}_{t_e}$", size=8, colour=BLUE)
    _text(axes, (26.0, 10.9), "composed", size=6.5, colour=GREEN)
    _text(axes, (32.4, 4.1), "direct", size=6.5, colour=BLUE)


def _losses(axes: "Axes") -> None:
    """(c): the DMD loss of every rollout, and the alignment with a reference of twice as many steps."""
    _chunk(axes, (48.6, 19.8), r"$x_0$", BLUE)
    _text(axes, (50.6, 25.6), "student,\n$K$ steps", size=6.5, colour=BLUE)
    _box(axes, (54.6, 20.4), (6.6, 2.6), r"re-noise: $x_t$", GREY)
    _arrow(axes, (52.9, 21.7), (54.5, 21.7), BLUE)
    _loss(axes, (66.3, 21.7), r"$\mathcal{L}_{\mathrm{DMD}}$")
    _arrow(axes, (61.3, 21.7), (63.8, 21.7), BLUE)
    _text(axes, (58.2, 25.3), "teacher and critic", size=6.5, colour=GREY)
    _arrow(axes, (63.0, 25.3), (66.3, 23.5), GREY, bend=-0.25)
    _text(axes, (66.3, 18.9), "every $K$", size=6.5, colour=ORANGE)
    _box(axes, (54.6, 13.4), (6.6, 2.6), r"$R^{\mathrm{low}}$", BLUE)
    _arrow(axes, (51.0, 19.5), (54.5, 14.7), BLUE, bend=0.25)
    _chunk(axes, (48.6, 7.2), r"$x_0^{\mathrm{ref}}$", GREEN)
    _box(axes, (54.6, 7.6), (6.6, 2.6), r"$R^{\mathrm{ref}}$", GREEN)
    _arrow(axes, (52.9, 8.9), (54.5, 8.9), GREEN)
    _loss(axes, (66.3, 11.8), r"$\mathcal{L}_{\mathrm{align}}$")
    _arrow(axes, (61.3, 14.7), (63.8, 12.8), BLUE)
    _arrow(axes, (61.3, 8.9), (63.8, 10.8), GREEN)
    _text(axes, (66.3, 9.0), r"$K\in\{2,4\}$", size=6.5, colour=ORANGE)
    _text(axes, (57.9, 11.8), "token relations", size=6.5, colour=GREY)
    _text(
        axes, (58.6, 5.0), "reference: $2K$ steps, its own cache,\nthe same noise, no gradient", size=6.5, colour=GREEN
    )


# ----------------------------------------------------------------------------------------------------- pieces
def _text(axes: "Axes", place: Point, words: str, size: float = 7.0, colour: str = "black") -> None:
    axes.text(*place, words, fontsize=size, color=colour, ha="center", va="center", linespacing=1.1)


def _box(
    axes: "Axes", corner: Point, size: Point, words: str, colour: str, fill: str | None = None, *, text: float = 7.0
) -> None:
    """A rounded box with words in its middle."""
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            corner, *size, boxstyle="round,pad=0,rounding_size=0.5", linewidth=0.8,
            edgecolor=colour, facecolor=PALE[colour] if fill is None else fill,
        )
    )  # fmt: skip
    _text(axes, (corner[0] + size[0] / 2, corner[1] + size[1] / 2), words, text)


def _chunk(axes: "Axes", corner: Point, name: str, colour: str) -> None:
    """Three frames, one behind the other; 4.2 wide and 4.2 high."""
    from matplotlib.patches import Rectangle

    for back in (1.2, 0.6, 0.0):
        axes.add_patch(
            Rectangle(
                (corner[0] + back, corner[1] + back), 3.0, 3.0, linewidth=0.8, edgecolor=colour, facecolor=PALE[colour]
            )
        )
    _text(axes, (corner[0] + 1.5, corner[1] + 1.5), name, 8)


def _loss(axes: "Axes", centre: Point, name: str) -> None:
    _box(axes, (centre[0] - 2.4, centre[1] - 1.6), (4.8, 3.2), name, ORANGE, text=9)


def _arrow(
    axes: "Axes", start: Point, end: Point, colour: str, *, bend: float = 0.0, style: str = "-", shrink: float = 1
) -> None:
    axes.annotate(
        "", end, start,
        arrowprops={
            "arrowstyle": "-|>", "color": colour, "linewidth": 1.0, "linestyle": style, "mutation_scale": 7,
            "shrinkA": shrink, "shrinkB": shrink, "connectionstyle": f"arc3,rad={bend}",
        },
    )  # fmt: skip
