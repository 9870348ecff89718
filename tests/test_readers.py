"""Small files: whatever they hold, they are read, or refused in one line."""

import gzip
import json
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.errors import SaltError
from salt.readers import MOST, read_json, read_jsonl, read_rows, read_table, read_text

ACCEPTED = "as a test wrote it"
TABLE = "name,value\n" + "".join(f"video {i},{i / 7}\n" for i in range(40))
OBJECT = json.dumps({"seed": 0, "weights": {"a": "b" * 20}, "times": [1.5, None, True]})
READERS: dict[str, Callable[[Path], Any]] = {
    "object.json": lambda path: read_json(path, ACCEPTED),
    "lines.jsonl": lambda path: read_jsonl(path, ACCEPTED),
    "rows.csv": lambda path: read_rows(path, ["name", "value"], ACCEPTED),
    "table.csv": lambda path: read_table(path, ["name", "value"], ACCEPTED, ["name"], ["value"]),
    "table.csv.gz": lambda path: read_table(path, ["name", "value"], ACCEPTED, ["name"], ["value"]),
}
RIGHT = {
    "object.json": OBJECT.encode(),
    "lines.jsonl": (OBJECT + "\n").encode() * 8,
    "rows.csv": TABLE.encode(),
    "table.csv": TABLE.encode(),
    "table.csv.gz": gzip.compress(TABLE.encode(), mtime=0),
}


def refusal(name: str, path: Path) -> str:
    """The one line with which a file is refused; empty where it is read."""
    try:
        READERS[name](path)
    except SaltError as error:
        line = str(error)
        assert "\n" not in line
        assert line.startswith(str(path))
        assert line.count("accepted: ") == 1
        assert len(line) < 500
        return line
    return ""


@pytest.mark.parametrize("name", READERS)
def test_what_is_right_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(RIGHT[name])
    assert refusal(name, tmp_path / name) == ""


def test_a_table_is_what_pandas_reads(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    pd.testing.assert_frame_equal(READERS["table.csv"](tmp_path / "table.csv"), pd.read_csv(tmp_path / "table.csv"))


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_whatever_is_damaged_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    right = RIGHT[name]
    start, stop = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(right))])))
    bad = right[:start] + data.draw(st.one_of(st.binary(max_size=40), st.just(b""))) + right[stop:]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(bad)
    refusal(name, path)


@pytest.mark.parametrize("name", ["object.json", "lines.jsonl"])
@given(value=st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(string.printable),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_any_json_is_an_object_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(json.dumps(value) + "\n")
    assert (refusal(name, path) == "") == isinstance(value, dict)


WRONG = {
    "half a gzip": ("table.csv.gz", RIGHT["table.csv.gz"][:60], "cannot be read: Compressed file ended"),
    "no gzip": ("table.csv.gz", TABLE.encode(), "cannot be read: Not a gzipped file"),
    "no text": ("rows.csv", b"name,value\n\xff,1\n", "cannot be read: 'utf-8' codec can't decode byte 0xff"),
    "a text for a number": ("table.csv", b"name,value\na,1.5\nb,much\n", "line 3: value = much; accepted: a finite"),
    "no number": ("table.csv", b"name,value\na,1.5\nb,\n", "line 3: value = nothing; accepted: a finite number"),
    "infinite": ("table.csv", b"name,value\na,inf\n", "line 2: value = inf; accepted: a finite number"),
    "a cell too few": ("rows.csv", b"name,value\na\n", "line 2: 1 cells of 2"),
    "a cell too many": ("table.csv", b"name,value\na,1,2\n", "cannot be read as CSV"),
    "an open quote": ("table.csv", b'name,value\n"a,1\nb,2\n', "cannot be read as CSV"),
    "an open quote in rows": ("rows.csv", b'name,value\n"a,1\nb,2\n', "cannot be read as CSV"),
    "two lines in quotes": ("table.csv", b'name,value\n"a,1\nb",2\n', "a quote or a line is broken"),
    "the end of a number": ("table.csv", TABLE.encode()[:-3], "ends in the middle of a line"),
    "a column": ("table.csv", b"name\na\n", "no column value"),
    "nothing": ("table.csv", b"", "it is empty"),
    "deep": ("object.json", b"[" * 100_000, "cannot be read as JSON: nested too deep"),
    "null": ("object.json", b"null", "nothing (null) in place of a JSON object"),
    "a list": ("object.json", b"[1]", "a list in place of a JSON object"),
    "a key twice": ("object.json", b'{"seed": 0, "seed": 1}', "key 'seed' is given twice"),
    "many digits": ("object.json", b'{"seed": ' + b"9" * 10_000 + b"}", "cannot be read as JSON: Exceeds the limit"),
    "a line of many": ("lines.jsonl", b'{"step": 1}\n{"step": \n', "line 2: cannot be read as JSON"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, case: str) -> None:
    name, content, told = WRONG[case]
    (tmp_path / name).write_bytes(content)
    assert told in refusal(name, tmp_path / name)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(bytes(MOST + 1), compresslevel=1))
    assert "more than 256 MiB of text" in refusal("table.csv.gz", tmp_path / "table.csv.gz")


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "object.json")
    assert "; accepted: a file" in refusal("object.json", tmp_path / "object.json")
    (tmp_path / "rows.csv").mkdir()
    assert "; accepted: a file" in refusal("rows.csv", tmp_path / "rows.csv")
    with pytest.raises(SaltError, match="No such file or directory; accepted: as a test wrote it"):
        read_text(tmp_path / "absent", ACCEPTED)
