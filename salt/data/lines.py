"""Files of captions as people have them: one a line, JSON lines, or a table.

`.txt` (or no ending): a caption a line. `.jsonl`: an object a line. `.csv` and `.tsv`: a table whose first row names
its columns. In the last two the caption is under the first of `CAPTION` that is there. All are UTF-8, with or without a
byte order mark, their lines ended as on any system; blank lines are passed over. A bad line is named and left out, so
that one of a thousand does not refuse the others; the numbers of the good ones stay those of the file.
"""

import csv
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from salt.errors import SaltError
from salt.files import opened
from salt.readers import loads

Row = dict[str, Any]
Found = tuple[str, int, Row | str]
"""Where in a file (`line 3`), its number from 0, and what stands there, or why that is nothing."""
T = TypeVar("T")
CAPTION = ("caption", "prompt", "text")
LONGEST = 10_000
"""Most characters of a caption: many times what a text encoder reads of it."""
LONGEST_LINE = 1 << 20
"""Bytes."""
NAMED = 20
"""How many bad lines are named one by one."""
ACCEPTED = (
    f"accepted: UTF-8, in .txt a caption a line, in .jsonl an object a line, or a .csv with a column {CAPTION[0]} "
    f"({', '.join(CAPTION[1:])})"
)
_CONTROL = {*map(chr, range(32)), "\x7f"} - {"\t"}
_log = logging.getLogger(__name__)


def read_lines(path: Path, make: Callable[[str, int, Row], T], most: int | None = None) -> list[T]:
    """What `make` makes of the lines of a file of captions; bad ones are named in the log and left out.

    Args:
        path: the file.
        make: (place, number from 0, row) -> what is wanted; `row["caption"]` is a checked caption. It raises SaltError
            for a bad line.
        most: good lines to read; None: all.

    Raises:
        SaltError: the file is missing, is no file of captions, or has no good line, which are then named.
    """
    good: list[T] = []
    bad: list[str] = []
    try:
        with opened(path) as file:
            for where, number, found in _reader(path)(file):
                if most is not None and len(good) == most:
                    break
                place = f"{path}: {where}"
                try:
                    good.append(make(place, number, _checked(place, found)))
                except SaltError as error:
                    bad.append(str(error))
    except (OSError, ValueError, csv.Error) as error:
        raise SaltError(f"{path}: {error}; {ACCEPTED}") from error
    if not good:
        several = f" (and {len(bad) - 1} lines more)" if len(bad) > 1 else ""
        raise SaltError(f"{bad[0]}{several}" if bad else f"{path}: no caption; {ACCEPTED}")
    for fault in bad[:NAMED]:
        _log.warning("left out: %s", fault)
    if bad:
        _log.warning("%s: %d captions, and %d bad lines left out", path, len(good), len(bad))
    return good


def check_caption_text(place: str, text: object) -> str:
    """Refuse what is no caption, and return any other unchanged: what it means is for the encoder's own cleaning.

    Args:
        place: file and line of the text, for the message.
        text: the caption.

    Raises:
        SaltError: it is no text, empty, too long, or holds control characters or halves of characters.
    """
    accepted = f"accepted: 1 to {LONGEST} characters of text in one line"
    if not isinstance(text, str):
        raise SaltError(f"{place}: the caption is a {type(text).__name__}; {accepted}")
    if not text.strip() or len(text) > LONGEST:
        raise SaltError(f"{place}: {len(text.strip())} characters; {accepted}")
    for number, character in enumerate(text, start=1):
        if character in _CONTROL or "\ud800" <= character <= "\udfff":
            raise SaltError(f"{place}: character {number} is U+{ord(character):04X}; {accepted}")
    return text


def beside(place: str, folder: Path, name: object) -> Path:
    """The file that a row names, by its place from the folder of the captions or in full.

    Raises:
        SaltError: there is none.
    """
    try:
        found = isinstance(name, str) and (folder / name).is_file()
    except OSError:  # a name too long
        found = False
    if not found:
        raise SaltError(f"{place}: there is no file {str(name)[:200]!r}; accepted: one in {folder}, or a full path")
    return folder / str(name)


def _checked(place: str, found: Row | str) -> Row:
    """A row whose caption is under `caption`."""
    if isinstance(found, str):
        raise SaltError(f"{place}: {found}; {ACCEPTED}")
    named = {str(key).strip().lower(): value for key, value in found.items()}
    column = next((name for name in CAPTION if name in named), None)
    if column is None:
        raise SaltError(f"{place}: no {', '.join(CAPTION)} among {', '.join(named) or 'nothing'}; {ACCEPTED}")
    return named | {CAPTION[0]: check_caption_text(place, named[column])}


# --------------------------------------------------------------------------------------------- the formats
def _reader(path: Path) -> Callable[[BinaryIO], Iterator[Found]]:
    readers: dict[str, Callable[[BinaryIO], Iterator[Found]]] = {
        "": _texts,
        ".txt": _texts,
        ".jsonl": _objects,
        ".csv": lambda file: _table(file, ","),
        ".tsv": lambda file: _table(file, "\t"),
    }
    if path.suffix.lower() not in readers:
        raise SaltError(f"{path}: a file of captions ends in {', '.join(filter(None, readers))}; {ACCEPTED}")
    return readers[path.suffix.lower()]


def _raw(file: BinaryIO) -> Iterator[tuple[int, str | ValueError]]:
    """Number from 0 and text of every line that is not blank."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        long = len(line) == LONGEST_LINE
        while long and not line.endswith(b"\n") and (line := file.readline(LONGEST_LINE)):
            pass
        try:
            text = line.decode("utf-8" if number else "utf-8-sig").strip("\r\n")
        except ValueError as error:
            yield number, error
        else:
            if long:
                yield number, ValueError(f"longer than {LONGEST_LINE} bytes")
            elif text.strip():
                yield number, text
        number += 1


def _texts(file: BinaryIO) -> Iterator[Found]:
    for number, text in _raw(file):
        yield f"line {number + 1}", number, str(text) if isinstance(text, ValueError) else {CAPTION[0]: text}


def _objects(file: BinaryIO) -> Iterator[Found]:
    for number, text in _raw(file):
        try:
            if isinstance(text, ValueError):
                raise text
            row = loads(text, unrepeated=False)
        except ValueError as error:
            row = str(error)
        else:
            row = row if isinstance(row, dict) else f"a {type(row).__name__}, no object"
        yield f"line {number + 1}", number, row


def _table(file: BinaryIO, delimiter: str) -> Iterator[Found]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    rows = csv.DictReader(text, delimiter=delimiter, strict=True)
    named = [name.strip().lower() for name in rows.fieldnames or ()]
    if not set(named) & set(CAPTION):
        raise ValueError(f"its first row names the columns {', '.join(named)[:60] or 'nothing'}")
    for number, row in enumerate(rows):
        yield f"row {number + 1}", number, row if None not in row else "more cells than columns"
