"""Folders and files that appear whole: they replace their own kind, and nothing else."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from salt.errors import SaltError
from salt.files import whole_file, whole_folder, write_text
from support.obstacles import NEITHER, OBSTACLES, as_messages_say, everything


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
