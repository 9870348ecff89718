"""Videos and pictures that others made: opened with care, and seen as their containers say.

A file names no other file (`concat` and play lists would be followed), is no larger than `MOST_PIXELS` a frame, and its
orientation, colour range and form of pixels are followed; what is not followed is refused by name: mirrored or slanted
frames, high dynamic range, transparent pixels, colours of 16 bits or for print.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from salt.errors import SaltError
from salt.files import opened

Picture = NDArray[np.uint8]
"""`(H, W, 3)`."""
CONTAINERS = "mov,matroska,avi,mpegts"
"""As FFmpeg names them; MP4 is `mov`, WebM `matroska`."""
COUNTED = ("avi",)
"""Containers whose time stamps are those of decoding, not of showing."""
PICTURES = ("PNG", "JPEG", "WEBP", "BMP")
MOST_PIXELS, MOST_OF_A_PICTURE = 1 << 25, 1 << 26
"""Of a frame, that of 8K video, since a decoder keeps up to 16 of them; and of a picture, 200 MB as bytes."""
OPAQUE = 255
HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of high dynamic range, by their numbers in ITU-T H.273."""
PLAIN = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}
"""Modes of pictures, as Pillow names them, that `convert("RGB")` shows as they are meant."""


# ------------------------------------------------------------------------------------------------ videos
@contextmanager
def opened_video(path: Path, accepted: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A container and its first video stream, to decode in the block.

    Args:
        path: the file.
        accepted: what the message says is accepted.

    Raises:
        SaltError: it is missing, no video, or broken where it is decoded in the block.
    """
    try:
        with opened(path) as file, av.open(file, options={"format_whitelist": CONTAINERS}) as container:
            stream = container.streams.video[0]
            decoder: Any = stream.codec_context
            if decoder is None:  # which its type does not say
                raise ValueError("a codec that FFmpeg does not know")
            decoder.options = {"max_pixels": str(MOST_PIXELS)}
            yield container, stream
    except (OSError, IndexError, ValueError, av.FFmpegError) as error:
        raise SaltError(f"{path}: cannot be decoded ({error}); {accepted}") from error


def timed(container: InputContainer, stream: VideoStream, rate: Fraction) -> Iterator[tuple[VideoFrame, Fraction]]:
    """Frames, each with the time in seconds from the first one until which it is nearer than the next.

    Time stamps that are those of a constant rate but for their rounding (Matroska's are whole milliseconds) are taken
    for exact; frames without any, and those of `COUNTED`, are counted.

    Args:
        container: is decoded.
        stream: of it.
        rate: frames a second, where the stream does not say.
    """
    rate = stream.average_rate or rate
    last: VideoFrame | None = None
    begin, now, step = Fraction(0), Fraction(0), 1 / rate
    for number, frame in enumerate(container.decode(stream)):
        time = counted = begin + number / rate
        if frame.pts is not None and frame.time_base and container.format.name not in COUNTED:
            time = frame.pts * frame.time_base
            begin = begin if number else time
            time = counted if number and abs(time - counted) <= frame.time_base else time
        if last is not None:
            step = time - now
            yield last, now + step / 2 - begin
        last, now = frame, time
    if last is not None:
        yield last, now + step / 2 - begin


def quarter_turns(frame: VideoFrame) -> int:
    """The counter-clockwise quarter turns by which a frame is shown.

    Raises:
        ValueError: it is shown mirrored or slanted.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        a, b, _, c, d, *_ = np.frombuffer(matrix, dtype=np.int32).tolist()
        if a * d - b * c < 0:
            raise ValueError("it is to be shown mirrored")
    if frame.rotation % 90:
        raise ValueError(f"it is to be shown turned by {frame.rotation} degrees")
    return frame.rotation // 90


def fitted(frame: VideoFrame, shape: float, height: int, width: int, reformatter: VideoReformatter) -> Picture:
    """A frame as it is meant to be seen, scaled until it covers a size, and cut to it around the centre.

    Args:
        frame: as it was decoded.
        shape: width of a pixel by its height.
        height: in pixels.
        width: in pixels.
        reformatter: scales it.

    Raises:
        ValueError: it is mirrored, slanted, transparent or of high dynamic range.
    """
    if (transfer := int(frame.color_trc)) in HDR:
        raise ValueError(f"it is of high dynamic range ({HDR[transfer]})")
    if (
        any(part.is_alpha for part in frame.format.components)
        and frame.to_ndarray(format="rgba")[..., 3].min() < OPAQUE
    ):
        raise ValueError("it has transparent pixels")
    turns = quarter_turns(frame)
    if turns % 2:
        height, width = width, height
    rows, columns = covering(frame.height, frame.width * shape, height, width)
    scaled = reformatter.reformat(frame, columns, rows, "rgb24", interpolation="AREA", threads=1)
    return np.rot90(_centre(scaled.to_ndarray(), height, width), turns)


# ---------------------------------------------------------------------------------------------- pictures
def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by how it begins."""
    try:
        with opened(path) as file, _pillow(file):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:  # Pillow lets errors of the formats through; `read_picture` will say which
        return True


def read_picture(path: Path, height: int, width: int) -> Picture:
    """A picture as diffusers' `load_image` and its video processor see it, cut to a size around the centre.

    Turned as its EXIF says, in RGB, scaled by Lanczos' filter until it covers the size.

    Raises:
        SaltError: it is missing, too large or broken, or has transparent pixels or colours that RGB of 8 bits cannot
            hold.
    """
    accepted = f"accepted: an opaque PNG, JPEG, WebP or BMP of up to {MOST_OF_A_PICTURE} pixels"
    try:
        with opened(path) as file, _pillow(file) as read:
            if read.width * read.height > MOST_OF_A_PICTURE:
                raise ValueError(f"{read.width} x {read.height} pixels")
            if read.mode not in PLAIN:
                raise ValueError(f"colours of mode {read.mode}")
            picture = ImageOps.exif_transpose(read)
            if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < OPAQUE:
                raise ValueError("it has transparent pixels, whose colour is not known")
            rows, columns = covering(picture.height, picture.width, height, width)
            whole = picture.convert("RGB").resize((columns, rows), Image.Resampling.LANCZOS)
    except SaltError:
        raise
    except Exception as error:  # Pillow lets errors of the formats through
        told = " ".join(str(error).split()) or type(error).__name__
        raise SaltError(f"{path}: cannot be read ({told}); {accepted}") from error
    return _centre(np.asarray(whole), height, width)


@contextmanager
def _pillow(file: BinaryIO) -> Iterator[Image.Image]:
    """A picture whose head is read, without Pillow's warnings: what they warn of is refused."""
    Image.init()  # else it knows no WebP
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=PICTURES) as read:
            yield read


def covering(rows: float, columns: float, height: int, width: int) -> tuple[int, int]:
    """The size to which a picture is scaled so that it just covers another size."""
    scale = max(height / rows, width / columns)
    return max(height, round(rows * scale)), max(width, round(columns * scale))


def _centre(picture: NDArray[Any], height: int, width: int) -> Picture:
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width].astype(np.uint8, copy=False)
