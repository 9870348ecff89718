"""Videos side by side as one animated GIF, which every browser, editor and mail program shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from salt.errors import SaltError
from salt.evaluation.video import Video
from salt.files import whole_file
from salt.report.frames import tile

PAUSE = 400
"""Milliseconds for which the last frame stays, so that one sees where a clip begins."""


def write_gif(rows: Sequence[Sequence[Video]], path: Path, fps: int) -> None:
    """Write the videos of each row beside each other, the rows below each other; all play at once, again and again.

    Args:
        rows: videos, uint8 `(F, H, W, 3)`, all of one shape, as many in each row.
        path: the file; its folder is made where it is missing.
        fps: frames per second.

    Raises:
        SaltError: there is no video, or rows or videos differ in length or size.
    """
    shapes = {video.shape for row in rows for video in row}
    if len(shapes) != 1 or len({len(row) for row in rows}) != 1:
        raise SaltError(f"{path}: rows of {[len(row) for row in rows]} videos of {sorted(shapes)}; accepted: one shape")
    (frames, *_) = shapes.pop()
    pictures = [Image.fromarray(tile([[video[i : i + 1] for video in row] for row in rows])[0]) for i in range(frames)]
    palette = Image.fromarray(np.concatenate([np.asarray(picture) for picture in pictures])).quantize(
        dither=Image.Dither.NONE
    )
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    path.parent.mkdir(parents=True, exist_ok=True)
    times = [round(1000 / fps)] * (frames - 1) + [PAUSE]
    with whole_file(path) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=others,
            loop=0,
            duration=times,
        )
