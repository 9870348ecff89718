"""Rule `lab_figure`: one figure of the lab as PNG and PDF, from its records."""

from pathlib import Path
from typing import Literal

from salt.report.lab.figures import make_lab_figure


def run(name: str, lab: str, records: Path, phase: Literal["explore", "confirm"], out: Path) -> None:
    """Draw a figure of `experiments/lab/figures.yaml`; arguments as for `make_lab_figure`."""
    make_lab_figure(name, lab, records, phase, out)
