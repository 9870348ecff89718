"""Rule `report`: claims, tables and figures of a scale in one HTML file."""

from pathlib import Path

from salt.report.page.of_scale import make_report


def run(scale: str, results: Path, figures: Path, out: Path) -> None:
    """Write the page; arguments as for `make_report`."""
    make_report(scale, results, figures, out)
