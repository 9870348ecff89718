"""Analysis by synthesis of videos of the world: which sprites, where, on which background, best explain a frame.

Symbols: N frames I of H x W pixels in [0, 255]; b, a frame's background colour; c, a palette colour; m, a sprite's mask
of |m| pixels. Painting colour c through m at a place changes the squared error of the frame by minus its *gain*

    gain = sum over m of |I - b|^2 - |I - c|^2 = 2 (c - b) . sum_m I  +  |m| (|b|^2 - |c|^2),

so one correlation of the frame with each mask gives the gains of all colours at all places. The sprite with the largest
gain is taken, its pixels are set to the background, and the search continues for a second one.
`gain / (|m| |c - b|^2)` is 1 for an exact sprite and 0 for a half transparent one; below `LEAST_FIT` it is no object.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from salt.data.world import BACKGROUNDS, COLOURS, MASKS, RADIUS

Float32Array = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SHAPE_NAMES, COLOUR_NAMES, BACKGROUND_NAMES = tuple(MASKS), tuple(COLOURS), tuple(BACKGROUNDS)
SPRITES = 2
"""Most objects in a frame of the world; anything more is a spare blob."""
LEAST_FIT = 0.2
"""Least gain of an object, as a share of an exact sprite's: that of one with 0.6 of its colour."""
BACKGROUND_REACH = 48.0
"""RGB distance within which a pixel has a background colour; half of a frame's pixels must have it."""
SPARE_CONTRAST = 60.0
"""3 x 3 pixels beside the objects are a blob if their mean has a larger RGB distance from the background than this."""

_MASKS = np.stack(list(MASKS.values())).astype(np.float32)
_AREAS = _MASKS.sum(axis=(1, 2))
_COLOURS = np.array(list(COLOURS.values()), dtype=np.float32)
_BACKGROUNDS = np.array(list(BACKGROUNDS.values()), dtype=np.float32)
_WIDE = sliding_window_view(np.pad(_MASKS, ((0, 0), (2, 2), (2, 2))), (3, 3), axis=(1, 2)).max(axis=(3, 4)) > 0


@dataclass(frozen=True)
class Fit:
    """The best explanation of N frames. Sprites are in order of gain; `shape` and `colour` are -1 if there is none."""

    background: Ints
    """`(N,)`, index into `BACKGROUND_NAMES`; -1 if most pixels have none of these colours."""
    background_colour: Float32Array
    """`(N, 3)`, the median pixel."""
    count: Ints
    """`(N,)`, objects found, 0 to 2."""
    shape: Ints
    """`(N, 2)`, index into `SHAPE_NAMES`."""
    colour: Ints
    """`(N, 2)`, index into `COLOUR_NAMES`."""
    centre: Ints
    """`(N, 2, 2)`, (x, y)."""
    mean_colour: Float32Array
    """`(N, 2, 3)`, mean of the pixels under the sprite."""
    label: Ints
    """`(N, H, W)`: 1 or 2 under the sprites, 0 elsewhere."""
    apart: Bools
    """`(N, H, W)`, pixels at a distance of at least 2 from every sprite."""
    spare: Bools
    """`(N,)`, whether anything but background is left beside the sprites."""

    def clean(self) -> Bools:
        """`(N,)`: one or two objects and nothing else."""
        return (self.count > 0) & ~self.spare

    @property
    def palette(self) -> Float32Array:
        """The palette's colours of the sprites, `(N, 2, 3)`."""
        return _COLOURS[self.colour]

    def render(self, sprites: Float32Array) -> Float32Array:
        """The fitted frames, `(N, H, W, 3)`, with sprites of these colours `(N, 2, 3)`."""
        table = np.concatenate([self.background_colour[:, None], sprites], axis=1)
        return table[np.arange(len(table))[:, None, None], self.label]


