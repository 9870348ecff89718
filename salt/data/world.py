"""The world of the tiny scales: procedural captioned videos with known attributes.

One or two 7x7 sprites (a shape, a colour) glide over a plain background; all sprites of a scene move together, by
one or two pixels a frame (`World.speeds`): in one of four directions or, where they turn round at the border, to and
fro along one of two axes (`World.turn`, `salt.data.courses`). A caption states shapes, colours, relation, direction and
background, but neither start nor speed nor what is chosen at a turn, so one caption has many futures. A short caption
leaves out more, so that even the first frame does not determine the rest of the clip.

Everything lies on the pixel grid: a scene is the ground truth of its own video, and of a world with a style also up to
the rounding of pixels.
Videos are uint8 `(F, H, W, 3)`; positions are integer centres `(x, y)`, x to the right, y down.
"""

import hashlib
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from salt.config.world import Split, World
from salt.data.courses import Course, Likely, courses
from salt.errors import SaltError

Direction = Literal["left", "right", "up", "down", "sideways", "vertically"]
Relation = Literal["left of", "above"]

SPRITE_ROWS: dict[str, tuple[str, ...]] = {
    "square": ("#######",) * 7,
    "ring": ("..###..", ".##.##.", "##...##", "#.....#", "##...##", ".##.##.", "..###.."),
    "cross": ("..###..", "..###..", "#######", "#######", "#######", "..###..", "..###.."),
    "triangle": ("...#...", "...#...", "..###..", "..###..", ".#####.", ".#####.", "#######"),
}
RADIUS = 3
MASKS: dict[str, NDArray[np.bool_]] = {
    shape: np.array([[pixel == "#" for pixel in row] for row in rows]) for shape, rows in SPRITE_ROWS.items()
}
OFFSETS = {shape: tuple(place - RADIUS for place in np.nonzero(mask)) for shape, mask in MASKS.items()}
"""Rows and columns of a sprite's pixels, from its centre."""
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (230, 30, 30),
    "green": (30, 190, 40),
    "blue": (40, 80, 240),
    "yellow": (245, 215, 20),
    "purple": (170, 40, 190),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {"black": (0, 0, 0), "gray": (128, 128, 128), "white": (255, 255, 255)}
STEPS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
AXES: dict[str, tuple[int, int]] = {"sideways": (1, 0), "vertically": (0, 1)}
"""What a caption calls the direction of objects that turn round."""
TINT = (1, 0, -1)
"""What a tint of 1 adds to red, green and blue."""
SPEEDS = (1, 2)
"""All speeds that `World.speeds` may name, in pixels a frame."""
MID_GREY = 127.5
LATTICE = 8
"""Spacing in pixels of the lattice on which all centres start (its first point is `RADIUS`)."""
SPLIT_SHARES: dict[Split, float] = {"train": 0.5, "validation": 0.1, "report": 0.4}


@dataclass(frozen=True)
class Sprite:
    """One object."""

    shape: str
    colour: str


@dataclass(frozen=True)
class Content:
    """What an extended caption states about a scene."""

    sprites: tuple[Sprite, ...]
    direction: Direction
    background: str
    relation: Relation | None = None
    """Of the first sprite to the second; None where there is one sprite."""


