"""Rule `lab_table`: the lab's controls or its claims as CSV, Markdown and LaTeX, from its records."""

from pathlib import Path

from salt.report.lab.plan import arm_titles, load_lab
from salt.report.lab.tables import make_lab_table


def run(name: str, lab: str, records: Path, out: Path) -> None:
    """Write `lab_controls` or `lab_claims`; `lab` is the scale, the others are as for `make_lab_table`."""
    make_lab_table(name, load_lab(lab), records, out, arm_titles(lab))
