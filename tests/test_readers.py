"""Small files: whatever they hold, they are read, or refused in one line."""

import gzip
import json
import math
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
from salt.readers import MOST, Unreadable, read_json, read_jsonl, read_list, read_rows, read_table, read_text, tail

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


# ---------------------------------------------------------------------------------------------- the rest of the door
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_refused_where_numbers_must_be_finite(tmp_path: Path, number: str) -> None:
    path = tmp_path / "object.json"
    path.write_text(f'{{"score": {number}}}')
    assert not math.isfinite(read_json(path, ACCEPTED)["score"])
    with pytest.raises(Unreadable, match=f"object.json: cannot be read as JSON: it holds {number}; accepted: as a"):
        read_json(path, ACCEPTED, finite=True)


def test_a_list_is_read_as_others_publish_it(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('[{"a": 1, "a": 2}]')
    assert read_list(path, ACCEPTED) == [{"a": 2}]
    path.write_text("{}")
    with pytest.raises(Unreadable, match=f"list.json: a dict in place of a JSON list; accepted: {ACCEPTED}"):
        read_list(path, ACCEPTED)


def test_what_is_no_file_is_another_error_than_one_that_cannot_be_read(tmp_path: Path) -> None:
    """Whoever makes a damaged file anew does not take a pipe for one."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SaltError) as refused:
        read_text(tmp_path / "pipe", ACCEPTED)
    assert not isinstance(refused.value, Unreadable)
    for content in (b"\xff", b"{"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(Unreadable):
            read_json(tmp_path / "file", ACCEPTED)
    with pytest.raises(Unreadable, match=f"^shown: cannot be read: No such file or directory; accepted: {ACCEPTED}$"):
        read_text(tmp_path / "none", ACCEPTED, "shown")


@pytest.mark.parametrize(("size", "most"), [(0, 4), (3, 4), (4, 4), (10, 4)])
def test_the_end_of_a_log_is_its_last_bytes(tmp_path: Path, size: int, most: int) -> None:
    content = bytes(range(250, 250 - size, -1))
    (tmp_path / "log").write_bytes(content)
    assert tail(tmp_path / "log", most) == content[-most:]
