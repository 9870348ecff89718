"""Writing that is whole or absent, and reading that never waits.

Files and folders appear under their name only when they are complete.

The temporary name lies beside the final one (same file system, so the rename is atomic) and is fixed, so that what a
killed process left behind is cleared by the next attempt; a second process that writes the same waits for the first,
and then replaces it. What is replaced is a folder or a file, each by its own kind: never a device, a socket, a named
pipe or a link, which would be lost to whoever else uses it. An error of the system names the path.
Files get the mode that the umask says, whoever wrote them: safetensors gives its own to their owner alone.

What is read is a regular file: a named pipe would be waited for without end, a device read without end.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

from salt.errors import SaltError

Kind = Literal["folder", "file"]
READ_WRITE = 0o666
KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "named pipe",
}
"""What a path leads to, by the type in its mode; all others are devices."""


def in_the_way(path: Path, wanted: Kind) -> str | None:
    """What stands where a folder or a file is to be written; None where one of that kind does, or nothing.

    A link is in the way wherever it leads: replaced, it would be lost. Above the path links are followed.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        return None if above.is_dir() else f"{above}, which is no folder,"
    found = KINDS.get(stat.S_IFMT(mode), "device")
    return None if found == wanted else f"a {found}"


def try_to_write(path: Path) -> None:
    """Write a byte where a file or folder of this name would be made, and in the folder itself if it is there.

    It has no name there, so nothing of it is seen or left.

    Raises:
        OSError: naming the folder, or a name that is too long.
    """
    path = path.absolute()
    above = next(folder for folder in path.parents if folder.is_dir())
    longest = os.pathconf(above, "PC_NAME_MAX")
    for part in (*path.relative_to(above).parts[:-1], unfinished(path).name):
        if len(os.fsencode(part)) > longest:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), part)
    for folder in (above, path) if path.is_dir() else (above,):
        with naming(folder), TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"0")


def _check(path: Path, wanted: Kind) -> None:
    if found := in_the_way(path, wanted):
        raise SaltError(f"{path}: {found} is in the way; accepted: a {wanted}, or a name that is new")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends without an error, and is removed otherwise.

    Everything in it is flushed to the disk before the rename. An existing `folder` is replaced.

    Raises:
        SaltError: what stands there is no folder, before the block or after it.
    """
    _check(folder, "folder")
    temporary, old = unfinished(folder), folder.with_name(f".{folder.name}.old")
    with naming(folder), _alone(temporary, lambda: temporary.mkdir(parents=True, exist_ok=True)):
        try:
            for left in (*temporary.iterdir(), old):
                _remove(left)
            mode = temporary.stat().st_mode & READ_WRITE
            yield temporary
            for path in [*temporary.rglob("*"), temporary]:
                if path.is_file() and not path.is_symlink():
                    path.chmod(mode)
                flush(path)
            _check(folder, "folder")
            if folder.exists():
                os.replace(folder, old)
            os.replace(temporary, folder)
        except BaseException:  # not after the renaming: then what lies there is another process's
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
        flush(folder.parent)


def unfinished(path: Path) -> Path:
    """Where a folder or file is until it is complete; for other processes that write into the folder."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def _alone(temporary: Path, make: Callable[[], None]) -> Iterator[None]:
    """Make what is unfinished and hold it, after waiting for another process that does.

    The system's lock, which ends with its process. Where a file system has none (some networks'), nothing is held.
    """
    descriptor = _held(temporary, make)
    while descriptor is None:  # the other process has renamed it meanwhile
        descriptor = _held(temporary, make)
    try:
        yield
    finally:
        os.close(descriptor)


def _held(temporary: Path, make: Callable[[], None]) -> int | None:
    """The descriptor of what is unfinished, locked; None if it has another name by now."""
    make()
    try:
        descriptor = os.open(temporary, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if os.path.samestat(temporary.lstat(), os.fstat(descriptor)):
            return descriptor
    os.close(descriptor)
    return None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name this path where it names none, as where a write finds the disk full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    except SaltError:
        raise
    except Exception as error:
        if (number := _failed_write(error)) is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


_NO_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def _failed_write(error: BaseException | None) -> int | None:
    """The system's number of a failed write that a library tells in an error of its own; None: it is another error.

    Libraries in Rust (safetensors, tokenizers) have it in their text; others (Matplotlib, torch) fail once more in
    closing what they could not write.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_WRITE:
            return error.errno
        if found := re.search(r"\(os error (\d+)\)", str(error)):
            return int(found[1])
        error = error.__context__
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends without an error, and is removed otherwise.

    Raises:
        SaltError: what stands there is no regular file, before the block or after it.
    """
    _check(path, "file")
    temporary = unfinished(path)
    with naming(path), _alone(temporary, temporary.touch):
        try:
            mode = temporary.stat().st_mode & READ_WRITE
            yield temporary
            temporary.chmod(mode)
            flush(temporary)
            _check(path, "file")
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


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


# ------------------------------------------------------------------------------------------------ reading
def opened(path: Path) -> BufferedReader:
    """Open an input file, or what a link to one leads to.

    Raises:
        SaltError: what stands there is no regular file; it is not opened, so that nothing waits for it.
        OSError: nothing stands there, or it may not be read.
    """
    found = KINDS.get(stat.S_IFMT(path.stat().st_mode), "device")
    if found != "file":
        raise SaltError(f"{path}: a {found} stands there; accepted: a file")
    return open(path, "rb", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # does not wait, should a pipe have taken the file's place


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
