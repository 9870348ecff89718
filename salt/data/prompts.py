"""The prompts of the evaluation: a fixed list of held-out captions, their dimensions, and rules for all captions.

A prompt is a `Content` of a split that training never saw, with its extended caption (all attributes) and a short one
(some left out, as in VBench's standard prompts). Its `dimensions` are the VBench dimensions that its videos enter:
a caption that does not state the direction is not scored on it. Videos are stored by `id`, never by caption.

A user's own captions have no ground truth: they are sampled, never scored.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from salt.config.world import Split, World
from salt.data.lines import CAPTION, Row, beside, check_caption_text, read_lines
from salt.data.world import SHORT_FORMS, Content, Mentions, caption, contents_of, render, sample_scene
from salt.draws import generator
from salt.errors import SaltError
from salt.files import sha256, write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Variant = Literal["extended", "short"]
Kind = Literal["single", "pair"]
Check = Callable[[str, str], None]
"""(place, caption) -> None; raises SaltError for a caption that networks do not understand."""

EVERY_PROMPT = (
    "subject_consistency",
    "background_consistency",
    "temporal_flickering",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "imaging_quality",
    "appearance_style",
    "temporal_style",
    "overall_consistency",
)
"""Dimensions that every prompt enters: they need no caption, or judge just what the caption states."""
OF_KIND: dict[Kind, tuple[str, ...]] = {
    "single": ("object_class",),
    "pair": ("multiple_objects", "spatial_relationship"),
}
_EVERYTHING = Mentions()
SWITCH = "=>"
"""Separates the captions with which a long video is prompted in turn."""


@dataclass(frozen=True)
class Prompt:
    """A caption of the evaluation, in both variants, with its ground truth."""

    id: str
    index: int
    content: Content
    extended: str
    short: str
    short_mentions: Mentions
    kind: Kind

    def text(self, variant: Variant) -> str:
        """The caption that the model is given."""
        return self.extended if variant == "extended" else self.short

    def texts(self, variant: Variant) -> tuple[str, ...]:
        """The captions of a long video, in turn: just one."""
        return (self.text(variant),)

    def mentions(self, variant: Variant) -> Mentions:
        """Which attributes that caption states."""
        return _EVERYTHING if variant == "extended" else self.short_mentions

    def dimensions(self, variant: Variant) -> tuple[str, ...]:
        """The VBench dimensions that videos of this prompt enter.

        As in VBench, `color` is for single objects only; `human_action` is the direction of motion.
        """
        mentions = self.mentions(variant)
        asked = {
            "color": self.kind == "single" and mentions.colour,
            "human_action": mentions.direction,
            "scene": mentions.background,
        }
        return EVERY_PROMPT + OF_KIND[self.kind] + tuple(name for name, scored in asked.items() if scored)


@dataclass(frozen=True)
class OwnPrompt:
    """A user's own caption, the same in all variants."""

    id: str
    index: int
    caption: str
    later: tuple[str, ...] = ()
    """Captions with which a long video is prompted after it, each for the same duration."""
    image: str | None = None
    """The picture file that an image-to-video network is conditioned on."""
    image_hash: str | None = None
    """SHA-256 of that file."""

    def text(self, variant: Variant) -> str:
        """The caption that the model is given."""
        return self.caption

    def texts(self, variant: Variant) -> tuple[str, ...]:
        """The captions of a long video, in turn."""
        return (self.caption, *self.later)


