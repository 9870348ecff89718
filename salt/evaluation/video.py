"""Video files: H.264 in MP4, with the same bytes for the same frames.

Videos are uint8 `(F, H, W, 3)`; their sides are multiples of 16, the blocks of H.264. A world of 32 pixels is stored at
4 times its size (nearest neighbour), because players need larger videos, and one of VBench's decoders needs multiples
of 64, at least for narrow videos; it is read back by block means. Wan's videos are stored as they are
(`Scale.video_scale`).

Colour is stored at half resolution, as players need it: averaged over 2 x 2 pixels (`CHROMA`), which lie inside one
pixel of the world, so that no colour bleeds over its edges. After the block means, the only loss is that of
quantisation (crf 8): a PSNR of 57 dB.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from salt.data.media import opened_video
from salt.errors import SaltError
from salt.files import whole_file

Video = NDArray[np.uint8]

SIDE = 16
"""Sides of stored videos are multiples of this."""
ENCODER = {"crf": "8", "preset": "veryfast", "threads": "1"}
"""Options of libx264, part of the protocol; one thread, because slices change the bytes."""
EIGHT_BLOCKS = 128
"""Pixels: x264's macroblock tree is computed for eight blocks of a row at once, also where a row has no more of them:
what lies in memory there then changes the bytes."""
CHROMA = "AREA"
"""How colour is subsampled; the default filter is wider than 2 pixels and costs 10 dB."""
ACCEPTED = "accepted: a video written by write_mp4"
THREADS = 1
"""Threads that convert a frame; by default there is one per core for every frame, which costs ten times the work."""


def write_mp4(path: Path, video: Video, fps: int) -> None:
    """Write a video atomically.

    Args:
        path: the file; its folder is created if it is missing.
        video: uint8 `(F, H, W, 3)` with sides that are multiples of 16.
        fps: frames per second.

    Raises:
        SaltError: shape, dtype or sides are not as above.
    """
    with growing_mp4(path, fps) as append:
        append(video)


@contextmanager
def growing_mp4(path: Path, fps: int) -> Iterator[Callable[[Video], None]]:
    """Write a video while its frames arrive, to a temporary file that is renamed when the block ends without an error.

    The bytes do not depend on how frames are divided into calls, nor memory on their number.

    Yields:
        `append`, which takes frames as `write_mp4` does, all of one size.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        whole_file(path) as temporary,
        av.open(str(temporary), "w", format="mp4", container_options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        reformatter = VideoReformatter()

        def append(video: Video) -> None:
            _check_frames(path, video)
            if not stream.codec_context.is_open:
                stream.height, stream.width = video.shape[1:3]
                stream.codec_context.options = encoder(stream.width)
            for frame in video:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                small = reformatter.reformat(picture, format=stream.pix_fmt, interpolation=CHROMA, threads=THREADS)
                container.mux(stream.encode(small))

        yield append
        container.mux(stream.encode())


def encoder(width: int) -> dict[str, str]:
    """Options of libx264 for videos of this width, which give the same bytes each time."""
    return ENCODER | ({} if width % EIGHT_BLOCKS == 0 else {"x264-params": "mbtree=0"})


def _check_frames(path: Path, video: Video) -> None:
    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[3] != 3 or not video.size:
        raise SaltError(f"{path}: video is {video.dtype} {video.shape}; accepted: uint8 (frames, height, width, 3)")
    if video.shape[1] % SIDE or video.shape[2] % SIDE:
        raise SaltError(f"{path}: frames are {video.shape[1]} x {video.shape[2]}; accepted: multiples of {SIDE} pixels")


def read_mp4(path: Path, most: int | None = None) -> Video:
    """Decode all frames, uint8 `(F, H, W, 3)`; or up to `most` and one more, so that a longer video is seen to be one.

    Raises:
        SaltError: the file is missing, not a video, or has no frame.
    """
    return np.stack(list(islice(decoded(path), None if most is None else most + 1)))


def decoded(path: Path) -> Iterator[Video]:
    """The frames of a file one by one, uint8 `(H, W, 3)`; raises as `read_mp4`."""
    frames, reformatter = 0, VideoReformatter()
    with opened_video(path, ACCEPTED) as (container, stream):
        stream.thread_type = "NONE"  # frame threads cost more than they save on short clips
        for frame in container.decode(stream):
            frames += 1
            picture = reformatter.reformat(frame, format="rgb24", threads=THREADS)
            yield picture.to_ndarray().astype(np.uint8, copy=False)
    if not frames:
        raise SaltError(f"{path}: has no frame; {ACCEPTED}")


def check_stored(path: Path, fps: int) -> None:
    """Refuse a video that `write_mp4` does not write: another container, codec, frame rate or form of pixels.

    Raises:
        SaltError: naming what it has in their place.
    """
    with opened_video(path, ACCEPTED) as (container, stream):
        codec = stream.codec_context
        found: tuple[object, ...] = (
            container.format.name.partition(",")[0],
            codec.name,
            codec.pix_fmt,
            stream.average_rate,
        )
    wanted = ("mov", "h264", "yuv420p", fps)
    if found != wanted:
        pairs = zip(("container", "codec", "pixels", "frames a second"), found, wanted, strict=True)
        wrong = "; ".join(f"{what} {one}, not {other}" for what, one, other in pairs if one != other)
        raise SaltError(f"{path}: {wrong}; {ACCEPTED} at {fps} frames a second")


def upscale(video: Video, k: int) -> Video:
    """Repeat every pixel k times along both sides, `(F, H, W, 3)` -> `(F, k H, k W, 3)`."""
    return video.repeat(k, axis=1).repeat(k, axis=2)


def downscale(video: Video, k: int) -> NDArray[np.float32]:
    """Mean of every k x k block, `(F, k H, k W, 3)` -> float32 `(F, H, W, 3)` in [0, 255]; undoes `upscale`.

    Raises:
        SaltError: a side is not a multiple of k.
    """
    frames, height, width, channels = video.shape
    if height % k or width % k:
        raise SaltError(f"video_scale={k}: frames of {height} x {width} pixels do not divide into blocks of that side")
    rows = video.reshape(frames, height // k, k, width, channels).sum(axis=2, dtype=np.uint16)
    blocks = rows.reshape(frames, height // k, width // k, k, channels).sum(axis=3, dtype=np.uint32)
    return blocks.astype(np.float32) / np.float32(k * k)
