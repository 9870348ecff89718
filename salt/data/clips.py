"""Training clips of the world, and the pretext data of its text encoder.

A clip is a function of (split, seed, index) alone: any number of them can be made in any order by any process.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from salt.config.world import Split, World
from salt.data.world import (
    BACKGROUNDS,
    COLOURS,
    SHORT_FORMS,
    SPLIT_SHARES,
    SPRITE_ROWS,
    Content,
    Mentions,
    Scene,
    caption,
    contents_of,
    directions,
    render,
    sample_scene,
)


@dataclass(frozen=True)
class Clip:
    """A video, uint8 `(F, H, W, 3)`, its caption, and its content."""

    video: NDArray[np.uint8]
    caption: str
    content: Content


class ClipSource:
    """Endless clips of one split."""

    def __init__(self, world: World, split: Split, seed: int) -> None:
        self.world, self.split, self.seed = world, split, seed
        self._contents = {count: contents_of(split, count, world) for count in (1, 2)}

    def clip(self, index: int) -> Clip:
        """The clip with this index."""
        scene, words = self.scene(index)
        return Clip(render(scene, self.world), words, scene.content)

    def scene(self, index: int) -> tuple[Scene, str]:
        """What the clip with this index shows, and its caption; clips of equal scenes are equal."""
        rng = np.random.default_rng([self.seed, list(SPLIT_SHARES).index(self.split), index])
        count = 2 if rng.random() < self.world.pair_share else 1
        content = self._contents[count][rng.integers(len(self._contents[count]))]
        mentions = Mentions()
        if rng.random() < self.world.short_share:
            mentions = SHORT_FORMS[count][rng.integers(len(SHORT_FORMS[count]))]
        return sample_scene(content, self.world, rng), caption(content, mentions)

    def videos(self, indices: Iterable[int]) -> Tensor:
        """Videos `(B, 3, F, H, W)` in [0, 1]."""
        return as_tensor(np.stack([self.clip(i).video for i in indices]))


def as_tensor(videos: NDArray[np.uint8]) -> Tensor:
    """uint8 `(B, F, H, W, 3)` -> float `(B, 3, F, H, W)` in [0, 1]."""
    return torch.from_numpy(videos).permute(0, 4, 1, 2, 3).float() / 255


def as_uint8(videos: Tensor) -> NDArray[np.uint8]:
    """Float `(B, 3, F, H, W)` in [0, 1] -> uint8 `(B, F, H, W, 3)`."""
    return (videos.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1).numpy()


def vocabulary(world: World) -> list[str]:
    """Every word that a caption of the world can hold."""
    contents = contents_of("train", 1, world) + contents_of("train", 2, world)
    return sorted({word for content in contents for word in caption(content).split()})


def pretext(world: World) -> tuple[list[str], Tensor]:
    """Training captions, extended and short, and the class of each attribute `(N, 7)`, "not mentioned" being one."""
    captions, labels = [], []
    for count in (1, 2):
        for content in contents_of("train", count, world):
            for mentions in (Mentions(), *SHORT_FORMS[count]):
                captions.append(caption(content, mentions))
                labels.append(_label(content, mentions, directions(world)))
    return captions, torch.tensor(labels)


def _label(content: Content, mentions: Mentions, ways: Sequence[str]) -> list[int]:
    shapes, colours = list(SPRITE_ROWS), list(COLOURS)
    row = [[None, "left of", "above"].index(content.relation)]
    row.append(ways.index(content.direction) if mentions.direction else len(ways))
    row.append(list(BACKGROUNDS).index(content.background) if mentions.background else len(BACKGROUNDS))
    for place in (0, 1):
        if place == len(content.sprites):
            row += [len(shapes), len(colours)]
            continue
        sprite = content.sprites[place]
        row += [shapes.index(sprite.shape), colours.index(sprite.colour) if mentions.colour else len(colours)]
    return row
