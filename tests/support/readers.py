"""What a reader may do with a file of somebody else: take it, or refuse it in one line; soon, and nothing else."""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from salt.errors import SaltError

SECONDS, MEMORY, LONGEST = 1.0, 256 << 20, 1000
"""Of the processor; bytes by which the process may grow; letters of a message."""
RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "socket.connect")
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "shutil.rmtree")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_places: list[Path] = []
_seen: list[str] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    """Of Python's audit events: a hook that is added stays for good, so this one looks only while it is asked to."""
    if not _places:
        return
    if event in ("pickle.find_class", *RUNS):
        _seen.append(f"{event} {args}")
    elif event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & _WRITES):
        path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else "/"
        inside = Path(os.path.realpath(path)).is_relative_to(_places[-1])
        if not inside and not path.startswith(("/dev/", "/proc/self/")):
            _seen.append(f"{event} {path}")


sys.addaudithook(_hook)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Nothing is run, unpickled or connected to, and nothing outside a folder is written, while the block runs."""
    _places.append(folder.resolve())
    try:
        yield
    finally:
        _places.pop()
        seen, _seen[:] = list(_seen), []
    assert not seen


def accepts(read: Callable[[], object], folder: Path) -> bool:
    """Whether a reader takes what is there; if it does not, it says so in one line."""
    begun, size = time.process_time(), _memory()
    with watched(folder):
        try:
            read()
            refusal = None
        except SaltError as error:
            refusal = str(error)
    assert time.process_time() - begun < SECONDS
    assert _memory() - size < MEMORY
    if refusal is not None:
        assert refusal.isprintable(), refusal
        assert len(refusal) < LONGEST
    return refusal is None


def _memory() -> int:
    """The most that this process has had, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --------------------------------------------------------------------------------------------- generated
def fewer() -> int:
    """How many cases are tried of what takes longer: a quarter, but for `make soak` all."""
    cases = settings().max_examples
    return cases if cases > settings.get_profile("quick").max_examples else cases // 4


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """A file with bits flipped, bytes replaced, parts cut out or doubled, or its end lost."""
    place = st.integers(0, len(data) - 1)

    def flip(at: int, bit: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]

    def replace(at: int, by: bytes) -> bytes:
        return data[:at] + by + data[at + len(by) :]

    def cut(start: int, end: int) -> bytes:
        return data[: min(start, end)] + data[max(start, end) :]

    def double(start: int, end: int) -> bytes:
        return data[: max(start, end)] + data[min(start, end) :]

    return st.one_of(
        st.builds(flip, place, st.integers(0, 7)),
        st.builds(replace, place, st.binary(min_size=1, max_size=16)),
        st.builds(cut, place, place),
        st.builds(double, place, place),
        place.map(lambda end: data[:end]),
    )


NUMBERS = st.one_of(
    st.integers(-3, 100),
    st.sampled_from([2**31, 2**32, 2**53, 2**60, 2**63, 2**64 - 1, -(2**63), 10**300]),
    st.floats(),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["../x", "/etc/passwd", "a" * 5000, "\x1b[31mred", "a\nb", "\0", "weight_map", "torch.float32"]),
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
"""Values of JSON, with names that lead elsewhere and numbers that no memory holds."""
DEEP = "[" * 100_000, '{"a":' * 100_000, "[" * 500 + "]" * 500
"""Texts that are nested, or begin to be."""


def changed(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object of JSON with some values replaced, left out or added."""
    keys = st.sampled_from(sorted(known))
    replaced = st.dictionaries(keys | TEXTS, JSON, min_size=1, max_size=3)
    without = st.sets(keys, max_size=2)
    return st.builds(
        lambda new, gone: {key: value for key, value in (known | new).items() if key not in gone or key in new},
        replaced,
        without,
    )
