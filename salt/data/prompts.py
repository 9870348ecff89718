"""The prompts of the evaluation: a fixed list of held-out captions, their dimensions, and rules for all captions.

A prompt is a `Content` of a split that training never saw, with its extended caption (all attributes) and a short one
(some left out, as in VBench's standard prompts). Its `dimensions` are the VBench dimensions that its videos enter:
a caption that does not state the direction is not scored on it. Videos are stored by `id`, never by caption.

A user's own captions have no ground truth: they are sampled, never scored.
"""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from salt.config.world import Split, World
from salt.data.world import SHORT_FORMS, Content, Mentions, caption, contents_of, render, sample_scene
from salt.draws import generator
from salt.errors import SaltError
from salt.files import sha256, write_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Variant = Literal["extended", "short"]
Kind = Literal["single", "pair"]

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
LONGEST = 1000
"""Most characters of a user's own caption."""
NO_TEXT = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "So", "Me")
"""Unicode categories that no caption may hold: control characters, line breaks, surrogates, emoji."""


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


def read_prompts(path: Path, most: int = 1) -> list[OwnPrompt]:
    """A user's own captions: a text file in UTF-8, one caption a line. Ids are `own0000`, `own0001`, ...

    In a `.jsonl` file a line is `{"caption": ..., "image": FILE}`, with the picture that the video begins with.

    Args:
        path: the file.
        most: largest number of captions in a line, `caption A => caption B`, with which a video is prompted in turn.

    Raises:
        SaltError: a missing file or picture, too many captions in a line, or one that `check_prompt_text` refuses.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise SaltError(f"{path}: {error}; accepted: a text file in UTF-8, one caption a line") from error
    if path.suffix == ".jsonl":
        return [_pictured(f"{path}: line {index + 1}", path.parent, index, line) for index, line in enumerate(lines)]
    return own_prompts(path, lines, most)


def own_prompts(source: Path | str, lines: Sequence[str], most: int = 1) -> list[OwnPrompt]:
    """A user's own captions, one a line; arguments and errors as of `read_prompts`.

    Args:
        source: the file or option that they are of, for messages.
        lines: the captions.
        most: see `read_prompts`.
    """
    prompts: list[OwnPrompt] = []
    for index, line in enumerate(lines):
        place = f"{source}: line {index + 1}"
        captions = [part.strip() for part in line.split(SWITCH)] if SWITCH in line else [line]
        if len(captions) > most:
            accepted = f"up to {most}, one for each chunk" if most > 1 else "one, or a long video"
            raise SaltError(f"{place}: {len(captions)} captions, with {SWITCH} between them; accepted: {accepted}")
        caption, *later = [check_prompt_text(place, text) for text in captions]
        prompts.append(OwnPrompt(f"own{index:04d}", index, caption, tuple(later)))
    return prompts


def _pictured(place: str, folder: Path, index: int, line: str) -> OwnPrompt:
    """A caption and the picture that its video begins with."""
    accepted = 'accepted: {"caption": ..., "image": FILE}, the file by its place from here or in full'
    try:
        row = json.loads(line)
        caption, image = check_prompt_text(place, str(row["caption"])), folder / str(row["image"])
    except (ValueError, KeyError, TypeError) as error:
        raise SaltError(f"{place}: {error!r}; {accepted}") from error
    if not image.is_file():
        raise SaltError(f"{place}: there is no file {image}; {accepted}")
    return OwnPrompt(f"own{index:04d}", index, caption, image=str(image), image_hash=sha256(image))


def check_prompt_text(place: str, text: str) -> str:
    """Refuse a text that is no caption, and return any other unchanged.

    Args:
        place: file and line of the text, for the message.
        text: the caption.

    Raises:
        SaltError: the text is empty, too long, or not plain text in one line; the offending character is named.
    """
    accepted = f"accepted: 1 to {LONGEST} characters of plain text without /, \\, control characters and emoji"
    if not text.strip() or len(text) > LONGEST:
        raise SaltError(f"{place}: {len(text.strip())} characters; {accepted}")
    for number, character in enumerate(text, start=1):
        if character in "/\\" or unicodedata.category(character) in NO_TEXT:
            raise SaltError(f"{place}: character {number} is U+{ord(character):04X}; {accepted}")
    return text


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
