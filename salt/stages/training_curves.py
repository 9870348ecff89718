"""Rule `training_curves`: what a training took, and how its losses went, as one small record."""

from pathlib import Path

from salt.report.training_curves import make_training_curves


def run(weights: Path, run_dir: Path, out: Path) -> None:
    """Write the record; arguments as for `make_training_curves`."""
    make_training_curves(weights, run_dir, out)
