"""docs/systems.md names every row, and none that is not there."""

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTS = {"teacher", "ode_init", "ode_init_framewise", "ar_teacher_framewise", "causal_ode_framewise"}
"""What no system is named after."""


def test_every_row_is_named_and_every_name_is_a_row():
    rows = {path.stem for path in (ROOT / "experiments").glob("*.yaml") if "title:" in path.read_text()}
    rows -= {"tables", "claims", "paper_values"}
    text = (ROOT / "docs" / "systems.md").read_text()
    cells = [
        cells.split("|")[2]
        for cells in text.splitlines()
        if cells.startswith("| ") and not cells.startswith("| system")
    ]
    named = {name for cell in cells for name in re.findall(r"`([a-z][a-z0-9_*]*)`", cell)}
    assert not {name for name in named if not any(fnmatch(row, name) for row in rows)}
    told = {row for row in rows if any(fnmatch(row, name) for name in named)}
    ablations = {row for row in rows if re.match(r"(salt_)?causal_forcing_", row) or row.endswith("_cache_gradient")}
    assert rows - told - ablations - STARTS == set()