# -------------------------------------------------------------------------------------------- the list
def report_prompts(world: World, count: int, split: Split = "report") -> list[Prompt]:
    """The first `count` prompts of a split: one and two objects in turn, then pairs alone when singles are used up.

    Within a kind, prompts are ordered by a hash of the caption, so that attributes are balanced and a short list is the
    beginning of a longer one. Extended captions are all different; short ones may repeat. Within a kind, short captions
    cycle through `SHORT_FORMS`.

    Raises:
        SaltError: the split has fewer captions, or the world has no room for one of them.
    """
    singles, pairs = (_in_order(contents_of(split, count, world)) for count in (1, 2))
    turns = chain.from_iterable(zip_longest(singles, pairs))
    contents = [content for content in turns if content is not None]
    if not 1 <= count <= len(contents):
        raise SaltError(
            f"evaluation.prompts={count}: split {split!r} has {len(contents)} captions; accepted: 1 to {len(contents)}"
        )
    prompts: list[Prompt] = []
    so_far: dict[int, int] = {1: 0, 2: 0}
    for index, content in enumerate(contents[:count]):
        sample_scene(content, world, np.random.default_rng(0))  # refuses a world without room
        sprites = len(content.sprites)
        mentions = SHORT_FORMS[sprites][so_far[sprites] % len(SHORT_FORMS[sprites])]
        so_far[sprites] += 1
        kind: Kind = "single" if sprites == 1 else "pair"
        texts = caption(content), caption(content, mentions)
        prompts.append(Prompt(f"p{index:04d}", index, content, *texts, mentions, kind))
    return prompts


def _in_order(contents: list[Content]) -> list[Content]:
    return sorted(contents, key=lambda content: _digest("order of prompts: " + caption(content)))


def held_out_clip(prompt: Prompt, seed: int, world: World) -> NDArray[np.uint8]:
    """One future of a caption's content, sampled with the sampling seed, `(F, H, W, 3)`."""
    rng = generator(seed, "sampling/scene", 0, prompt.index)
    return render(sample_scene(prompt.content, world, rng), world)


# ------------------------------------------------------------------------------------------- the files
def prompts_hash(prompts: Sequence["DataclassInstance"]) -> str:
    """12 hexadecimal digits that change with any caption, id, content or mention of the list."""
    return _digest(json.dumps([asdict(prompt) for prompt in prompts]))[:12]


def write_prompts(path: Path, prompts: Sequence["DataclassInstance"]) -> None:
    """Write all fields of every prompt, and the hash of the list, as JSON."""
    body = {"hash": prompts_hash(prompts), "prompts": [asdict(prompt) for prompt in prompts]}
    write_text(path, json.dumps(body, indent=1) + "\n")


def read_prompts(path: Path, most: int = 1, check: Check = lambda place, text: None) -> list[OwnPrompt]:
    """A user's own captions, in a file of any form that `salt.data.lines` reads; ids are `own` and the line's number.

    A row of a `.jsonl` or of a table may name in `image` the picture that the video begins with. Bad lines are named in
    the log and left out.

    Args:
        path: the file.
        most: largest number of captions in a line, `caption A => caption B`, with which a video is prompted in turn.
        check: of every caption.

    Raises:
        SaltError: a missing file, or one without a good line.
    """

    def make(place: str, index: int, row: Row) -> OwnPrompt:
        own = _own(place, index, row, most, check)
        if not row.get("image"):
            return own
        picture = beside(place, path.parent, row["image"])
        return replace(own, image=str(picture), image_hash=sha256(picture))

    return read_lines(path, make)


def own_prompts(captions: Sequence[str], most: int = 1, check: Check = lambda place, text: None) -> list[OwnPrompt]:
    """A user's own captions as the command line has them; arguments as of `read_prompts`. Raises for a bad one."""
    return [_own(f"--caption: line {i + 1}", i, {CAPTION[0]: text}, most, check) for i, text in enumerate(captions)]


def _own(place: str, index: int, row: Row, most: int, check: Check) -> OwnPrompt:
    """A caption, or those of a line with which a video is prompted in turn."""
    line = check_caption_text(place, row[CAPTION[0]])
    captions = [part.strip() for part in line.split(SWITCH)] if SWITCH in line else [line]
    if len(captions) > most:
        accepted = f"up to {most}, one for each chunk" if most > 1 else "one, or a long video"
        raise SaltError(f"{place}: {len(captions)} captions, with {SWITCH} between them; accepted: {accepted}")
    for text in dict.fromkeys(captions):
        check(place, check_caption_text(place, text))
    return OwnPrompt(f"own{index:04d}", index, captions[0], tuple(captions[1:]))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
