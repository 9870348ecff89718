"""`salt lab-figure NAME`: draws one figure of the lab and writes it as PNG and PDF.

`experiments/lab/figures.yaml` says which arms are drawn, `experiments/lab/arms.yaml` what they are called.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from salt.config.lab_arms import load_arms
from salt.config.lab_figures import FIGURES, load_lab_figures
from salt.config.load import load_scale
from salt.errors import SaltError
from salt.report.lab.figures import chain, failures, picture, rivals, sweep
from salt.report.lab.figures.context import LabContext, Phase
from salt.report.style import save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAW: dict[str, Callable[[LabContext], tuple["Figure", str]]] = {
    "fig_lab": picture.draw,
    "fig_lab_lambda": sweep.draw,
    "fig_lab_map": failures.draw,
    "fig_lab_chain": chain.draw,
    "fig_lab_any_step": rivals.draw,
}
"""Each returns the drawing and its footnote."""


def make_lab_figure(name: str, lab: str, records: Path, phase: Phase, out_dir: Path) -> list[Path]:
    """Write `{name}.png` and `{name}.pdf`; the same records give the same bytes.

    Args:
        name: one of `salt.config.lab_figures.FIGURES`.
        lab: scale of the lab's mixture; the chain's is the one `beside` it.
        records: `results/lab/records`.
        phase: explore or confirm: whose training seeds.
        out_dir: made where it is missing.

    Raises:
        SaltError: an unknown figure or scale, an arm without records, or broken records.
    """
    arms = load_arms()
    figures = load_lab_figures(arms)
    figures.spec(name)
    scale = load_scale(lab)
    if FIGURES[name] == "chain":
        if scale.beside is None:
            raise SaltError(f"scale {lab}: has no chain beside it, which {name} draws; accepted: a scale with `beside`")
        scale = load_scale(scale.beside)
    context = LabContext(name, figures, arms, scale, records, phase)
    with styled():
        figure, footnote = DRAW[name](context)
        return save(figure, out_dir, name, footnote)
