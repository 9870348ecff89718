"""Folders and files that appear whole: they replace their own kind, and nothing else."""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from salt.errors import SaltError
from salt.files import whole_file, whole_folder, write_text
from support.obstacles import NEITHER, OBSTACLES, as_messages_say, everything
from support.tiny import wait_for


@pytest.mark.parametrize("obstacle", [*NEITHER, "a file"])
def test_a_folder_replaces_folders_alone(tmp_path: Path, obstacle: str) -> None:
    OBSTACLES[obstacle](tmp_path / "place")
    before = everything(tmp_path)
    with (
        pytest.raises(SaltError, match=f"place: {as_messages_say(obstacle)} is in the way"),
        whole_folder(tmp_path / "place"),
    ):
        pytest.fail("work was begun")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("obstacle", [*NEITHER, "a folder"])
def test_a_file_replaces_files_alone(tmp_path: Path, obstacle: str) -> None:
    OBSTACLES[obstacle](tmp_path / "place")
    before = everything(tmp_path)
    with pytest.raises(SaltError, match=f"place: {as_messages_say(obstacle)} is in the way"):
        write_text(tmp_path / "place", "new")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("obstacle", NEITHER)
def test_what_appears_during_the_work_is_not_replaced_either(tmp_path: Path, obstacle: str) -> None:
    def work() -> None:
        with whole_folder(tmp_path / "place") as folder:
            (folder / "weights").write_text("new")
            OBSTACLES[obstacle](tmp_path / "place")

    with pytest.raises(SaltError, match=f"place: {as_messages_say(obstacle)} is in the way"):
        work()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "what was begun is left"


def test_its_own_kind_is_replaced_as_a_whole(tmp_path: Path) -> None:
    OBSTACLES["a folder"](tmp_path / "folder")
    with whole_folder(tmp_path / "folder") as folder:
        (folder / "weights").write_text("new")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["weights"]
    OBSTACLES["a file"](tmp_path / "file")
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_link_above_leads_on(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "scratch").symlink_to("large")
    with whole_folder(tmp_path / "scratch" / "weights"):
        pass
    assert (tmp_path / "large" / "weights").is_dir()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_files_have_the_mode_that_the_umask_says(tmp_path: Path, mask: int) -> None:
    """Weights too, which safetensors writes for their owner alone; what is linked keeps its own."""
    (tmp_path / "released").touch(mode=0o600)
    with umask(mask):
        with whole_folder(tmp_path / "folder") as folder:
            (folder / "part").mkdir()
            save_file({"a": torch.zeros(1)}, folder / "part" / "weights.safetensors")
            (folder / "link").symlink_to(tmp_path / "released")
        with whole_file(tmp_path / "latents.safetensors") as temporary:
            save_file({"a": torch.zeros(1)}, temporary)
        write_text(tmp_path / "text", "new")
    made = ["folder/part/weights.safetensors", "latents.safetensors", "text"]
    assert {mode(tmp_path / name) for name in made} == {0o666 & ~mask}
    assert mode(tmp_path / "folder" / "part") == 0o777 & ~mask
    assert mode(tmp_path / "released") == 0o600


# ------------------------------------------------------------------------------------- two at once, and the disk
def waits(writes: Callable[[str], None], begun: Callable[[], bool]) -> None:
    """Two threads write one place; the second begins while the first is at it."""
    first = threading.Thread(target=writes, args=("first",))
    first.start()
    wait_for(begun)
    second = threading.Thread(target=writes, args=("second",))
    second.start()
    for thread in (first, second):
        thread.join(30)
        assert not thread.is_alive()


def test_a_second_process_waits_for_the_first_and_then_replaces_its_file(tmp_path: Path) -> None:
    order: list[str] = []

    def write(text: str) -> None:
        with whole_file(tmp_path / "file") as temporary:
            order.append(f"{text} begins")
            temporary.write_text(text)
            time.sleep(0.2)
            assert temporary.read_text() == text
        order.append(f"{text} ends")

    waits(write, lambda: bool(order))
    assert order.index("second begins") > order.index("first begins")
    assert (tmp_path / "file").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_second_process_waits_for_the_first_and_then_replaces_its_folder(tmp_path: Path) -> None:
    begun: list[str] = []

    def write(text: str) -> None:
        with whole_folder(tmp_path / "folder") as temporary:
            assert not list(temporary.iterdir())
            begun.append(text)
            (temporary / text).touch()
            time.sleep(0.2)

    waits(write, lambda: bool(begun))
    assert begun == ["first", "second"]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".folder.tmp" / "part").mkdir(parents=True)
    (tmp_path / ".folder.tmp" / "part" / "old").touch()
    (tmp_path / ".file.tmp").write_text("old")
    with whole_folder(tmp_path / "folder") as folder:
        (folder / "new").touch()
    write_text(tmp_path / "file", "new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "new"]
    assert (tmp_path / "file").read_text() == "new"


def rusts() -> None:
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def in_closing() -> None:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    finally:
        raise RuntimeError("unexpected pos 170880 vs 170768")


def without_a_name() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fails", [rusts, in_closing, without_a_name])
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_failed_write_names_the_place_whatever_error_a_library_makes_of_it(
    tmp_path: Path, fails: Callable[[], None], whole: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught, whole(tmp_path / "place"):
        fails()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "place"))
    assert not list(tmp_path.iterdir())


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"), whole_file(tmp_path / "place"):
        raise RuntimeError("a bug")
    with pytest.raises(SaltError, match="a mistake"), whole_file(tmp_path / "place"):
        raise SaltError("a mistake")