@dataclass(frozen=True)
class Scene:
    """A content and one of its futures."""

    content: Content
    starts: tuple[tuple[int, int], ...]
    """The centre of each sprite in frame 0."""
    speed: int
    """Pixels a frame; where objects turn round, at first."""
    course: Course | None = None
    """Of the first sprite along its axis; None: objects do not turn round."""
    style: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Light, the background's tint and the objects', of the 0 to 255 of a colour."""

    def tracks(self, frames: int) -> NDArray[np.int64]:
        """Centres of all sprites in all frames, `(frames, sprites, 2)`."""
        if self.course is None:
            moved, step = np.arange(frames) * self.speed, np.array(STEPS[self.content.direction])
        else:
            moved, step = self.course.places(frames) - self.course.place, np.array(AXES[self.content.direction])
        return np.array(self.starts)[None] + moved[:, None, None] * step[None, None]


# ----------------------------------------------------------------------------------------- what there is
def directions(world: World) -> tuple[str, ...]:
    """What captions call the directions in which objects move."""
    return tuple(STEPS if world.turn == "none" else AXES)


def all_contents(sprites: int, world: World) -> list[Content]:
    """Every content with that many sprites, in a fixed order. Two sprites differ in shape and in colour."""
    kinds = [Sprite(shape, colour) for shape, colour in product(SPRITE_ROWS, COLOURS)]
    places = list(product(directions(world), BACKGROUNDS))
    if sprites == 1:
        return [Content((a,), d, b) for a in kinds for d, b in places]  # type: ignore[arg-type]
    pairs = [(a, b) for a, b in product(kinds, kinds) if a.shape != b.shape and a.colour != b.colour]
    relations: tuple[Relation, ...] = ("left of", "above")
    return [Content(p, d, b, r) for p in pairs for r in relations for d, b in places]  # type: ignore[arg-type]


def split_of(content: Content) -> Split:
    """The split a content belongs to: by a hash of its caption, so that no caption is in two splits."""
    digest = hashlib.blake2b(caption(content).encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < SPLIT_SHARES["train"]:
        return "train"
    return "validation" if place < SPLIT_SHARES["train"] + SPLIT_SHARES["validation"] else "report"


def contents_of(split: Split, sprites: int, world: World) -> list[Content]:
    """The contents of one split with that many sprites, in a fixed order."""
    return [content for content in all_contents(sprites, world) if split_of(content) == split]


# -------------------------------------------------------------------------------------------- one future
def sample_scene(content: Content, world: World, rng: np.random.Generator) -> Scene:
    """Sample start, speed and style of a content, so that the whole clip stays inside the frame.

    Raises:
        SaltError: the frame has no room for it.
    """
    if world.turn != "none":
        return _sample_turning(content, world, rng)
    speeds = [s for s in world.speeds if _room(content, world, s) is not None]
    if not speeds:
        raise SaltError(
            f"scale.world: size={world.size} and frames={world.frames} leave no room for {caption(content)!r}; "
            "accepted: a larger size or fewer frames"
        )
    while True:
        speed = int(rng.choice(speeds))
        offsets = _offsets(content, world, rng)
        box = _box(offsets, content.direction, world, speed)
        if box is not None:
            (x_low, x_high), (y_low, y_high) = box
            x, y = int(rng.choice(_places(x_low, x_high))), int(rng.choice(_places(y_low, y_high)))
            return Scene(content, tuple((x + dx, y + dy) for dx, dy in offsets), speed)


def _sample_turning(content: Content, world: World, rng: np.random.Generator) -> Scene:
    lanes, likely = futures(content, world)
    lane = int(rng.choice(lanes))
    course = likely[int(rng.choice(len(likely), p=[one.probability for one in likely]))].course
    scene = scene_of(content, world, lane, course)
    if world.style is None:
        return scene
    light, background, objects = rng.standard_normal(3)
    deviations = world.style.light * light, world.style.background * background, world.style.objects * objects
    return replace(scene, style=deviations)


def futures(content: Content, world: World) -> tuple[list[int], tuple[Likely, ...]]:
    """Where the first sprite of a content may be, in a world in which objects turn round.

    Returns:
        Lanes, coordinates across its axis, all as probable; its courses along the axis.

    Raises:
        SaltError: the frame has no room for it.
    """
    x, y = _gap(content, world)
    along, across = (x, y) if content.direction == "sideways" else (y, x)
    lanes, places = (_places(RADIUS, world.size - 1 - RADIUS - gap) for gap in (across, along))
    if not lanes or len(places) < 2:
        raise SaltError(
            f"scale.world: size={world.size} leaves no room for {caption(content)!r} to move; accepted: a larger size"
        )
    return lanes, courses(world, places[0], places[-1], world.frames)


def scene_of(content: Content, world: World, lane: int, course: Course) -> Scene:
    """A future of a content, without style."""
    dx, dy = _gap(content, world)
    x, y = (course.place, lane) if content.direction == "sideways" else (lane, course.place)
    starts = ((x, y),) if content.relation is None else ((x, y), (x + dx, y + dy))
    return Scene(content, starts, course.speeds[0], course)


def _gap(content: Content, world: World) -> tuple[int, int]:
    """From the first sprite to the second where objects turn round; (0, 0) where there is one."""
    if content.relation is None:
        return 0, 0
    return (world.pair_gaps[0], 0) if content.relation == "left of" else (0, world.pair_gaps[0])


def _offsets(content: Content, world: World, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    if content.relation is None:
        return ((0, 0),)
    gap, slip = int(rng.choice(world.pair_gaps)), int(rng.choice(world.pair_slips))
    return ((0, 0), (gap, slip) if content.relation == "left of" else (slip, gap))


def _box(
    offsets: tuple[tuple[int, int], ...], direction: str, world: World, speed: int
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Where the first sprite may start, `((x_low, x_high), (y_low, y_high))`; None: nowhere."""
    travel = (world.frames - 1) * speed
    bounds = []
    for axis in (0, 1):
        shifts = [o[axis] + m * STEPS[direction][axis] for o in offsets for m in (0, travel)]
        low, high = RADIUS - min(shifts), world.size - 1 - RADIUS - max(shifts)
        if not _places(low, high):
            return None
        bounds.append((low, high))
    return bounds[0], bounds[1]


