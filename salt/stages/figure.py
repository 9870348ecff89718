"""Rule `figure`: one figure as PNG and PDF, from its records and videos."""

from pathlib import Path

from salt.report.figures import make_figure


def run(name: str, scale: str, records: Path, videos: Path, out: Path, seeds: int | None) -> None:
    """Draw a figure of `experiments/tables.yaml`; arguments as for `make_figure`."""
    make_figure(name, scale, records, videos, out, seeds)
