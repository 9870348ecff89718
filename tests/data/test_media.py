"""What a container says of its frames is followed, or refused by name; pictures are those that diffusers sees."""

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from diffusers.utils import load_image
from diffusers.video_processor import VideoProcessor
from PIL import Image

from salt.data import media
from salt.data.captions import check_length, read_clip, read_first_frame
from salt.data.media import MOST_OF_A_PICTURE, read_picture
from salt.errors import SaltError
from support.media import HEIGHT, WIDTH, corner, where_bright, write_picture, write_video

LEVELS = range(10, 210, 20)
GREYS = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in LEVELS]


def levels(path: Path, frames: int, fps: int) -> list[int]:
    return [round(float(frame.mean())) for frame in read_clip(path, frames, fps, HEIGHT, WIDTH)]


# ------------------------------------------------------------------------------------------------- videos
def test_frames_are_taken_at_their_time_stamps(tmp_path: Path) -> None:
    """A second of nothing after the fourth frame: at 10 a second it is shown until the middle of the gap."""
    times = [0, 0.1, 0.2, 0.3, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8]
    path = write_video(tmp_path / "uneven.mp4", GREYS, times, rate=24)
    expected = [10, 30, 50, *[70] * 5, *[90] * 6, 110, 130]
    np.testing.assert_allclose(levels(path, 16, 10), expected, atol=2)


@pytest.mark.parametrize("rate", [8, 24, 25, 30])
@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "libx264"), ("mov", "mpeg4"), ("matroska", "libx264"), ("avi", "libx264")]
)
def test_a_constant_rate_is_one_in_every_container(tmp_path: Path, rate: int, container: str, codec: str) -> None:
    """Matroska rounds to milliseconds, AVI has no time stamps of showing."""
    path = write_video(tmp_path / "even", GREYS, codec=codec, rate=rate, container=container)
    times = np.arange(6 * 10 // rate if rate < 10 else 3) / 8
    nearest = np.minimum(np.floor(times * rate + 0.5).astype(int), 9)
    np.testing.assert_allclose(levels(path, len(times), 8), np.array(LEVELS)[nearest], atol=4)


@pytest.mark.parametrize(
    ("turned", "place"), [(None, "top left"), (90, "bottom left"), (180, "bottom right"), (-90, "top right")]
)
def test_a_video_is_seen_as_it_was_held(tmp_path: Path, turned: int | None, place: str) -> None:
    path = write_video(tmp_path / "a.mp4", [corner()] * 3, turned=turned)
    upright = (WIDTH, HEIGHT) if turned in (90, -90) else (HEIGHT, WIDTH)
    clip = read_clip(path, 1, 8, *upright)[0]
    assert clip.shape == (*upright, 3)
    assert where_bright(clip) == place
    assert abs(clip.mean() - corner().mean()) < 3, "nothing is cut away"


@pytest.mark.parametrize("settings", [{}, {"color_range": 2}, {"color_range": 1}, {"colorspace": 1}])
def test_the_range_of_colours_is_followed(tmp_path: Path, settings: dict[str, int]) -> None:
    path = write_video(tmp_path / "a.mp4", GREYS, **settings)
    np.testing.assert_allclose(levels(path, 9, 8), list(LEVELS)[:9], atol=2)


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [corner()] * 2, sample_aspect_ratio=Fraction(2, 1))
    wide = read_clip(path, 1, 8, HEIGHT, 2 * WIDTH)[0]
    assert wide[: HEIGHT // 2 - 4, : WIDTH - 4].min() > 200
    assert wide[:, WIDTH + 4 :].max() < 50


def mirrored(path: Path) -> None:
    body = bytearray(path.read_bytes())
    at = body.find(b"tkhd") + 44
    body[at : at + 36] = struct.pack(">9i", -(1 << 16), 0, 0, 0, 1 << 16, 0, WIDTH << 16, 0, 1 << 30)
    path.write_bytes(body)


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, mirrored, "it is to be shown mirrored"),
        ({"turned": 45}, None, "it is to be shown turned by -?45 degrees"),
        ({"color_trc": 16}, None, r"high dynamic range \(PQ\)"),
        ({}, lambda path: path.write_text("ffconcat version 1.0\nfile 'whole.mp4'\n"), "cannot be decoded"),
        ({}, lambda path: path.write_text("#EXTM3U\n#EXTINF:10,\nwhole.mp4\n#EXT-X-ENDLIST\n"), "cannot be decoded"),
        ({}, lambda path: path.write_bytes(path.read_bytes()[:900]), "cannot be decoded"),
    ],
)
def test_what_is_not_followed_is_refused_by_name(
    tmp_path: Path, settings: dict[str, int], change: Callable[[Path], object] | None, message: str
) -> None:
    """A text that names other files is no video, though FFmpeg would play them."""
    write_video(tmp_path / "whole.mp4", [corner()] * 2)
    path = write_video(tmp_path / "a.mp4", [corner()] * 2, **settings)
    if change is not None:
        change(path)
    with pytest.raises(SaltError, match=rf"a\.mp4: .*{message}.*accepted: ") as caught:
        read_clip(path, 1, 8, HEIGHT, WIDTH)
    assert len(str(caught.value).splitlines()) == 1


