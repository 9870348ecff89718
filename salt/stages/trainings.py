"""Rule `trainings`: what the trainings of a scale took, and their learning curves, as one small record."""

from pathlib import Path

from salt.report.trainings import make_trainings


def run(weights: Path, runs: Path, out: Path) -> None:
    """Write the record; arguments as for `make_trainings`."""
    make_trainings(weights, runs, out)
