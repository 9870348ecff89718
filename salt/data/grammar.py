"""Which captions a world understands: those that it gives to its own clips, whole or with attributes left out."""

from collections.abc import Iterable
from itertools import product

from salt.config.world import World
from salt.data.world import BACKGROUNDS, COLOURS, SPRITE_ROWS, Mentions, all_contents, caption, directions
from salt.errors import SaltError

EVERY_MENTION = tuple(Mentions(*stated) for stated in product((True, False), repeat=3))


def check_caption(place: str, text: str, world: World) -> None:
    """Refuse a caption that no clip of the world has: a network was never told what it means.

    Args:
        place: option, or file and line, for the message.
        text: the caption.
        world: of the scale.

    Raises:
        SaltError: saying what is accepted, with an example.
    """
    for sprites in (1, 2):
        contents = all_contents(sprites, world)
        if any(text == caption(content, stated) for stated in EVERY_MENTION for content in contents):
            return
    raise SaltError(f"{place}: {text!r} is no caption of this world; accepted: {accepted_captions(world)}")


def accepted_captions(world: World) -> str:
    """The grammar in words, and an example."""
    moving = " or ".join(f"`moving {direction}`" for direction in directions(world))
    return (
        f"`a COLOUR SHAPE` ({_either(COLOURS)}; {_either(SPRITE_ROWS)}), or two unlike ones with `left of` or `above` "
        f"between them, then {moving}, then `on a BACKGROUND background` ({_either(BACKGROUNDS)}), as in "
        f"'{caption(all_contents(1, world)[0])}'"
    )


def _either(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"
