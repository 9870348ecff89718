"""Measures of samples against what the world allows: one number each, over all samples of some captions.

Shares are compared over all captions at once: a sample is put into a class, and every class has the share that the
captions of the samples give it. So few samples of each of many captions tell as much as many of few. Every measure has
a floor: the same of samples of the truth, as many, of the same captions.

Symbols: n samples; z their styles in standard deviations, `(n, R)`.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from salt.data.modes import WorldModes
from salt.data.world import Scene
from salt.evaluation.modes.explained import Explained

Numbers = dict[str, float]
"""Metric -> its value."""
STYLES = ("light", "background", "objects")
"""The numbers of a style, as the world's configuration calls them."""
Class = Callable[[Scene, int], object]
"""(a future, frames of a clip) -> what it is counted as."""


def _speed(scene: Scene, frames: int) -> object:
    return scene.speed


def _turn(scene: Scene, frames: int) -> object:
    """Where within the clip it turns round, and how fast it goes on."""
    assert scene.course is not None
    steps = np.diff(scene.course.places(frames))
    turns = np.flatnonzero(np.diff(np.sign(steps)))
    return (int(turns[0]), abs(int(steps[-1]))) if len(turns) else None


def _place(scene: Scene, frames: int) -> object:
    """Where it is at first, and where it goes."""
    assert scene.course is not None
    return scene.starts, scene.course.heading


def _whole(scene: Scene, frames: int) -> object:
    return scene.starts, scene.course


CLASSES: dict[str, Class] = {"speed_tv": _speed, "turn_tv": _turn, "place_tv": _place, "mode_tv": _whole}
"""Metric -> the class whose shares it compares, within one kind of content (one object, or two in a relation)."""


class Shares:
    """The shares of classes among the futures of captions."""

    def __init__(self, modes: WorldModes) -> None:
        self._modes = modes
        self._tables: dict[tuple[str, object], tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def tv(self, metric: str, mode: Tensor) -> float:
        """1/2 sum |share - expected share| over classes, of samples `(n,)` of contents whose futures are all open."""
        found: dict[object, list[int]] = {}
        contents = torch.searchsorted(self._modes.bounds, mode.contiguous(), right=True) - 1
        for content, one in zip(contents.tolist(), mode.tolist(), strict=True):
            numbers, _ = self._table(metric, content)
            found.setdefault(self._kind(content), []).append(int(numbers[one - int(self._modes.bounds[content])]))
        examples = {self._kind(content): content for content in contents.tolist()}
        total = 0.0
        for kind, classes in found.items():
            _, shares = self._table(metric, examples[kind])
            counts = np.bincount(classes, minlength=len(shares))
            total += float(np.abs(counts - len(classes) * shares).sum()) / 2
        return total / len(mode)

    def _kind(self, content: int) -> object:
        one = self._modes.contents[content]
        return one.relation, one.direction

    def _table(self, metric: str, content: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The class of every future of a content, `(N,)`, and the share of every class."""
        key = (metric, self._kind(content))
        if key not in self._tables:
            begin, end = (int(self._modes.bounds[content + i]) for i in (0, 1))
            frames, number = self._modes.world.frames, dict[object, int]()
            classes = [
                number.setdefault(CLASSES[metric](self._modes.scene(content, future), frames), len(number))
                for future in range(end - begin)
            ]
            weights = self._modes.log_weights[begin:end].exp().numpy()
            shares = np.bincount(classes, weights).astype(np.float64)
            self._tables[key] = np.array(classes, dtype=np.int64), shares
        return self._tables[key]


def style_measures(z: Tensor) -> Numbers:
    """Of each number of a style, `shift` mean z and `spread` its standard deviation; 0 and 1 are right.

    `style_shift` and `style_spread` are the root mean squares of all of them.
    """
    shift, spread = z.mean(0), z.std(0, correction=0)
    each = {f"{name}_shift": float(shift[i]) for i, name in enumerate(STYLES)}
    each |= {f"{name}_spread": float(spread[i]) for i, name in enumerate(STYLES)}
    return each | {
        "style_shift": float(shift.square().mean().sqrt()),
        "style_spread": float(spread.square().mean().sqrt()),
    }


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of latents `(n, ...)`, over sqrt of their numbers; every pair counts once.

    (Szekely and Rizzo 2013.) As many x as y, of the same captions; pairs of a sample with itself are left out.
    """
    a, b = x.double().flatten(1), y.double().flatten(1)
    n = len(a)
    across = torch.cdist(a, b).sum() / n**2
    within = [torch.cdist(one, one).sum() / (n * (n - 1)) for one in (a, b)]
    return float((2 * across - within[0] - within[1]) / sqrt(a.shape[1]))


def measures(found: Explained, shares: Shares) -> Numbers:
    """Everything that needs samples alone; shares and styles are of those on the support, NaN without two of them."""
    on = ~found.off_support
    known = int(on.sum()) > 1
    style = style_measures(found.style[on] if known else torch.full((1, len(STYLES)), float("nan")))
    return {
        "off_support": float((~on).double().mean()),
        "left": float(found.left.mean()),
        **{metric: shares.tv(metric, found.mode[on]) if known else float("nan") for metric in CLASSES},
        **style,
    }
