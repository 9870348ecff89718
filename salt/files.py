"""Writing that is whole or absent: files and folders appear under their name only when they are complete.

The temporary name lies beside the final one (same file system, so the rename is atomic) and is fixed, so that what a
killed process left behind is cleared by the next attempt.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends without an error, and is removed otherwise.

    Everything in it is flushed to the disk before the rename. An existing `folder` is replaced.
    """
    temporary, old = unfinished(folder), folder.with_name(f".{folder.name}.old")
    for left in (temporary, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            flush(path)
        if folder.exists():
            os.replace(folder, old)
        os.replace(temporary, folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def unfinished(folder: Path) -> Path:
    """Where `whole_folder` keeps a folder until it is complete, for other processes that write into it."""
    return folder.with_name(f".{folder.name}.tmp")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends without an error, and is removed otherwise."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file as a whole."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def flush(path: Path) -> None:
    """Wait until a file (or the names in a folder) is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
