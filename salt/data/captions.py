"""The captions, with or without videos, that a large scale is trained on: see `salt.config.data.Data`.

Videos are cut to the beginning, at the scale's frame rate and number of frames, and centre-cropped to its size;
`salt.data.media` opens them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from salt.config.data import Data
from salt.data.lines import ACCEPTED, CAPTION, Row, beside, read_lines
from salt.data.media import fitted, is_picture, opened_video, read_picture, timed
from salt.errors import SaltError
from salt.files import sha256


@dataclass(frozen=True)
class Captioned:
    """One line of the file."""

    caption: str
    video: Path | None


def read_captions(path: Path, data: Data, more: int = 0) -> list[Captioned]:
    """The first `data.clips` captions of a file, and up to `more` after them; `salt.data.lines` says what it may be.

    A row of a `.jsonl` or of a table may name a `video`. Bad lines are named in the log and left out.

    Raises:
        SaltError: the file is missing, has another hash, or too few captions.
    """
    if not path.is_file():
        raise SaltError(f"{path}: there is no such file; {ACCEPTED} (docs/paper_scale.md)")
    if data.sha256 is not None and (found := sha256(path)) != data.sha256:
        raise SaltError(f"{path}: SHA-256 {found[:12]}...; accepted: {data.sha256[:12]}..., as data.sha256 says")

    def make(place: str, index: int, row: Row) -> Captioned:
        video = row.get("video")
        return Captioned(row[CAPTION[0]].strip(), beside(place, path.parent, video) if video else None)

    lines = read_lines(path, make, data.clips + more)
    if len(lines) < data.clips:
        raise SaltError(f"{path}: {len(lines)} captions; accepted: data.clips={data.clips} or more")
    return lines


# ------------------------------------------------------------------------------------------------ videos
ACCEPTED_VIDEO = "accepted: a video in MP4, MOV, WebM, Matroska, AVI or MPEG-TS"


def read_clip(path: Path, frames: int, fps: int, height: int, width: int) -> NDArray[np.uint8]:
    """The beginning of a video, uint8 `(frames, height, width, 3)`: nearest frames in time, scaled, centre-cropped.

    Frames are taken at their time stamps, and turned as the container says.

    Raises:
        SaltError: it cannot be decoded, is too short, or is not meant to be seen as frames of plain RGB.
    """
    taken = list(islice(_at_rate(path, fps, height, width), frames))
    if len(taken) < frames:
        raise SaltError(f"{path}: {len(taken)} frames at {fps} a second; accepted: {frames} or more")
    return np.stack(taken)


def read_first_frame(path: Path, fps: int, height: int, width: int) -> NDArray[np.uint8]:
    """A picture, or the first frame of a video, uint8 `(height, width, 3)`; raises as their readers."""
    return read_picture(path, height, width) if is_picture(path) else read_clip(path, 1, fps, height, width)[0]


def check_length(path: Path, frames: int, fps: int) -> None:
    """Refuse a video that `read_clip` would find unreadable or too short, by the duration that its container states.

    Raises:
        SaltError: naming its length.
    """
    with opened_video(path, ACCEPTED_VIDEO) as (_, stream):
        if stream.duration is None or stream.time_base is None:
            return  # no stated duration: `read_clip` will count
        there = round(float(stream.duration * stream.time_base) * fps)
    if there < frames:
        raise SaltError(f"{path}: {there} frames at {fps} a second; accepted: {frames} or more")


def _at_rate(path: Path, fps: int, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    wanted, reformatter = 0, VideoReformatter()
    with opened_video(path, ACCEPTED_VIDEO) as (container, stream):
        shape = float(stream.sample_aspect_ratio or 1)
        for frame, until in timed(container, stream, Fraction(fps)):
            if Fraction(wanted, fps) >= until:
                continue
            cut = fitted(frame, shape, height, width, reformatter)
            while Fraction(wanted, fps) < until:
                yield cut
                wanted += 1
