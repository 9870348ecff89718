"""The one door for text: files that salt, a user or others wrote, read whole; JSON, JSON lines, CSV, packed or not.

Whatever a file holds, it is read, or refused in one line that names it, its line, what is wrong and what is accepted:
a regular file, in UTF-8, of a bounded size. `tests/architecture/test_reading.py` holds that nobody else reads text.
"""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from salt.errors import SaltError
from salt.files import opened

if TYPE_CHECKING:
    import pandas as pd

MOST = 1 << 28
"""Bytes of the longest text, unpacked; the largest that salt writes has a tenth of it."""
OBJECT = "a JSON object"


class Unreadable(SaltError):
    """A file that is absent, cut off, too long, or not of its format; what is no file at all is another `SaltError`."""


def read_text(path: Path, accepted: str, shown: str = "") -> str:
    """A text in UTF-8; unpacked, of a name that ends in `.gz`.

    Args:
        path: the file.
        accepted: what a message says of the right file, as in "as `salt score` wrote it".
        shown: the file as messages name it; empty: its path.

    Raises:
        Unreadable: there is no such file, or it is cut off, too long, or no text.
        SaltError: it is no regular file.
    """
    place = shown or path
    try:
        with opened(path) as packed, gzip.open(packed) if path.suffix == ".gz" else packed as file:
            data = file.read(MOST + 1)
        if len(data) > MOST:
            raise Unreadable(f"{place}: cannot be read: more than {MOST >> 20} MiB of text; accepted: {accepted}")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(f"{place}: cannot be read: {error.strerror or error}; accepted: {accepted}") from error
    except (EOFError, ValueError, zlib.error) as error:
        raise Unreadable(f"{place}: cannot be read: {error}; accepted: {accepted}") from error


def tail(path: Path, most: int) -> bytes:
    """The end of a log, as it is: at most so many bytes.

    Raises:
        SaltError: it is no regular file.
        OSError: there is none, or it may not be read.
    """
    with opened(path) as file:
        file.seek(max(file.seek(0, io.SEEK_END) - most, 0))
        return file.read(most)


def read_json(path: Path, accepted: str = OBJECT, finite: bool = False) -> dict[str, Any]:
    """A JSON object; arguments and errors as of `read_text`, and `parse_json`."""
    return parse_json(read_text(path, accepted), str(path), accepted, finite)


def read_list(path: Path, accepted: str) -> list[Any]:
    """A JSON list; arguments and errors as of `read_text`, and as `parse_json` for an object."""
    return parse_list(read_text(path, accepted), str(path), accepted)


def read_jsonl(path: Path, accepted: str) -> list[dict[str, Any]]:
    """JSON objects, one a line; arguments and errors as of `read_text`, and `parse_json`."""
    lines = read_text(path, accepted).splitlines()
    return [parse_json(line, f"{path}: line {number}", accepted) for number, line in enumerate(lines, 1)]


def parse_json(text: str, place: str, accepted: str = OBJECT, finite: bool = False) -> dict[str, Any]:
    """The object of a JSON text.

    Args:
        text: the text.
        place: the file, and the line where it has many, for messages.
        accepted: as of `read_text`.
        finite: whether NaN and infinities, which are no JSON, are refused.

    Raises:
        Unreadable: it is not JSON, no object, too deep, or has a key twice.
    """
    value = _parsed(text, place, accepted, finite)
    if not isinstance(value, dict):
        raise Unreadable(f"{place}: {_kind(value)} in place of a JSON object; accepted: {accepted}")
    return value


def parse_list(text: str, place: str, accepted: str) -> list[Any]:
    """The list of a JSON text, without NaN; arguments and errors as of `parse_json`, but for keys that are given twice.

    Lists are published by others, who let the last one count.
    """
    value = _parsed(text, place, accepted, finite=True, unrepeated=False)
    if not isinstance(value, list):
        raise Unreadable(f"{place}: {_kind(value)} in place of a JSON list; accepted: {accepted}")
    return value


