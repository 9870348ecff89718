"""Which captions a world understands: its own, whole and short, and no others."""

import pytest

from salt.config import load_scale
from salt.config.world import World
from salt.data.grammar import check_caption
from salt.data.prompts import report_prompts
from salt.errors import SaltError

TURNING = load_scale("tiny").world
STRAIGHT = World()


@pytest.mark.parametrize("world", [TURNING, STRAIGHT])
def test_the_worlds_own_captions_are_understood(world):
    for prompt in report_prompts(world, 8):
        check_caption("here", prompt.extended, world)
        check_caption("here", prompt.short, world)


@pytest.mark.parametrize(
    "text", ["a red ball moves left", "red square", "a red square on a black", "a red square left of a red square", ""]
)
def test_others_are_refused_with_an_example_that_is_understood(text):
    with pytest.raises(SaltError, match=r"^here: .* is no caption of this world; accepted: `a COLOUR SHAPE`") as caught:
        check_caption("here", text, TURNING)
    assert "\n" not in str(caught.value)
    assert "`moving sideways` or `moving vertically`" in str(caught.value)
    check_caption("here", str(caught.value).rsplit("'", 2)[1], TURNING)


def test_worlds_differ_in_how_objects_move():
    check_caption("here", "a blue ring moving up", STRAIGHT)
    with pytest.raises(SaltError, match="moving sideways"):
        check_caption("here", "a blue ring moving up", TURNING)
