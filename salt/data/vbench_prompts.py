"""VBench's prompts: its own list with the dimensions of each, and the extended prompts that models are given instead.

A list is VBench's JSON, `[{prompt_en, dimension, auxiliary_info, image_name}, ...]`. The id of the n-th entry is `v`
and n with four digits; videos are stored by it. Two captions occur twice, in different dimensions, and each has its own
videos. The extended prompts are a text file, one a line, in the order of the list. A list may also be a text file
(MovieGen's): its prompts name no objects, colours or actions to look for, so they enter `OF_ANY_PROMPT` only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salt.config.vbench import OF_ANY_PROMPT, VBench
from salt.data.prompts import OF_KIND, Kind, Prompt, Variant
from salt.errors import SaltError
from salt.files import sha256
from salt.readers import read_list, read_text

LIST = "a list of VBench, [{prompt_en, dimension, ...}]"
LINES = "a text file in UTF-8, one prompt a line"
MOST_ALIKE = 0.1
"""Largest share of extended prompts that may equal the short ones; beyond it, the file is taken for the short list."""


@dataclass(frozen=True)
class VBenchPrompt:
    """One entry of the list."""

    id: str
    index: int
    short: str
    extended: str
    asked: tuple[str, ...]
    """The dimensions that its videos enter."""
    auxiliary: dict[str, Any]
    """What a dimension looks for: an object, a colour, ..."""
    image: str | None = None
    """File name of the first frame, of VBench-I2V."""

    @property
    def kind(self) -> Kind:
        """As of `Prompt`, for figures that pick prompts by kind: a pair if a dimension asks for two objects."""
        return "pair" if set(self.asked) & set(OF_KIND["pair"]) else "single"

    def text(self, variant: Variant) -> str:
        """The caption that the model is given."""
        return self.extended if variant == "extended" else self.short

    def texts(self, variant: Variant) -> tuple[str, ...]:
        """The captions of a long video, in turn: just one."""
        return (self.text(variant),)


AnyPrompt = Prompt | VBenchPrompt
"""A prompt whose videos are scored."""


def read_vbench_prompts(folder: Path, protocol: VBench) -> list[VBenchPrompt]:
    """The prompts of a protocol.

    Args:
        folder: with the two files.
        protocol: their names and hashes; without an extended list, `extended` repeats the short prompt.

    Raises:
        SaltError: a file is missing, has another hash than the protocol's or is not a list of VBench; or extended
            prompts are too few, too many, empty, or just the short ones.
    """
    path = folder / protocol.prompt_list
    _check_hash(path, protocol.prompt_list_hash, "evaluation.vbench.prompt_list_hash")
    if path.suffix == ".txt":
        rows: list[Any] = [{"prompt_en": line, "dimension": OF_ANY_PROMPT} for line in filter(None, _lines(path, LIST))]
    else:
        rows = read_list(path, LIST)
    try:
        entries = [_entry(row) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SaltError(f"{path}: {error!r}; accepted: {LIST}") from error
    short = [entry[0] for entry in entries]
    more = short if protocol.extended_list is None else _extended(folder / protocol.extended_list, protocol, short)
    return [
        VBenchPrompt(f"v{index:04d}", index, caption, extended, dimensions, auxiliary, image)
        for index, ((caption, dimensions, auxiliary, image), extended) in enumerate(zip(entries, more, strict=True))
    ]


def _entry(row: dict[str, Any]) -> tuple[str, tuple[str, ...], dict[str, Any], str | None]:
    """Prompt, dimensions, what they look for, and image of a row; raises ValueError where one is of another kind."""
    prompt, dimensions, image = row["prompt_en"], row["dimension"], row.get("image_name")
    if not isinstance(prompt, str) or not prompt.strip() or not isinstance(dimensions, list | tuple):
        raise ValueError("a row without a prompt and a list of dimensions")
    if image is not None and (not isinstance(image, str) or Path(image).name != image):
        raise ValueError(f"image_name {image!r}, which is no name of a file")
    return prompt, tuple(map(str, dimensions)), dict(row.get("auxiliary_info", {})), image


def _lines(path: Path, accepted: str) -> list[str]:
    return [line.strip() for line in read_text(path, accepted).removesuffix("\n").split("\n")]


def _extended(path: Path, protocol: VBench, short: Sequence[str]) -> list[str]:
    _check_hash(path, protocol.extended_list_hash, "evaluation.vbench.extended_list_hash")
    lines = _lines(path, LINES)
    if len(lines) != len(short) or not all(lines):
        raise SaltError(f"{path}: {sum(map(bool, lines))} prompts; accepted: {len(short)}, one a line, as the list has")
    alike = sum(one == other for one, other in zip(lines, short, strict=True))
    if alike > MOST_ALIKE * len(short):
        raise SaltError(f"{path}: {alike} of {len(short)} lines are the short prompts; accepted: extended prompts")
    return lines


def _check_hash(path: Path, expected: str | None, key: str) -> None:
    if not path.is_file():
        raise SaltError(f"{path}: there is no such file; accepted: the prompts that {key} names (see docs/vbench.md)")
    if expected is not None and (found := sha256(path)) != expected:
        raise SaltError(f"{path}: SHA-256 {found[:12]}...; accepted: {expected[:12]}..., as {key} says")
