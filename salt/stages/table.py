"""Rule `table`: one table as CSV, Markdown and LaTeX, from its records."""

from pathlib import Path

from salt.report.tables import make_table


def run(name: str, scale: str, records: Path, seeds: int | None, out: Path) -> None:
    """Write a table of `experiments/tables.yaml`; arguments as for `make_table`."""
    make_table(name, scale, records, seeds, out)
