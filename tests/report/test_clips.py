"""The sheet of videos holds every video that the figures show, frame by frame."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.evaluation.video import downscale, read_mp4
from salt.report.clips import LONGEST_SIDE, MOST_FRAMES, _small, make_clips, sheet, shown
from salt.report.page.clips import read_clips

SCALE = load_scale("tiny")


@pytest.fixture(scope="module")
def made(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("clips")
    make_clips("tiny", videos, out)
    return out


def test_every_row_is_its_video(made, videos):
    index = json.loads((made / "clips.json").read_text())
    picture = np.asarray(Image.open(made / "clips.webp"))
    height, width = index["height"], index["width"]
    assert len(index["videos"]) == 4 * len(shown(SCALE))
    for row, video in enumerate(index["videos"]):
        way = "euler" if video["experiment"] == "teacher" else "cm"
        cell = videos / video["experiment"] / "seed0" / f"extended_{way}_{video['nfe']}"
        stored = downscale(read_mp4(cell / video["caption"] / "0.mp4"), SCALE.video_scale)
        line = picture[row * height : (row + 1) * height]
        frames = [line[:, place * width : (place + 1) * width] for place in range(index["frames"])]
        assert np.array_equal(np.stack(frames), np.rint(stored))


def test_the_same_videos_give_the_same_bytes(made, videos, tmp_path):
    for path in make_clips("tiny", videos, tmp_path):
        assert path.read_bytes() == (made / path.name).read_bytes()


def test_image_to_video_has_its_own(videos, tmp_path):
    make_clips("tiny_i2v", videos, tmp_path)
    clips = read_clips(load_scale("tiny_i2v"), tmp_path)
    assert clips.blocks[0].rows[0].method == "DMD-4"
    assert clips.steps == (2, 4, 8)
    assert clips.blocks[0].reference is None
    assert all(clip is not None for row in clips.blocks[0].rows for clip in row.clips)


def test_a_missing_video_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(SaltError, match=r"0.mp4: clips shows this video, and there is none"):
        make_clips("tiny", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_large_videos_are_made_smaller():
    video = np.random.default_rng(0).integers(0, 256, (81, 480, 832, 3), dtype=np.uint8)
    small = _small(video, 13)
    assert small.shape == (MOST_FRAMES, 36, LONGEST_SIDE, 3)
    assert small[0, 0, 0] == pytest.approx(video[0, :13, :13].mean(axis=(0, 1)), abs=0.5)
    assert Image.open(io.BytesIO(sheet([small, small], lossless=False))).size == (MOST_FRAMES * 64, 72)


def test_a_sheet_without_its_index_is_refused(made, tmp_path):
    assert read_clips(SCALE, tmp_path) is None
    (tmp_path / "clips.webp").write_bytes((made / "clips.webp").read_bytes())
    with pytest.raises(SaltError, match=r"clips.json: cannot be read.* `salt clips --scale tiny`"):
        read_clips(SCALE, tmp_path)
