"""A small world in which objects turn round, its codec, and its modes."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from salt.config.scale import Codec
from salt.config.world import World
from salt.data.clips import ClipSource
from salt.data.modes import WorldModes
from salt.digest import text_digest
from salt.models.codec import TinyCodec
from salt.models.factored import FactoredModes

WORLD = World.model_validate(
    {
        "size": 24,
        "video_scale": 8,
        "speeds": [1, 2],
        "speed_shares": [0.5, 0.5],
        "turn": "choose",
        "pair_share": 0.5,
        "pair_gaps": [8],
        "pair_slips": [0],
        "style": {"light": 8, "background": 6, "objects": 6},
    }
)


class HashedText:
    """A `TextEncoder` that makes different numbers of different captions."""

    def encode(self, captions: list[str]) -> Tensor:
        seeds = [int(text_digest(text)[:8], 16) for text in captions]
        drawn = [np.random.default_rng(seed).standard_normal((4, 8)) for seed in seeds]
        return torch.from_numpy(np.stack(drawn)).float()


@cache
def codec() -> TinyCodec:
    """Its encoder, fitted; the decoder is its linear inverse."""
    made = TinyCodec(Codec(width=16, blocks=1))
    made.fit_linear(ClipSource(WORLD, "train", 4).videos(range(128)))
    return made.eval().requires_grad_(False)


@cache
def modes() -> tuple[WorldModes, FactoredModes]:
    """All modes."""
    named = WorldModes(WORLD)
    return named, named.factored(codec(), named.cues(codec()))
