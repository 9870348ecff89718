"""Whatever a video or a picture holds, it is read, or refused in one line, within a second and in bounded memory."""

import io
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salt.data.captions import check_length, read_clip, read_first_frame
from salt.evaluation.sampling.videos import HASHES, Hashes
from salt.evaluation.vbench.elsewhere import form_of
from salt.evaluation.video import check_stored, read_mp4, write_mp4
from support.hostile import accepted_or_told, damaged_bytes
from support.media import corner, write_video

FRAMES = [corner(250 - 20 * i) for i in range(5)]
CONTAINERS = {
    "a.mp4": ("mp4", "libx264"),
    "a.webm": ("webm", "libvpx"),
    "a.mov": ("mov", "mpeg4"),
    "a.avi": ("avi", "mpeg4"),
}
PICTURES = ("PNG", "JPEG", "WEBP", "BMP")


@cache
def video(name: str) -> bytes:
    with TemporaryDirectory() as folder:
        container, codec = CONTAINERS[name]
        return write_video(Path(folder, name), FRAMES, container=container, codec=codec).read_bytes()


@cache
def picture(kind: str) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(corner()).save(file, format=kind, **({} if kind == "BMP" else {"exif": exif}))
    return file.getvalue()


@pytest.mark.parametrize("name", CONTAINERS)
@given(data=st.data())
def test_any_video(tmp_path: Path, name: str, data: st.DataObject) -> None:
    path = tmp_path / name
    path.write_bytes(data.draw(damaged_bytes(video(name)) | st.binary(max_size=100)))
    accepted_or_told(read_clip, path, 3, 8, 48, 64)
    accepted_or_told(check_length, path, 3, 8)
    accepted_or_told(read_first_frame, path, 8, 48, 64)
    accepted_or_told(read_mp4, path, 5)
    accepted_or_told(check_stored, path, 8)
    accepted_or_told(form_of, path)
    assert [one.name for one in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("kind", PICTURES)
@given(data=st.data())
def test_any_picture(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data.draw(damaged_bytes(picture(kind)) | st.binary(max_size=100)))
    accepted_or_told(read_first_frame, path, 8, 48, 64)


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cell")
    for seed in range(3):
        write_mp4(folder / "p0000" / f"{seed}.mp4", np.stack(FRAMES), 8)
    Hashes(folder).add(sorted(folder.rglob("*.mp4")))
    return folder


@given(data=st.data())
def test_any_list_of_hashes(tmp_path_factory: pytest.TempPathFactory, cell: Path, data: st.DataObject) -> None:
    """What it does not say is decoded; a hash that it says of a file is compared."""
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(cell, Path(folder, "cell")))
        (copy / HASHES).write_bytes(data.draw(damaged_bytes((cell / HASHES).read_bytes())))
        whole = Hashes(cell).known
        hashes = Hashes(copy)
        for path in sorted(copy.rglob("*.mp4")):
            name = path.relative_to(copy).as_posix()
            assert hashes.agree(path) == (hashes.known.get(name, whole[name]) == whole[name])
