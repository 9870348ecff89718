"""What a scorer sees of a stored video: the world's own pixels, its palette at full contrast, without the clip's style.

The style of a clip moves the colour b of its background by light * (1, 1, 1) + tint * (1, 0, -1) from the palette's.
Both are measured by what the median pixel of a frame differs from the nearest background, and taken from all pixels, as
far as a clip of the world may have them: what is beyond is an error, and stays.
"""

import numpy as np

from salt.config.world import World
from salt.data.world import BACKGROUNDS, MID_GREY, TINT
from salt.evaluation.groundtruth.synthesis import Float32Array
from salt.evaluation.video import Video, downscale

MOST_STYLE = 3.5
"""Standard deviations: one clip of the world in a thousand has more of one of the two."""
_BACKGROUNDS = np.array(list(BACKGROUNDS.values()), dtype=np.float32)


def seen(stored: Video, world: World) -> Float32Array:
    """Frames `(F, H, W, 3)` of the world's size in the 0 to 255 of the palette, of a stored, enlarged video."""
    return unstyled(downscale(stored, world.video_scale), world)


def tints(off: Float32Array, world: World) -> Float32Array:
    """What the tint of a clip explains of objects whose colours are `off` `(..., 3)` from the palette's, `(..., 3)`.

    The background's tint was taken from them with all pixels.
    """
    if world.style is None:
        return np.zeros_like(off)
    tint = np.array(TINT, dtype=np.float32)
    most = MOST_STYLE * np.hypot(world.style.objects, world.style.background) / world.style.contrast
    amount = np.clip(off @ tint / (tint**2).sum(), -most, most)
    return (amount[..., None] * tint).astype(np.float32)


def unstyled(frames: Float32Array, world: World) -> Float32Array:
    """The same of frames `(F, H, W, 3)` of the world's size."""
    if world.style is None:
        return frames
    plain = (frames - MID_GREY) / np.float32(world.style.contrast) + np.float32(MID_GREY)
    median = np.median(plain.reshape(len(plain), -1, 3), axis=1)
    nearest = ((median[:, None] - _BACKGROUNDS) ** 2).sum(axis=2).argmin(axis=1)
    off = median - _BACKGROUNDS[nearest]
    directions = np.array([(1, 1, 1), TINT], dtype=np.float32)  # orthogonal
    amounts = off @ directions.T / (directions**2).sum(axis=1)
    most = MOST_STYLE * np.array([world.style.light, world.style.background], np.float32) / world.style.contrast
    style = np.clip(amounts, -most, most) @ directions
    return (plain - style[:, None, None]).astype(np.float32)