def test_a_frame_has_no_more_pixels_than_memory_is_meant_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", [corner()] * 2)
    monkeypatch.setattr(media, "MOST_PIXELS", HEIGHT * WIDTH - 1)
    with pytest.raises(SaltError, match=r"a\.mp4: cannot be decoded") as caught:
        read_clip(path, 1, 8, HEIGHT, WIDTH)
    assert len(str(caught.value).splitlines()) == 1


def test_a_video_has_the_length_that_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", GREYS)
    check_length(path, 10, 8)
    for read in (lambda: check_length(path, 11, 8), lambda: read_clip(path, 11, 8, HEIGHT, WIDTH)):
        with pytest.raises(SaltError, match=r"a\.mp4: 10 frames at 8 a second; accepted: 11 or more"):
            read()


# ----------------------------------------------------------------------------------------------- pictures
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("turned", [None, 3, 6, 2])
def test_a_first_frame_is_what_diffusers_sees(tmp_path: Path, name: str, scale: int, turned: int | None) -> None:
    """`load_image`, then the video processor of WanImageToVideoPipeline."""
    rng = np.random.default_rng(0)
    sides = (WIDTH, HEIGHT) if turned in (6, 8) else (HEIGHT, WIDTH)
    pixels = np.kron(rng.integers(0, 256, (*sides, 3), dtype=np.uint8), np.ones((scale, scale, 1), np.uint8))
    path = write_picture(tmp_path / name, pixels, turned)
    ours = read_first_frame(path, 16, HEIGHT, WIDTH)
    theirs = VideoProcessor(vae_scale_factor=8).preprocess(load_image(str(path)), height=HEIGHT, width=WIDTH)
    np.testing.assert_array_equal(ours, np.round(127.5 * (theirs[0].permute(1, 2, 0).numpy() + 1)).astype(np.uint8))


def test_a_picture_is_cut_where_diffusers_would_squeeze_it(tmp_path: Path) -> None:
    wide = np.concatenate([np.zeros((HEIGHT, 32, 3), np.uint8), corner(), np.zeros((HEIGHT, 32, 3), np.uint8)], axis=1)
    path = write_picture(tmp_path / "a.png", wide)
    np.testing.assert_array_equal(read_picture(path, HEIGHT, WIDTH), corner())


def test_an_opaque_alpha_channel_is_none(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    path = write_picture(tmp_path / "a.png", np.concatenate([corner(), alpha], axis=2))
    np.testing.assert_array_equal(read_picture(path, HEIGHT, WIDTH), corner())


def test_the_first_frame_of_a_video_is_one(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [corner()] * 2, turned=180)
    assert where_bright(read_first_frame(path, 8, HEIGHT, WIDTH)) == "bottom right"


def announced(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def hidden(path: Path) -> None:
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    write_picture(path, np.concatenate([corner(), alpha], axis=2))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (hidden, "transparent pixels"),
        (lambda path: Image.fromarray(corner()).quantize(4).save(path, transparency=0), "transparent pixels"),
        (lambda path: write_picture(path, np.full((8, 8), 40_000, np.uint16)), "colours of mode I;16"),
        (lambda path: Image.fromarray(corner()).convert("CMYK").save(path, format="JPEG"), "colours of mode CMYK"),
        (lambda path: path.write_bytes(announced(100_000, 100_000)), "pixels"),
        (lambda path: path.write_bytes(announced(1 << 13, (MOST_OF_A_PICTURE >> 13) + 1)), "8192 x 8193 pixels"),
        (lambda path: path.write_bytes(announced(64, 48)), "truncated|broken|decode"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "cannot be"),
        (lambda path: path.write_text("<svg/>"), "cannot be decoded"),
        (lambda path: path.mkdir(), "a folder stands there"),
    ],
)
def test_what_is_no_picture_to_begin_with_is_refused(
    tmp_path: Path, write: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / "a.png")
    with pytest.raises(SaltError, match=rf"a\.png: .*({message}).*accepted: ") as caught:
        read_first_frame(tmp_path / "a.png", 8, HEIGHT, WIDTH)
    assert len(str(caught.value).splitlines()) == 1
