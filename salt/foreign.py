"""Files that others made: regular ones, and what is wrong with them said in one line."""

import re
from pathlib import Path

from salt.errors import SaltError

_ESCAPE_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def one_line(text: object, most: int = 160) -> str:
    """Foreign text as it may stand in a message: without escape codes and line breaks, and no longer than `most`."""
    plain = _ESCAPE_CODE.sub("", str(text)[: 10 * most])
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in plain).split())
    return words if len(words) <= most else f"{words[: most - 3]}..."


def is_of_a_library(error: BaseException) -> bool:
    """Whether an error is not of the person who stops the program; a panic of Rust code is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def reason(error: BaseException) -> str:
    """What an error of a library says, in one line; its type if it says nothing."""
    return one_line(error) or type(error).__name__


def check_file(path: Path) -> None:
    """Refuse what is no regular file, nor a link to one: a named pipe would be waited for without end.

    Raises:
        SaltError: it is missing, or something else.
    """
    try:
        if path.is_file():
            return
        there = path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise SaltError(f"{one_line(path)}: a file is expected: {reason(error)}") from error
    raise SaltError(f"{path}: a file is expected; {'this is none' if there else 'there is none'}")