def loads(text: str, finite: bool = False, unrepeated: bool = True) -> Any:
    """The value of a JSON text; ValueError where it is not JSON, is too deep, or has a key twice."""
    hook = _unrepeated if unrepeated else None
    try:
        return json.loads(text, object_pairs_hook=hook, parse_constant=_refused if finite else None)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _parsed(text: str, place: str, accepted: str, finite: bool, unrepeated: bool = True) -> Any:
    try:
        return loads(text, finite, unrepeated)
    except ValueError as error:
        raise Unreadable(f"{place}: cannot be read as JSON: {error}; accepted: {accepted}") from error


def _kind(value: Any) -> str:
    return "nothing (null)" if value is None else f"a {type(value).__name__}"


def _refused(name: str) -> None:
    raise ValueError(f"it holds {name}")


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)[:60]!r} is given twice")
    return found


def read_rows(path: Path, columns: Sequence[str], accepted: str) -> list[dict[str, str]]:
    """The lines of a CSV file as texts, by column.

    Args:
        path: the file.
        columns: that must be there.
        accepted: as of `read_text`.

    Raises:
        SaltError: as `read_text`; a column is missing, a line has too few or too many cells, a quote is left open.
    """
    reader = csv.reader(io.StringIO(whole_lines(path, accepted), newline=""), strict=True)
    try:
        head, *lines = [(reader.line_num, line) for line in reader if line] or [(1, [])]
    except csv.Error as error:
        raise SaltError(
            f"{path}: line {reader.line_num}: cannot be read as CSV: {error}; accepted: {accepted}"
        ) from error
    _check_columns(path, head[1], columns, accepted)
    for number, line in lines:
        if len(line) != len(head[1]):
            raise SaltError(f"{path}: line {number}: {len(line)} cells of {len(head[1])}; accepted: {accepted}")
    return [dict(zip(head[1], line, strict=True)) for _, line in lines]


def read_table(
    path: Path,
    columns: Sequence[str],
    accepted: str,
    texts: Sequence[str] = (),
    numbers: Sequence[str] = (),
    delimiter: str = ",",
) -> "pd.DataFrame":
    """A CSV file of measurements; empty cells of texts are empty texts.

    Args:
        path: the file.
        columns: that must be there.
        accepted: as of `read_text`.
        texts: columns that are taken as they are.
        numbers: columns that hold finite numbers.
        delimiter: between two cells.

    Raises:
        SaltError: as `read_rows`; a number is none, or not finite.
    """
    import pandas as pd

    text = whole_lines(path, accepted)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=dict.fromkeys(texts, str), keep_default_na=False)
    except (ValueError, OverflowError) as error:
        raise SaltError(
            f"{path}: cannot be read as CSV: {' '.join(str(error).split())}; accepted: {accepted}"
        ) from error
    _check_columns(path, list(frame.columns), columns, accepted)
    if len(frame) != text.rstrip().count("\n") or not isinstance(frame.index, pd.RangeIndex):
        raise SaltError(f"{path}: cannot be read as CSV: a quote or a line is broken; accepted: {accepted}")
    for column in numbers:
        values = pd.to_numeric(frame[column], errors="coerce").astype(float)
        for place in [place for place, value in enumerate(values) if not math.isfinite(value)][:1]:
            found = str(frame[column].iloc[place])[:60] or "nothing"
            raise SaltError(f"{path}: line {place + 2}: {column} = {found}; accepted: a finite number")
    return frame


def whole_lines(path: Path, accepted: str) -> str:
    """A text whose last line was not cut off: half a number is a number; arguments and errors as of `read_text`."""
    text = read_text(path, accepted)
    if not text.endswith("\n"):
        reason = "it ends in the middle of a line" if text else "it is empty"
        raise SaltError(f"{path}: cannot be read as CSV: {reason}; accepted: {accepted}")
    return text


def _check_columns(path: Path, found: Sequence[str], wanted: Sequence[str], accepted: str) -> None:
    if missing := [column for column in wanted if column not in found]:
        raise SaltError(f"{path}: no column {', '.join(missing)}; accepted: {', '.join(wanted)}, {accepted}")
