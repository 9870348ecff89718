"""Cells: exactly what the tables and figures ask for, each once."""

import pytest

from salt.config import load_scale
from salt.evaluation.cells import cells_of
from salt.report.suite import load_suite


def names(experiment, scale="tiny"):
    return [cell.name for cell in cells_of(experiment, experiment, load_scale(scale), 0)]


def test_students():
    assert names("sc_dmd") == [
        *(f"extended_euler_{nfe}" for nfe in (2, 4, 8, 16)),
        *(f"extended_cm_{nfe}" for nfe in (2, 4, 8, 16)),
        "short_cm_4",
    ]


def test_references():
    assert names("teacher") == ["extended_euler_50", "short_euler_50"]
    assert names("teacher", "smoke") == ["extended_euler_8", "short_euler_8"]
    assert names("real") == ["extended_none_0", "short_none_0"]


def test_cells_carry_what_the_records_name():
    cell = cells_of("sc_dmd", "SC-DMD", load_scale("smoke"), 2)[0]
    assert (cell.method, cell.experiment, cell.scale, cell.seed) == ("SC-DMD", "sc_dmd", "smoke", 2)


@pytest.mark.parametrize("scale", ["tiny", "smoke", "paper"])
def test_every_row_of_every_table_is_sampled(scale):
    solver = load_scale(scale).evaluation.main_solver
    rows = [(spec.prompts, row) for spec in load_suite().tables.values() for row in spec.rows]
    assert len(rows) > 5
    for prompts, row in rows:
        assert f"{prompts}_{solver}_{row.nfe}" in names(row.experiment, scale)
