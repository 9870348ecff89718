"""What may stand where something is to be written, made in a folder of the test; never a device of this machine."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest


def _device(path: Path) -> None:
    """A device of numbers that no driver has, so that it leads nowhere."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(60, 0))  # 60 to 63: for local use, none is assigned
    except PermissionError:
        pytest.skip("only root may make a device node")


def _socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the name of a socket may have a hundred letters
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


def _file(path: Path) -> None:
    path.write_text("years of work")


def _folder(path: Path) -> None:
    path.mkdir()
    _file(path / "thesis.tex")


def _link(to: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        to(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")

    return make


OBSTACLES: dict[str, Callable[[Path], None]] = {
    "a device": _device,
    "a socket": _socket,
    "a named pipe": os.mkfifo,
    "a file": _file,
    "a folder": _folder,
    "a link to a file": _link(_file),
    "a link to a folder": _link(_folder),
    "a link to a device": _link(_device),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}
"""In words -> what makes it."""
NEITHER = [name for name in OBSTACLES if name not in ("a file", "a folder")]
"""Those that stand in the way of a file and of a folder."""


def as_messages_say(obstacle: str) -> str:
    return obstacle.split(" to ")[0]


def everything(folder: Path) -> list[tuple[str, int, int, float]]:
    """Name, inode, mode and time of all that lies in a folder, links not followed."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(str(path), state.st_ino, state.st_mode, state.st_mtime) for path, state in found]
