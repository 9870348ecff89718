"""Every number that the paper publishes has ours beside it in the committed results."""

from pathlib import Path

import pandas as pd
import pytest

from salt.config.load import load_scale
from salt.config.paper import paper_values
from salt.report.records import Records
from salt.report.suite import load_suite

RESULTS = Path(__file__).parents[2] / "results"
TABLES = sorted(load_suite().tables.keys() & {value.table for value in paper_values()})


def test_the_paper_has_tables_1_to_5_and_a1():
    assert TABLES == ["table1", "table2", "table3", "table4", "table5", "tableA1"]


@pytest.mark.parametrize("name", TABLES)
def test_no_row_of_the_paper_is_missing(name):
    scale = "tiny_i2v" if load_suite().tables[name].first_frame else "tiny"
    table = pd.read_csv(RESULTS / scale / "tables" / f"{name}.csv")
    ours = table[table["ours"].notna()]
    there = set(ours[["experiment", "nfe", "metric"]].itertuples(index=False, name=None))
    wanted = {(value.experiment, value.nfe, value.metric) for value in paper_values() if value.table == name}
    assert not wanted - there


def test_nor_is_a_bar_of_its_figure():
    records = Records(RESULTS / "tiny" / "records", load_scale("tiny"))
    for value in paper_values():
        if value.table == "figA1":
            assert records.seeds("defect", value.experiment, range(1)), value.row
