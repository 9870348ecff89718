"""Rule `guide`: what to read first of all results, their verdicts, files, cost and words."""

from pathlib import Path

from salt.report.guide import make_guide


def run(results: Path, figures: Path, out: Path) -> None:
    """Write the page; arguments as for `make_guide`."""
    make_guide(results, figures, out)
