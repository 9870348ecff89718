"""`salt figure NAME`: draws one figure of `experiments/tables.yaml` and writes it as PNG and PDF."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from salt.config.files import accepted
from salt.config.load import load_scale
from salt.errors import SaltError
from salt.report import curves, frames, memory, overview, sheets, side_by_side, trajectories
from salt.report.figure_context import FigureContext
from salt.report.records import Records
from salt.report.style import save, styled
from salt.report.suite import figure_spec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAW: dict[str, Callable[[FigureContext], tuple["Figure", str]]] = {
    "fig_teacher": frames.teacher_sheet,
    "fig1": frames.more_steps,
    "fig2": trajectories.training_trajectories,
    "fig3": overview.overview,
    "fig4": side_by_side.baselines_and_ours,
    "fig5": frames.across_steps,
    "figA1": curves.defect_bars,
    "figA2": side_by_side.baselines_and_ours,
    "fig_lambda": curves.lambda_curves,
    "fig_steps": curves.steps_curves,
    "fig_modes": curves.mode_curves,
    "fig_any_step": curves.any_step_curves,
    "fig_depth": curves.depth_curves,
    "fig_causal": sheets.student_sheet,
    "fig_i2v": sheets.student_sheet,
    "fig_long": sheets.long_sheet,
    "fig_drift": memory.drift,
    "fig_caches": memory.caches,
}
"""Each returns the drawing and its footnote."""


def make_figure(
    name: str, scale: str, records_dir: Path, videos_dir: Path, out_dir: Path, seeds: int | None = None
) -> list[Path]:
    """Write `{name}.png` and `{name}.pdf`; the same records and videos give the same bytes.

    Args:
        name: a figure of `experiments/tables.yaml`.
        scale: whose records these are.
        records_dir: `results/{scale}/records`.
        videos_dir: holds `{experiment}/seed{n}/{prompts}_{solver}_{nfe}/{prompt_id}/{sampling seed}.mp4`.
        out_dir: made where it is missing.
        seeds: number of training seeds; None: as `experiments/tables.yaml` says.

    Raises:
        SaltError: an unknown figure, nothing to draw, or broken records or videos.
    """
    known = load_scale(scale)
    spec = figure_spec(name, known)
    if name not in DRAW:
        raise SaltError(f"figure {name!r}: nothing draws it; {accepted(name, DRAW)}")
    wanted = tuple(range(seeds if seeds is not None else spec.seeds))
    context = FigureContext(name, spec, Records(records_dir, known), videos_dir, wanted)
    with styled():
        figure, footnote = DRAW[name](context)
        return save(figure, out_dir, name, footnote)
