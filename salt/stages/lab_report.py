"""Rule `lab_report`: controls, claims and figures of the lab in one HTML file."""

from pathlib import Path

from salt.report.lab.page import make_lab_report
from salt.report.lab.plan import load_lab


def run(lab: str, results: Path, figures: Path, out: Path) -> None:
    """Write the page; `lab` is the scale, the others are as for `make_lab_report`."""
    make_lab_report(load_lab(lab), results, figures, out)
