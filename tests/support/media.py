"""Small videos and pictures with the metadata that people's files have."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from salt.errors import SaltError
from salt.evaluation.video import read_mp4

HEIGHT, WIDTH = 48, 64


def corner(level: int = 250, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Black with a bright corner at the top left: which way up it is can be seen."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = level
    return picture


def where_bright(picture: NDArray[Any]) -> str:
    """The corner that is bright: `top left`, ..."""
    rows, columns = np.nonzero(picture.mean(axis=2) > 100)
    vertical = "top" if rows.mean() < picture.shape[0] / 2 else "bottom"
    return f"{vertical} {'left' if columns.mean() < picture.shape[1] / 2 else 'right'}"


def write_video(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    rate: int = 8,
    container: str = "mp4",
    turned: int | None = None,
    **settings: Any,
) -> Path:
    """A video of frames at these times in seconds, at a constant rate without them.

    Args:
        path: the file.
        frames: `(H, W, 3)` each.
        times: in seconds.
        codec: as FFmpeg names it.
        rate: frames a second.
        container: as FFmpeg names it.
        turned: degrees by which it is to be shown turned, counter-clockwise.
        settings: of the encoder's context: `color_range`, `sample_aspect_ratio`, `color_trc`, ...
    """
    with av.open(str(path), "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
        stream.codec_context.options = {"crf": "4", "bf": "0"} if codec == "libx264" else {}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        if turned is not None:
            stream.set_display_rotation(turned)
        ranges = {"dst_color_range": "JPEG"} if settings.get("color_range") == 2 else {}
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt, **ranges)
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[number]), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def write_picture(path: Path, pixels: NDArray[Any], turned: int | None = None, **options: Any) -> Path:
    """A picture; `turned`: its EXIF orientation, 1 to 8."""
    picture = Image.fromarray(pixels)
    if turned is not None:
        exif = Image.Exif()
        exif[0x0112] = turned
        options["exif"] = exif
    picture.save(path, **options)
    return path


def flip_a_bit(path: Path) -> None:
    """Change one bit of a video, so that decoders still show it, with other frames."""
    body, frames = path.read_bytes(), read_mp4(path)
    for place in range(len(body) // 2, len(body)):
        path.write_bytes(body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
        with suppress(SaltError):
            changed = read_mp4(path)
            if changed.shape == frames.shape and (changed != frames).any():
                return
    raise AssertionError(f"no bit of {path} changes a frame")
