"""The world keeps its promises for every one of its contents: splits, room, truth of captions, many futures."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config import load_scale
from salt.config.world import World
from salt.data.world import (
    BACKGROUNDS,
    COLOURS,
    LATTICE,
    MASKS,
    RADIUS,
    SHORT_FORMS,
    SPLIT_SHARES,
    SPRITE_ROWS,
    STEPS,
    Content,
    Scene,
    Sprite,
    all_contents,
    caption,
    contents_of,
    render,
    sample_scene,
)
from salt.errors import SaltError

WORLD = World()
SINGLES, PAIRS = all_contents(1, World()), all_contents(2, World())
CONTENTS = SINGLES + PAIRS
SIDE = 2 * RADIUS + 1
"""Pixels of a sprite."""


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """One future of every content."""
    return [sample_scene(content, WORLD, np.random.default_rng([7, i])) for i, content in enumerate(CONTENTS)]


def inside(scene: Scene, world: World) -> bool:
    """Whether all sprites are whole in all frames."""
    tracks = scene.tracks(world.frames)
    return tracks.min() >= RADIUS and tracks.max() <= world.size - 1 - RADIUS


# ---------------------------------------------------------------------------------------------- splits
def test_every_content_has_a_caption_of_its_own() -> None:
    assert (len(SINGLES), len(PAIRS)) == (240, 5760)
    assert len({caption(content) for content in CONTENTS}) == len(set(CONTENTS)) == 6000


def test_splits_share_no_caption_and_leave_none_out() -> None:
    captions = {split: {caption(c) for n in (1, 2) for c in contents_of(split, n, World())} for split in SPLIT_SHARES}
    for one, other in combinations(captions.values(), 2):
        assert not one & other
    assert set.union(*captions.values()) == {caption(content) for content in CONTENTS}
    assert all(len(of_split) >= 100 for of_split in captions.values())


@pytest.mark.parametrize("sprites", [1, 2])
def test_splits_have_their_shares_of_both_kinds(sprites: int) -> None:
    """Within three standard deviations of a fair draw."""
    total = len(all_contents(sprites, World()))
    for split, share in SPLIT_SHARES.items():
        assert abs(len(contents_of(split, sprites, World())) / total - share) < 3 * (share * (1 - share) / total) ** 0.5


def test_every_split_shows_every_attribute() -> None:
    for split in SPLIT_SHARES:
        contents = contents_of(split, 1, World()) + contents_of(split, 2, World())
        sprites = {sprite for content in contents for sprite in content.sprites}
        assert {sprite.shape for sprite in sprites} == set(SPRITE_ROWS)
        assert {sprite.colour for sprite in sprites} == set(COLOURS)
        assert {content.direction for content in contents} == set(STEPS)
        assert {content.background for content in contents} == set(BACKGROUNDS)
        assert {content.relation for content in contents} == {None, "left of", "above"}


# ----------------------------------------------------------------------------------------------- scenes
def test_every_content_stays_inside_the_frame(scenes: list[Scene]) -> None:
    assert all(inside(scene, WORLD) for scene in scenes)


@given(
    st.sampled_from(CONTENTS),
    st.sampled_from([16, 32, 48, 64, 96]),
    st.sampled_from([1, 5, 9, 13, 17, 33]),
    st.integers(0, 2**32 - 1),
)
def test_in_any_world_a_scene_is_inside_the_frame_or_refused(content: Content, size: int, frames: int, seed: int):
    world = World(size=size, frames=frames)
    try:
        scene = sample_scene(content, world, np.random.default_rng(seed))
    except SaltError as error:
        assert f"size={size} and frames={frames}" in str(error)  # noqa: PT017  (either outcome is right)
        assert frames - 1 + SIDE + (content.relation is not None) * LATTICE > size - LATTICE
    else:
        assert inside(scene, world)


@pytest.mark.parametrize("scale", ["smoke", "tiny", "small"])
def test_shipped_worlds_have_room(scale: str) -> None:
    """For one content of each relation and direction, which alone decide it."""
    world = load_scale(scale).world
    every = all_contents(1, world) + all_contents(2, world)
    for content in {(content.relation, content.direction): content for content in every}.values():
        assert inside(sample_scene(content, world, np.random.default_rng(0)), world)


def test_centres_start_on_the_lattice(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert not ((np.array(scene.starts) - RADIUS) % LATTICE).any()


def test_sprites_of_a_pair_never_overlap(scenes: list[Scene]) -> None:
    for scene in scenes[len(SINGLES) :]:
        first, second = scene.tracks(WORLD.frames).swapaxes(0, 1)
        assert (np.abs(first - second).max(axis=1) >= SIDE).all()


def test_tracks_have_the_relation_and_the_direction_of_the_caption(scenes: list[Scene]) -> None:
    for scene in scenes:
        tracks = scene.tracks(WORLD.frames)
        axis = 0 if scene.content.direction in ("left", "right") else 1
        moved = np.diff(tracks, axis=0)
        forward = moved[..., axis] * (1 if scene.content.direction in ("right", "down") else -1)
        assert (forward > 0).all()
        assert len(np.unique(forward)) == 1
        assert not moved[..., 1 - axis].any()
        if scene.content.relation is not None:
            along = 0 if scene.content.relation == "left of" else 1
            assert (tracks[:, 0, along] + SIDE <= tracks[:, 1, along]).all()


def test_one_caption_has_many_futures_and_the_first_frame_does_not_settle_them() -> None:
    for content in (*SINGLES[::13], *PAIRS[::401]):
        sampled = [sample_scene(content, WORLD, np.random.default_rng(seed)) for seed in range(60)]
        assert len({scene.starts for scene in sampled}) >= 3
        ends: dict[bytes, set[bytes]] = {}
        for scene in sampled:
            first, *_, last = render(scene, WORLD)
            ends.setdefault(first.tobytes(), set()).add(last.tobytes())
        assert max(map(len, ends.values())) >= 2, caption(content)


# --------------------------------------------------------------------------------------------- pictures
def test_pictures_show_the_sprites_where_the_tracks_are(scenes: list[Scene]) -> None:
    """Against masks placed one by one on a set of pixels."""
    for scene in scenes[::97]:
        video = render(scene, WORLD)
        for frame, centres in zip(video, scene.tracks(WORLD.frames), strict=True):
            painted = {}
            for sprite, (x, y) in zip(scene.content.sprites, centres, strict=True):
                rows = SPRITE_ROWS[sprite.shape]
                painted |= {
                    (y - RADIUS + i, x - RADIUS + j): COLOURS[sprite.colour]
                    for i in range(SIDE)
                    for j in range(SIDE)
                    if rows[i][j] == "#"
                }
            background = BACKGROUNDS[scene.content.background]
            expected = [[painted.get((y, x), background) for x in range(WORLD.size)] for y in range(WORLD.size)]
            assert (frame == np.array(expected)).all()


def test_sprites_differ_from_each_other_and_fill_their_square() -> None:
    for one, other in combinations(MASKS.values(), 2):
        assert (one != other).sum() >= SIDE
    for mask in MASKS.values():
        assert mask.shape == (SIDE, SIDE)
        assert mask.any(axis=0).all()
        assert mask.any(axis=1).all()


def test_a_render_is_a_function_of_its_scene(scenes: list[Scene]) -> None:
    again = sample_scene(CONTENTS[500], WORLD, np.random.default_rng([7, 500]))
    assert again == scenes[500]
    first = render(again, WORLD)
    assert first.dtype == np.uint8
    assert first.shape == (WORLD.frames, WORLD.size, WORLD.size, 3)
    assert first.tobytes() == render(scenes[500], WORLD).tobytes()


# --------------------------------------------------------------------------------------------- captions
def test_captions_read_as_they_should() -> None:
    red, blue = Sprite("square", "red"), Sprite("ring", "blue")
    assert caption(Content((red,), "up", "gray")) == "a red square moving up on a gray background"
    pair = Content((red, blue), "left", "black", "above")
    assert caption(pair) == "a red square above a blue ring moving left on a black background"


def test_short_captions_leave_out_exactly_what_they_say() -> None:
    for content, mentions in [(c, form) for c in CONTENTS for form in SHORT_FORMS[len(c.sprites)]]:
        expected = caption(content)
        if not mentions.colour:
            for sprite in content.sprites:
                expected = expected.replace(f"{sprite.colour} {sprite.shape}", sprite.shape)
        if not mentions.direction:
            expected = expected.replace(f" moving {content.direction}", "")
        if not mentions.background:
            expected = expected.replace(f" on a {content.background} background", "")
        assert caption(content, mentions) == expected != caption(content)


def test_no_short_caption_is_an_extended_one_of_any_split() -> None:
    extended = {caption(content) for content in CONTENTS}
    assert not extended & {caption(c, mentions) for c in CONTENTS for mentions in SHORT_FORMS[len(c.sprites)]}