def _places(low: int, high: int) -> list[int]:
    """The lattice points from `low` to `high`."""
    return [place for place in range(RADIUS, high + 1, LATTICE) if place >= low]


def _room(content: Content, world: World, speed: int) -> object:
    gap, slip = min(world.pair_gaps), min(world.pair_slips, key=abs)
    tight = {None: ((0, 0),), "left of": ((0, 0), (gap, slip)), "above": ((0, 0), (slip, gap))}
    return _box(tight[content.relation], content.direction, world, speed)


def shown(colour: tuple[int, int, int], world: World) -> NDArray[np.float64]:
    """A colour of the palette as the world shows it, without style."""
    contrast = 1.0 if world.style is None else world.style.contrast
    return MID_GREY + contrast * (np.array(colour) - MID_GREY)


def render(scene: Scene, world: World) -> NDArray[np.uint8]:
    """The video of a scene, uint8 `(F, H, W, 3)`."""
    return draw(scene.content, scene.tracks(world.frames), scene.style, world)


def draw(
    content: Content, tracks: NDArray[np.int64], style: tuple[float, float, float], world: World
) -> NDArray[np.uint8]:
    """The video, uint8 `(F, H, W, 3)`, of a content whose sprites have their centres at `tracks`, `(F, sprites, 2)`."""
    light, background, objects = style
    tint = np.array(TINT)

    def pixel(colour: tuple[int, int, int], own: float) -> NDArray[np.uint8]:
        return np.clip(np.rint(shown(colour, world) + light + own * tint), 0, 255).astype(np.uint8)

    video = np.empty((len(tracks), world.size, world.size, 3), dtype=np.uint8)
    video[:] = pixel(BACKGROUNDS[content.background], background)
    frames = np.arange(len(tracks))[:, None]
    for sprite, centres in zip(content.sprites, tracks.swapaxes(0, 1), strict=True):
        rows, columns = OFFSETS[sprite.shape]
        video[frames, centres[:, 1:] + rows, centres[:, :1] + columns] = pixel(COLOURS[sprite.colour], objects)
    return video


# ---------------------------------------------------------------------------------------------- captions
@dataclass(frozen=True)
class Mentions:
    """Which attributes a caption states; those it leaves out are not scored."""

    colour: bool = True
    direction: bool = True
    background: bool = True


SHORT_FORMS: dict[int, tuple[Mentions, ...]] = {
    1: (Mentions(False, True, False), Mentions(True, False, False), Mentions(True, False, True)),
    2: (Mentions(True, False, False), Mentions(True, True, False), Mentions(True, False, True)),
}
"""The short captions of one- and two-object scenes; like VBench's standard prompts, each leaves attributes out."""


def caption(content: Content, mentions: Mentions = Mentions()) -> str:
    """The caption of a content, extended by default."""
    names = [f"a {s.colour} {s.shape}" if mentions.colour else f"a {s.shape}" for s in content.sprites]
    words = names[0] if content.relation is None else f"{names[0]} {content.relation} {names[1]}"
    if mentions.direction:
        words += f" moving {content.direction}"
    return words + (f" on a {content.background} background" if mentions.background else "")
