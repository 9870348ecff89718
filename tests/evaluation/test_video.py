"""Video files: faithful, identical from run to run, whole or absent, and refused in one line where they are broken."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from salt.config.world import World
from salt.data.world import contents_of, render, sample_scene
from salt.errors import SaltError
from salt.evaluation.video import ENCODER, decoded, downscale, encoder, growing_mp4, read_mp4, upscale, write_mp4

WORLD = World()


@pytest.fixture(scope="module")
def clip():
    content = contents_of("report", 2, World())[100]
    return render(sample_scene(content, WORLD, np.random.default_rng(0)), WORLD)


def test_round_trip_through_a_file_is_visually_lossless(clip, tmp_path):
    path = tmp_path / "p0000" / "0.mp4"
    write_mp4(path, upscale(clip, WORLD.video_scale), WORLD.fps)
    decoded = read_mp4(path)
    side = WORLD.size * WORLD.video_scale
    assert decoded.shape == (WORLD.frames, side, side, 3)
    assert decoded.dtype == np.uint8
    error = np.abs(downscale(decoded, WORLD.video_scale) - clip)
    assert error.max() <= 8
    assert error.mean() < 0.2
    assert 10 * np.log10(255**2 / (error**2).mean()) > 52
    assert [p.name for p in path.parent.iterdir()] == ["0.mp4"]


def test_bytes_are_the_same_in_another_process(clip, tmp_path):
    np.save(tmp_path / "clip.npy", upscale(clip, WORLD.video_scale))
    write_mp4(tmp_path / "here.mp4", upscale(clip, WORLD.video_scale), WORLD.fps)
    program = (
        "import numpy, pathlib, sys\nfrom salt.evaluation.video import write_mp4\n"
        "folder = pathlib.Path(sys.argv[1])\nwrite_mp4(folder / 'there.mp4', numpy.load(folder / 'clip.npy'), 16)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    here, there = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("here.mp4", "there.mp4"))
    assert here == there


def test_frame_rate_is_written(clip, tmp_path):
    av = pytest.importorskip("av")
    write_mp4(tmp_path / "a.mp4", upscale(clip, WORLD.video_scale), 12)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.pix_fmt, stream.frames) == (12, "yuv420p", WORLD.frames)


@pytest.mark.parametrize("pieces", [(1, 4, 4), (9,), (1,) * 9])
def test_a_video_that_grows_has_the_same_bytes(clip, tmp_path, pieces):
    video = upscale(clip, WORLD.video_scale)
    write_mp4(tmp_path / "whole.mp4", video, 16)
    with growing_mp4(tmp_path / "grown.mp4", 16) as append:
        for end, frames in zip(np.cumsum(pieces), pieces, strict=True):
            append(video[end - frames : end])
        assert not (tmp_path / "grown.mp4").exists()
    assert (tmp_path / "grown.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert np.array_equal(list(decoded(tmp_path / "grown.mp4")), read_mp4(tmp_path / "whole.mp4"))


@pytest.mark.parametrize("frames", [0, 9])
def test_a_video_that_is_broken_off_leaves_nothing(clip, tmp_path, frames):
    def write():
        with growing_mp4(tmp_path / "a.mp4", 16) as append:
            if frames:
                append(upscale(clip[:frames], WORLD.video_scale))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "video",
    [
        np.zeros((3, 24, 64, 3), np.uint8),
        np.zeros((3, 480, 840, 3), np.uint8),
        np.zeros((3, 64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((0, 64, 64, 3), np.uint8),
        np.zeros((3, 64, 64, 3), np.float32),
    ],
)
def test_what_is_no_storable_video_is_refused(tmp_path, video):
    with pytest.raises(SaltError, match=r"a\.mp4.*accepted"):
        write_mp4(tmp_path / "a.mp4", video, 16)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sides", [(480, 832), (16, 48)])
def test_sides_are_multiples_of_16(tmp_path, sides):
    ramp = np.linspace(0, 255, 3 * sides[0] * sides[1] * 3).reshape(3, *sides, 3).astype(np.uint8)
    write_mp4(tmp_path / "a.mp4", ramp, 16)
    assert np.abs(read_mp4(tmp_path / "a.mp4").astype(float) - ramp).mean() < 2


def test_broken_files_are_refused(clip, tmp_path):
    write_mp4(tmp_path / "whole.mp4", upscale(clip, WORLD.video_scale), 16)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "whole.mp4").read_bytes()[:1500])
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video")
    for name in ("cut", "empty", "text", "absent"):
        with pytest.raises(SaltError, match=rf"{name}\.mp4: cannot be decoded"):
            read_mp4(tmp_path / f"{name}.mp4")


@pytest.mark.parametrize("k", [1, 4, 8])
def test_downscale_undoes_upscale(clip, k):
    assert np.array_equal(downscale(upscale(clip, k), k), clip)


def test_downscale_is_the_block_mean():
    video = np.random.default_rng(0).integers(0, 256, (2, 6, 9, 3)).astype(np.uint8)
    small = downscale(video, 3)
    assert small[1, 1, 2, 0] == pytest.approx(video[1, 3:6, 6:9, 0].mean(), rel=1e-6)
    with pytest.raises(SaltError, match="video_scale=4"):
        downscale(video, 4)


@pytest.mark.parametrize("width", [128, 192, 208, 320])
def test_the_bytes_do_not_depend_on_what_lay_in_memory(tmp_path: Path, width: int) -> None:
    """Widths that are no multiple of eight blocks of 16 pixels, as Wan's 832, among them."""
    video = np.random.default_rng(0).integers(0, 256, (9, 64, width, 3), dtype=np.uint8)
    found = set()
    for i in range(25):
        litter = [np.random.default_rng(i).integers(0, 256, 100_000 + 999 * i, dtype=np.uint8) for _ in range(3)]
        del litter
        write_mp4(tmp_path / "video.mp4", video, 16)
        found.add((tmp_path / "video.mp4").read_bytes())
    assert len(found) == 1


def test_settings_of_the_encoder_are_those_of_older_records_where_they_can_be() -> None:
    assert encoder(128) == encoder(256) == ENCODER
    assert encoder(832) == ENCODER | {"x264-params": "mbtree=0"}
