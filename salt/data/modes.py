"""The modes of the procedural world in the latents of its codec: what captions leave open, and how probable it is.

Where objects turn round, a caption's clips are finitely many futures (a lane, a course) with a continuous style, and
the codec's picture channels are linear in pixels: so a clip's latents are sums of few pictures, the background and
sprites at places, and a style moves them along a plane (`salt.models.factored`). The cue channels depend on shapes and
future alone; they are encoded once for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from salt.config.world import World
from salt.data.clips import as_tensor
from salt.data.courses import KEY
from salt.data.world import (
    BACKGROUNDS,
    COLOURS,
    MASKS,
    RADIUS,
    SHORT_FORMS,
    TINT,
    Content,
    Mentions,
    Scene,
    all_contents,
    caption,
    draw,
    futures,
    scene_of,
    shown,
)
from salt.errors import SaltError
from salt.models.factored import Captions, FactoredModes
from salt.models.protocol import PictureCodec, TextEncoder

RGB, SPRITES, STYLES = 3, 2, 3
AT_ONCE = 128
"""Clips that are encoded at once."""


@dataclass(frozen=True)
class WorldModes:
    """The contents of a world and their futures, numbered: a content's modes are its lanes times its courses."""

    world: World

    def __post_init__(self) -> None:
        if self.world.turn == "none":
            raise SaltError("scale.world: turn=none: the world cannot name its modes; accepted: keep or choose")

    @cached_property
    def contents(self) -> list[Content]:
        """One object, then two."""
        return all_contents(1, self.world) + all_contents(2, self.world)

    @cached_property
    def bounds(self) -> Tensor:
        """Content i has modes bounds[i] to bounds[i + 1] - 1."""
        sizes = [len(lanes) * len(likely) for lanes, likely in (futures(c, self.world) for c in self.contents)]
        return torch.tensor([0, *np.cumsum(sizes)], dtype=torch.int64)

    def scene(self, content: int, future: int) -> Scene:
        """What a mode of a content shows, without style."""
        lanes, likely = futures(self.contents[content], self.world)
        return scene_of(
            self.contents[content], self.world, lanes[future // len(likely)], likely[future % len(likely)].course
        )

    @cached_property
    def log_weights(self) -> Tensor:
        """Of every mode within its content, `(K,)` float64."""
        found = []
        for lanes, likely in (futures(content, self.world) for content in self.contents):
            found += [one.probability / len(lanes) for _ in lanes for one in likely]
        return torch.tensor(found, dtype=torch.float64).log()

    # ---------------------------------------------------------------------------------------------- cues
    @cached_property
    def _kinds(self) -> dict[tuple[object, ...], int]:
        """Contents that look alike but for colours, by the first of each."""
        kinds: dict[tuple[object, ...], int] = {}
        for number, content in enumerate(self.contents):
            kinds.setdefault(_kind(content), number)
        return kinds

    def cues(self, codec: PictureCodec) -> Tensor:
        """The cue channels of every future of every kind of content, `(N, 4, T, h, w)` float32."""
        return torch.cat([self._cues_of(content, codec) for content in self._kinds.values()])

    def _cues_of(self, number: int, codec: PictureCodec) -> Tensor:
        """Of one content. Cues look back to the latent frame before, so each window of so many frames is drawn once."""
        frames, content = max(self.world.frames, KEY + 1), self.contents[number]
        tracks = np.stack([self.scene(number, future).tracks(frames) for future in self._futures(number)])
        windows = np.stack([tracks[:, at : at + KEY + 1] for at in range(0, frames - 1, KEY)], axis=1)
        shown, which = np.unique(windows.reshape(-1, *windows.shape[2:]), axis=0, return_inverse=True)
        plain = [draw(content, window, (0.0, 0.0, 0.0), self.world) for window in shown]
        starts = range(0, len(plain), AT_ONCE)
        coded = torch.cat([codec.encode(as_tensor(np.stack(plain[at : at + AT_ONCE]))) for at in starts])
        # (N, windows, 4, 2, h, w)
        of_windows = coded[torch.from_numpy(which.reshape(windows.shape[:2])), -codec.cues :]
        cues = torch.cat([of_windows[:, :1, :, 0], of_windows[:, :, :, 1]], dim=1).transpose(1, 2)
        return cues[:, :, : 1 + (self.world.frames - 1) // KEY].contiguous()

    @property
    def figures(self) -> list[str]:
        """For each row of `cues`, a caption of what it shows."""
        return [caption(self.contents[number]) for number in self._kinds.values() for _ in self._futures(number)]

    def _futures(self, content: int) -> range:
        return range(int(self.bounds[content + 1] - self.bounds[content]))

    # ------------------------------------------------------------------------------------------- factors
    def factored(self, codec: PictureCodec, cues: Tensor) -> FactoredModes:
        """All modes, in parts.

        Args:
            codec: whose latents they are.
            cues: as `cues` gives them.
        """
        of_kinds = {kind: self._places(number) for kind, number in self._kinds.items()}
        places = sorted({(int(x), int(y)) for of_kind in of_kinds.values() for x, y in of_kind.reshape(-1, 2)})
        numbers = {kind: _numbered(of_kind, places) for kind, of_kind in of_kinds.items()}
        first = dict(zip(numbers, np.cumsum([0, *map(len, numbers.values())])[:-1], strict=True))
        examples = [self.contents[number] for number in self._kinds.values()]
        figure = [first[_kind(content)] + np.arange(len(numbers[_kind(content)])) for content in self.contents]
        constant, dictionary = _pictures(codec, self.world.size, places)
        return FactoredModes(
            constant=constant,
            dictionary=dictionary,
            parts=_joined([_parts(content, numbers[_kind(content)], len(places)) for content in examples]),
            style=_joined([np.stack([self._style(content)] * len(numbers[_kind(content)])) for content in examples]),
            cues=cues.double(),
            coefficients=torch.from_numpy(np.stack([self._coefficients(content) for content in self.contents])),
            figure=_joined(figure),
            content=_joined([np.full(len(of_content), number) for number, of_content in enumerate(figure)]),
        )

    def _places(self, content: int) -> NDArray[np.int64]:
        """Where the sprites of every future of a content are in the first frame of each latent, `(N, O, T, 2)`."""
        frames = self.world.frames
        tracks = [self.scene(content, future).tracks(frames)[::KEY] for future in self._futures(content)]
        return np.stack(tracks).swapaxes(1, 2)

    def _coefficients(self, content: Content) -> NDArray[np.float64]:
        """Of the parts of a content, `(J,)`: the background's colour, and how those of its sprites differ from it."""
        amount = np.zeros((1 + SPRITES, RGB))
        amount[0] = shown(BACKGROUNDS[content.background], self.world) / 255
        for number, sprite in enumerate(content.sprites, start=1):
            amount[number] = shown(COLOURS[sprite.colour], self.world) / 255 - amount[0]
        return amount.flatten()

    def _style(self, content: Content) -> NDArray[np.float64]:
        """What a standard deviation of each number of the style changes of them, `(J, R)`."""
        if (style := self.world.style) is None:
            return np.zeros(((1 + SPRITES) * RGB, 0))
        change, there, tint = np.zeros((1 + SPRITES, RGB, STYLES)), len(content.sprites), np.array(TINT) / 255
        change[0, :, 0] = style.light / 255
        change[0, :, 1] = style.background * tint
        change[1 : 1 + there, :, 1] = -style.background * tint  # the background does not shine through
        change[1 : 1 + there, :, 2] = style.objects * tint
        return change.reshape(-1, STYLES)


def _kind(content: Content) -> tuple[object, ...]:
    """What its futures and cues depend on."""
    return content.relation, content.direction, tuple(sprite.shape for sprite in content.sprites)


def _joined(rows: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.concatenate(rows))


def _numbered(places: NDArray[np.int64], every: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """`(..., 2)` -> the number of each place, `(...)`."""
    number = {place: i for i, place in enumerate(every)}
    found = [number[int(x), int(y)] for x, y in places.reshape(-1, 2)]
    return np.array(found, dtype=np.int64).reshape(places.shape[:-1])


def _parts(content: Content, numbers: NDArray[np.int64], places: int) -> NDArray[np.int64]:
    """Which pictures of the dictionary the modes of a content are made of, `(N, J, T)`; 0 for what is not there."""
    modes, _, frames = numbers.shape
    parts = np.zeros((modes, 1 + SPRITES, RGB, frames), dtype=np.int64)
    colours = np.arange(RGB)[:, None]
    parts[:, 0] = colours
    for i, sprite in enumerate(content.sprites):
        picture = list(MASKS).index(sprite.shape) * places + numbers[:, i, None]
        parts[:, 1 + i] = RGB * (1 + picture) + colours
    return parts.reshape(modes, -1, frames)


def _pictures(codec: PictureCodec, size: int, places: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """The picture channels of black, `(P,)`; and how they change where one colour is 1 in all pixels, then within
    each shape at each place, `(E, P)`.
    """
    masks = [np.ones((size, size))]
    for mask in MASKS.values():
        for x, y in places:
            picture = np.zeros((size, size))
            picture[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1] = mask
            masks.append(picture)
    pictures = torch.from_numpy(np.stack(masks))[:, None, None] * torch.eye(RGB, dtype=torch.float64)[:, :, None, None]
    black = codec.code(torch.zeros_like(pictures[:1, 0]))
    return black.flatten(), (codec.code(pictures.flatten(0, 1)) - black).flatten(1)


# ------------------------------------------------------------------------------------------------ captions
def captions_of(modes: WorldModes, encoder: TextEncoder) -> Captions:
    """Every caption of the world, extended, short and empty, and the contents that it leaves open.

    A content has the probability that clips have of showing it; all that the caption states are as probable.
    """
    stated: dict[str, list[int]] = {}
    shown_at_all = {1: modes.world.pair_share < 1, 2: modes.world.pair_share > 0}
    for number, content in enumerate(modes.contents):
        if shown_at_all[len(content.sprites)]:
            stated.setdefault("", []).append(number)
            for mentions in (Mentions(), *SHORT_FORMS[len(content.sprites)]):
                stated.setdefault(caption(content, mentions), []).append(number)
    names = tuple(stated)
    embeddings = [encoder.encode(names[start : start + AT_ONCE]) for start in range(0, len(names), AT_ONCE)]
    counts = np.bincount([len(content.sprites) for content in modes.contents])
    of_pairs = modes.world.pair_share
    share = np.array([0, (1 - of_pairs) / counts[1], of_pairs / counts[2]])
    shares = np.array([share[len(content.sprites)] for content in modes.contents])
    open_contents = [np.array(stated[name]) for name in names]
    logs = [np.log(shares[numbers] / shares[numbers].sum()) for numbers in open_contents]
    return Captions(
        torch.cat(embeddings).flatten(1),
        names,
        [torch.from_numpy(numbers) for numbers in open_contents],
        [torch.from_numpy(each) for each in logs],
        modes.bounds,
        modes.log_weights,
    )
