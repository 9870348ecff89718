"""Rule `claims`: every claim of the paper against our measurements, as CSV and Markdown."""

from pathlib import Path

from salt.report.claims import make_claims


def run(scale: str, records: Path, out: Path) -> None:
    """Judge the claims; arguments as for `make_claims`."""
    make_claims(scale, records, out)
