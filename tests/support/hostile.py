"""Generated damage, and what every reader owes to it: an answer, or one line within a second, in bounded memory."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from salt.errors import LONGEST, SaltError

MOST_MEMORY = 1 << 20
"""kB that the reading of a hostile file may add to this process: a frame of the largest size, a few times."""
PROCESS = Path("/proc/self")


def accepted_or_told(call: Callable[..., Any], *words: Any) -> None:
    """Call a reader: it accepts, or raises SaltError with one line that can be printed."""
    (PROCESS / "clear_refs").write_text("5")  # the peak of memory is counted from here: earlier tests have theirs
    held, begun, told = _peak_memory(), time.process_time(), ""
    try:
        call(*words)
    except SaltError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) <= LONGEST + 5
    assert time.process_time() - begun < 1
    assert _peak_memory() - held < MOST_MEMORY


def _peak_memory() -> int:
    return int(re.search(r"VmHWM:\s*(\d+) kB", (PROCESS / "status").read_text())[1])


@st.composite
def damaged_bytes(draw: st.DrawFn, body: bytes) -> bytes:
    """A file with bits turned, numbers made huge, and bytes put in, taken out or cut off."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        kind = draw(st.sampled_from(("flip", "huge", "put in", "take out", "cut", "repeat")))
        piece = body[start : start + draw(st.integers(1, 40))]
        if kind == "flip" and start < len(body):
            body = body[:start] + bytes([body[start] ^ (1 << draw(st.integers(0, 7)))]) + body[start + 1 :]
        elif kind == "huge":
            body = (
                body[:start]
                + draw(st.sampled_from((b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0" * 4)))
                + body[start + 4 :]
            )
        elif kind == "put in":
            body = body[:start] + draw(st.binary(max_size=20)) + body[start:]
        elif kind == "take out":
            body = body[:start] + body[start + len(piece) :]
        elif kind == "cut" and draw(st.booleans()):
            body = body[:start]
        elif kind == "repeat":
            body = body[:start] + piece * draw(st.integers(1, 200)) + body[start:]
    return body


@st.composite
def damaged_text(draw: st.DrawFn, text: str, pieces: tuple[str, ...]) -> bytes:
    """A text file with pieces put in, taken out or doubled; some of them in another encoding."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 20)))
        put = draw(st.sampled_from((*pieces, *COMMON, text[start:end] * 2, "")))
        text = text[:start] + put + text[end:]
    return text.encode(draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"))), errors="replace")


COMMON = (
    "\0",
    "\x1b[2J",
    "\u2028",
    "\u202e",
    "\ufeff",
    "🐎",
    "é",
    "\r",
    "\n",
    "\r\n",
    " " * 50,
    "x" * 20_000,
    "9" * 5_000,
)
"""Pieces that no text file should hold, or should hold without harm."""
JSON = (
    "[" * 2_000,
    '{"a":' * 2_000,
    "NaN",
    "1e999",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    '"\\ud800"',
    ",",
    ":",
    '"',
    "-0",
)
"""Pieces of JSON."""