def fit(frames: Float32Array) -> Fit:
    """Explain frames `(N, H, W, 3)` in [0, 255], each by itself."""
    number, height, width, _ = frames.shape
    median = np.median(frames.reshape(number, -1, 3), axis=1)
    rest = frames.copy()
    shape, colour = np.full((number, SPRITES), -1), np.full((number, SPRITES), -1)
    centre = np.zeros((number, SPRITES, 2), dtype=np.int64)
    mean_colour = np.zeros((number, SPRITES, 3), dtype=np.float32)
    label = np.zeros((number, height, width), dtype=np.int64)
    apart = np.ones((number, height, width), dtype=bool)
    open_frames = np.arange(number)
    for sprite in range(SPRITES):
        found, s, c, place, mean = _best_sprite(rest[open_frames], median[open_frames])
        open_frames, s, c, place, mean = open_frames[found], s[found], c[found], place[found], mean[found]
        shape[open_frames, sprite], colour[open_frames, sprite] = s, c
        centre[open_frames, sprite], mean_colour[open_frames, sprite] = place, mean
        _put(label, open_frames, place, _MASKS[s] > 0, sprite + 1)
        _put(apart, open_frames, place, _WIDE[s], False)
        under = label[open_frames] == sprite + 1
        rest[open_frames] = np.where(under[..., None], median[open_frames, None, None], rest[open_frames])
    count = (shape >= 0).sum(axis=1)
    background, spare = _background(frames, median), _has_blob(frames, median, apart)
    return Fit(background, median, count, shape, colour, centre, mean_colour, label, apart, spare)


def _best_sprite(frames: Float32Array, b: Float32Array) -> tuple[Bools, Ints, Ints, Ints, Float32Array]:
    """For each frame: whether there is a sprite, its shape, colour, centre `(n, 2)` and mean colour `(n, 3)`."""
    number = len(frames)
    windows = sliding_window_view(frames, _MASKS.shape[1:], axis=(1, 2))
    sums = np.tensordot(windows, _MASKS, axes=([4, 5], [1, 2]))  # (n, y, x, rgb, shape)
    towards = _COLOURS - b[:, None]  # (n, colour, rgb)
    offset = (b**2).sum(axis=1)[:, None] - (_COLOURS**2).sum(axis=1)  # (n, colour)
    gain = 2 * np.einsum("nyxrs,ncr->nyxsc", sums, towards, optimize=True)
    gain += _AREAS[:, None] * offset[:, None, None, None]
    best = gain.reshape(number, int(np.prod(gain.shape[1:]))).argmax(axis=1)
    y, x, s, c = np.unravel_index(best, gain.shape[1:])
    each = np.arange(number)
    exact = _AREAS[s] * (towards[each, c] ** 2).sum(axis=1)
    found = gain[each, y, x, s, c] >= LEAST_FIT * exact
    mean = sums[each, y, x, :, s] / _AREAS[s, None]
    return found, s, c, np.stack([x, y], axis=1) + RADIUS, mean


def _put(images: NDArray[np.generic], frames: Ints, centres: Ints, masks: Bools, value: int) -> None:
    """Set the pixels of one mask per frame, centred, clipped at the border, in place."""
    reach = masks.shape[1] // 2
    which, row, column = np.nonzero(masks)
    x, y = centres[which, 0] + column - reach, centres[which, 1] + row - reach
    inside = (x >= 0) & (x < images.shape[2]) & (y >= 0) & (y < images.shape[1])
    images[frames[which[inside]], y[inside], x[inside]] = value


def _background(frames: Float32Array, median: Float32Array) -> Ints:
    """Index of the nearest background; -1 if fewer than half of the pixels are near it."""
    nearest = ((median[:, None] - _BACKGROUNDS) ** 2).sum(axis=2).argmin(axis=1)
    distance = ((frames - _BACKGROUNDS[nearest][:, None, None]) ** 2).sum(axis=3)
    near = (distance < BACKGROUND_REACH**2).mean(axis=(1, 2))
    return np.where(near >= 0.5, nearest, -1)


def _has_blob(frames: Float32Array, median: Float32Array, apart: Bools) -> Bools:
    """Whether the mean of some 3 x 3 pixels apart from all sprites stands out from the background."""
    left = np.where(apart[..., None], frames - median[:, None, None], 0)
    means = uniform_filter(left, size=(1, 3, 3, 1), mode="constant")
    return ((means**2).sum(axis=3) > SPARE_CONTRAST**2).any(axis=(1, 2))
