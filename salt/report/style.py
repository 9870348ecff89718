"""How all figures look, and how they are written: one palette, one font, the same bytes for the same records.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; methods differ in marker and line as well.
matplotlib is imported when a figure is drawn, so that tables and the command line do not wait for it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salt.config.schema import Look
from salt.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

End = tuple[float, str, str]
"""Where a line ends: y, what to write there, and the colour."""
WIDTH = 7.0
"""Inches: the text width of a two-column page."""
GREY = "#6b6b6b"
LIGHT = "#d9d9d9"
_PNG_DPI = 200
PLACES = 6
"""Decimals of a place in a figure, of which it is a share."""


OTHER_LOOKS = (
    Look(colour="#56B4E9", marker="v", line="-"),
    Look(colour="#E69F00", marker="P", line="--"),
    Look(colour="#8c6d31", marker="X", line=":"),
)
"""Of experiments without a look of their own, which take turns by their place in the figure."""


def verbatim(text: str) -> str:
    """A text of somebody's in which matplotlib finds no formula."""
    return text.replace("$", r"\$")


@contextmanager
def styled() -> Iterator[None]:
    """The setting in which figures are drawn and saved; matplotlib's own settings come back afterwards."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    rc: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.labelsize": 8,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "grid.linewidth": 0.5,
        "lines.linewidth": 1.5,
        "lines.markersize": 4.5,
        "savefig.dpi": _PNG_DPI,
        "savefig.bbox": "tight",
        "savefig.pad_inches": 0.04,
        "pdf.fonttype": 42,
        "svg.hashsalt": "salt",
        "figure.constrained_layout.use": True,
    }
    with sns.axes_style("ticks"), plt.rc_context(rc):
        yield
    plt.close("all")


def save(figure: "Figure", out_dir: Path, name: str, footnote: str) -> list[Path]:
    """Write `{name}.png` and `{name}.pdf`, with a footnote under the drawing."""
    figure.supxlabel(footnote, fontsize=6, color=GREY, x=0.01, ha="left")
    _settle(figure)
    paths = [out_dir / f"{name}.png", out_dir / f"{name}.pdf"]
    for path in paths:
        write_figure(figure, path)
    return paths


def _settle(figure: "Figure") -> None:
    """Lay the drawing out, then round where things are.

    The layout's solver adds in the order of addresses in memory, so that last digits, and with them a file's bytes,
    would differ from run to run.
    """
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    parts: list[Figure | SubFigure] = [figure]
    while parts:
        part = parts.pop()
        for inner in part.subfigs:
            inner.bbox_relative.set_points(inner.bbox_relative.get_points().round(PLACES))
            parts.append(inner)
        for text in part.texts:
            x, y = text.get_position()
            text.set_position((round(float(x), PLACES), round(float(y), PLACES)))
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(PLACES)))


def write_figure(figure: "Figure", path: Path) -> None:
    """Write one file as a whole, its format by its suffix, without dates and names of programs."""
    blank = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata=blank[path.suffix])


def panel_letter(axes: "Axes", letter: str) -> None:
    """`(a)` at the upper left, outside of the drawing."""
    axes.annotate(
        f"({letter})", (0, 1), xytext=(-4, 6), xycoords="axes fraction", textcoords="offset points", ha="right"
    )


def label_ends(axes: "Axes", ends: Sequence[End], least_gap: float) -> None:
    """Write where lines end, to the right of the drawing and no higher or lower than it is.

    They are moved apart to at least `least_gap` of its height.
    """
    low, high = axes.get_ylim()
    places = sorted(((y - low) / (high - low), text, colour) for y, text, colour in ends)
    heights = [place[0] for place in places]
    for _ in range(50):
        for i in range(len(heights) - 1):
            short = max(least_gap - (heights[i + 1] - heights[i]), 0)
            heights[i] -= short / 2
            heights[i + 1] += short / 2
    last = len(heights) - 1
    heights = [min(max(h, i * least_gap), 1 - (last - i) * least_gap) for i, h in enumerate(heights)]
    for height, (_, text, colour) in zip(heights, places, strict=True):
        axes.annotate(
            text, (1.0, height), xycoords="axes fraction", xytext=(3, 0), textcoords="offset points",
            color=colour, va="center", fontsize=7.5, annotation_clip=False,
        )  # fmt: skip
