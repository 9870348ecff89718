"""Folders and files that appear whole: they replace their own kind, and nothing else."""

from pathlib import Path

import pytest

from salt.errors import SaltError
from salt.files import whole_folder, write_text
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
