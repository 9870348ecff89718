"""Clips are functions of their number, never leak what is held out, and say what they show."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from salt.config import load_experiment
from salt.config.world import Split, World
from salt.data.clips import Clip, ClipSource, as_tensor, as_uint8, pretext, vocabulary
from salt.data.world import (
    BACKGROUNDS,
    COLOURS,
    SHORT_FORMS,
    SPLIT_SHARES,
    SPRITE_ROWS,
    STEPS,
    Content,
    Mentions,
    all_contents,
    caption,
    contents_of,
    render,
    split_of,
)
from salt.errors import SaltError

WORLD = World()
HELD_OUT = {caption(c) for split in ("validation", "report") for n in (1, 2) for c in contents_of(split, n, World())}


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    source = ClipSource(WORLD, "train", 3)
    return [source.clip(i) for i in range(400)]


def same(one: Clip, other: Clip) -> bool:
    """Whether two clips are the same in every part."""
    return (one.caption, one.content) == (other.caption, other.content) and np.array_equal(one.video, other.video)


def test_a_clip_is_a_function_of_split_seed_and_index(clips: list[Clip]) -> None:
    again = ClipSource(WORLD, "train", 3)
    assert all(same(again.clip(i), clips[i]) for i in (17, 3, 17, 399, 0))
    assert not same(clips[0], clips[1])
    assert not same(ClipSource(WORLD, "train", 4).clip(0), clips[0])
    assert len({clip.video.tobytes() for clip in clips}) > 350


def test_a_clip_is_the_picture_of_its_scene(clips: list[Clip]) -> None:
    """So clips of equal scenes are equal, and need not be made twice."""
    source = ClipSource(WORLD, "train", 3)
    scenes = [source.scene(i) for i in range(400)]
    assert all(np.array_equal(render(scene, WORLD), clip.video) for (scene, _), clip in zip(scenes, clips, strict=True))
    assert [words for _, words in scenes] == [clip.caption for clip in clips]


@pytest.mark.parametrize("split", SPLIT_SHARES)
def test_clips_show_contents_of_their_split_only(split: Split) -> None:
    source = ClipSource(WORLD, split, 0)
    assert {split_of(source.clip(i).content) for i in range(150)} == {split}


def test_every_clip_says_what_it_shows(clips: list[Clip]) -> None:
    for clip in clips:
        content = clip.content
        assert clip.caption in {caption(content, m) for m in (Mentions(), *SHORT_FORMS[len(content.sprites)])}
        colours = {COLOURS[sprite.colour] for sprite in content.sprites} | {BACKGROUNDS[content.background]}
        first, last = clip.video[[0, -1]].reshape(2, -1, 3).tolist()
        assert {tuple(pixel) for pixel in first} == {tuple(pixel) for pixel in last} == colours


def test_shares_are_those_of_the_world(clips: list[Clip]) -> None:
    pairs = np.mean([len(clip.content.sprites) == 2 for clip in clips])
    short = np.mean([clip.caption != caption(clip.content) for clip in clips])
    assert abs(pairs - WORLD.pair_share) < 0.08
    assert abs(short - WORLD.short_share) < 0.08
    for share in (0.0, 1.0):
        source = ClipSource(World(pair_share=share, short_share=1 - share), "train", 0)
        for clip in map(source.clip, range(30)):
            assert len(clip.content.sprites) == 1 + share
            assert (clip.caption == caption(clip.content)) == bool(share)


def test_a_world_without_room_is_refused() -> None:
    with pytest.raises(SaltError, match=r"scale\.world: size=16 and frames=33 leave no room"):
        ClipSource(World(size=16, frames=33), "train", 0).clip(0)


# ------------------------------------------------------------------------------------------ held out
@settings(max_examples=60)
@given(
    st.builds(World, size=st.sampled_from([32, 48, 64]), pair_share=st.floats(0, 1), short_share=st.floats(0, 1)),
    st.integers(0, 2**31),
    st.integers(0, 10**9),
)
def test_no_world_and_no_seed_shows_a_held_out_caption_in_training(world: World, seed: int, index: int) -> None:
    clip = ClipSource(world, "train", seed).clip(index)
    assert caption(clip.content) not in HELD_OUT
    assert clip.caption not in HELD_OUT


@pytest.mark.parametrize("key", ["split", "splits", "split_shares", "train_share", "seed", "contents", "captions"])
def test_no_configuration_can_move_captions_between_splits(key: str) -> None:
    """The split is a hash of the caption: there is no key for it, so train and report worlds cannot overlap."""
    for place in ("scale.world", "scale.evaluation", "train"):
        with pytest.raises(SaltError, match=f"{key}.*unknown key"):
            load_experiment("teacher", "smoke", {f"{place}.{key}": "0.9"})


# ------------------------------------------------------------------------------------------- tensors
def test_tensors_hold_the_pixels_and_give_them_back(clips: list[Clip]) -> None:
    stacked = np.stack([clip.video for clip in clips[:3]])
    tensor = as_tensor(stacked)
    assert tensor.shape == (3, 3, WORLD.frames, WORLD.size, WORLD.size)
    assert tensor.dtype == torch.float32
    assert tensor[2, 1, 4, 7, 9].item() == pytest.approx(stacked[2, 4, 7, 9, 1] / 255)
    assert np.array_equal(as_uint8(tensor), stacked)
    assert torch.equal(ClipSource(WORLD, "train", 3).videos([2, 0]), tensor[[2, 0]])
    odd = torch.tensor([-1.0, 0.0019, 0.0021, 2.0]).expand(1, 3, 1, 1, 4)
    assert as_uint8(odd)[0, 0, 0, :, 0].tolist() == [0, 0, 1, 255]


# ------------------------------------------------------------------------------------------- pretext
def test_the_vocabulary_covers_every_caption_of_every_split() -> None:
    contents = all_contents(1, World()) + all_contents(2, World())
    used = {
        word for c in contents for m in (Mentions(), *SHORT_FORMS[len(c.sprites)]) for word in caption(c, m).split()
    }
    assert vocabulary(World()) == sorted(used)


def test_pretext_labels_hold_the_caption_and_nothing_more() -> None:
    """Every caption can be written from its label alone, so neither holds what the other leaves out."""
    captions, labels = pretext(World())
    assert labels.shape == (4 * (len(contents_of("train", 1, World())) + len(contents_of("train", 2, World()))), 7)
    assert not set(captions) & HELD_OUT
    assert captions == [caption_of(row) for row in labels.tolist()]


def caption_of(label: list[int]) -> str:
    """The caption that a label stands for."""
    relation, direction, background, *sprites = label
    shapes, colours = [*SPRITE_ROWS, None], [*COLOURS, None]
    names = []
    for shape, colour in (sprites[:2], sprites[2:]):
        if shapes[shape] is not None:
            names.append(" ".join(["a", *([colours[colour]] if colours[colour] else []), shapes[shape]]))
    words = [names[0]] if relation == 0 else [names[0], ["left of", "above"][relation - 1], names[1]]
    words += [f"moving {list(STEPS)[direction]}"] if direction < len(STEPS) else []
    words += [f"on a {list(BACKGROUNDS)[background]} background"] if background < len(BACKGROUNDS) else []
    return " ".join(words)


def test_every_class_of_every_attribute_occurs() -> None:
    _, labels = pretext(World())
    shapes, colours = len(SPRITE_ROWS), len(COLOURS) + 1
    sizes = [3, len(STEPS) + 1, len(BACKGROUNDS) + 1, shapes, colours, shapes + 1, colours]
    assert [len(column.unique()) for column in labels.T] == sizes


def test_contents_are_sampled_evenly() -> None:
    """No content of the split is out of reach: 2,000 samples show all of some 120 one-object contents."""
    source = ClipSource(World(pair_share=0, frames=1), "train", 0)
    sampled: set[Content] = {source.clip(i).content for i in range(2000)}
    assert sampled == set(contents_of("train", 1, World()))
