"""Text of a user's that a file's form would read as its own: bars of Markdown tables, formulas of spreadsheets."""

import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from salt.config.load import load_scale
from salt.report.frames import contact_sheet
from salt.report.records import Records
from salt.report.render import csv_cell, markdown_lines, to_csv, to_markdown
from salt.report.tables import build_table
from salt.stages.shared.records import write_csv

HOSTILE = st.text(st.sampled_from("=+-@|\\\t\n`*[]<a1."), max_size=12)


@given(st.lists(st.lists(HOSTILE, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_markdown_table_keeps_its_cells(rows):
    lines = markdown_lines(["One", "a|b", "Two"], rows)
    assert all("\n" not in line for line in lines)
    tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse("\n".join(lines))
    kinds = [token.type for token in tokens]
    assert kinds.count("table_open") == 1
    assert kinds.count("th_open") == 3
    assert (kinds.count("tr_open"), kinds.count("td_open")) == (1 + len(rows), 3 * len(rows))


@given(HOSTILE)
def test_no_text_begins_a_formula(text):
    cell = csv_cell(text)
    assert cell in (text, f"'{text}")
    assert not cell.startswith(("=", "@", "\t"))
    assert cell[:1] not in ("+", "-") or np.isreal(float(cell))


@pytest.mark.parametrize("number", ["-0.25", "+1e-3", "-inf", -0.25, 3, None, "a - b", "", "–"])
def test_numbers_and_plain_text_are_as_they_were(number):
    assert csv_cell(number) == number


def test_records_hold_no_formula_and_the_same_numbers(tmp_path):
    frame = pd.DataFrame({"method": ["=1+1", "SC-DMD"], "value": [-0.5, 2.0], "n": [3, 4], "note": [None, "-x"]})
    write_csv(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "method,value,n,note\n'=1+1,-0.5,3,\nSC-DMD,2.0,4,'-x\n"


def test_a_title_breaks_no_table(make_records, tmp_path):
    """Of a row whose title has a bar and looks like a formula: as many columns in every line, and one CSV cell."""
    writer = make_records(tmp_path, prompts=8, nfe=(4,))
    writer.write_all(["dmd_4", "dmd_8", "sc_dmd"])
    table = build_table("table4", Records(tmp_path, load_scale("tiny")))
    hostile = dataclasses.replace(table, rows=tuple(dataclasses.replace(row, title="=a|b") for row in table.rows))
    lines = [line for line in to_markdown(hostile).splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines[: len(table.rows) + 2]}) == 1
    assert {line["row"] for line in csv.DictReader(io.StringIO(to_csv(hostile))) if not line["baseline"]} == {"'=a|b"}


@pytest.mark.parametrize("caption", [r"costs $\frac{5$", "$" * 7, "x" * 9000, "a\u202eb, 90° / 45°", "\\"])
def test_any_caption_stands_beside_its_video(tmp_path, caption):
    """Two dollars are no formula, and a long caption leaves room for the frames."""
    video = np.full((5, 64, 64, 3), 200, np.uint8)
    contact_sheet([video, video], [caption, "a red square"], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as sheet:
        grey = np.asarray(sheet.convert("L")) == 200
    assert grey.any(axis=0).sum() > 0.3 * sheet.width
