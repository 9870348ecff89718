"""Analysis by synthesis gives back the rendered scene, also under noise, and finds nothing where nothing is."""

from itertools import product

import numpy as np
import pytest

from salt.config.world import World
from salt.data.world import (
    BACKGROUNDS,
    COLOURS,
    MASKS,
    RADIUS,
    Content,
    Scene,
    Sprite,
    contents_of,
    render,
    sample_scene,
)
from salt.evaluation.groundtruth.synthesis import BACKGROUND_NAMES, COLOUR_NAMES, SHAPE_NAMES, fit

WORLD = World()


def scenes(sprites, count):
    rng = np.random.default_rng(sprites)
    contents = contents_of("report", sprites, World())
    return [sample_scene(contents[i], WORLD, rng) for i in rng.choice(len(contents), count, replace=False)]


def found(explained, frame):
    each = zip(explained.shape[frame], explained.colour[frame], explained.centre[frame], strict=True)
    return {(SHAPE_NAMES[s], COLOUR_NAMES[c], *map(int, place)) for s, c, place in each if s >= 0}


def truth(scene, frame):
    each = zip(scene.content.sprites, scene.tracks(WORLD.frames)[frame], strict=True)
    return {(sprite.shape, sprite.colour, *map(int, place)) for sprite, place in each}


@pytest.mark.parametrize(("sprites", "noise"), [(1, 0), (2, 0), (1, 25), (2, 25)])
def test_scene_is_recovered(sprites, noise):
    rng = np.random.default_rng(0)
    for scene in scenes(sprites, 25):
        video = render(scene, WORLD)
        explained = fit(np.clip(video + rng.normal(0, noise, video.shape), 0, 255).astype(np.float32))
        assert all(found(explained, frame) == truth(scene, frame) for frame in range(WORLD.frames))
        assert {BACKGROUND_NAMES[i] for i in explained.background} == {scene.content.background}
        assert explained.clean().all()
        if not noise:
            assert np.abs(explained.render(explained.palette) - video).max() < 1e-3
            assert np.abs(explained.render(explained.mean_colour) - video).max() < 1e-2


def test_every_sprite_is_found_at_the_corners_of_every_background():
    ends = (RADIUS, WORLD.size - 1 - RADIUS)
    for shape in MASKS:
        for colour in COLOURS:
            for background in BACKGROUNDS:
                for corner in product(ends, ends):
                    content = Content((Sprite(shape, colour),), "left", background)
                    frame = render(Scene(content, (corner,), 1), World(frames=1)).astype(np.float32)
                    explained = fit(frame)
                    assert found(explained, 0) == {(shape, colour, *corner)}
                    assert not explained.spare[0]


def test_apart_leaves_a_margin_of_one_pixel():
    content = Content((Sprite("square", "red"),), "left", "black")
    explained = fit(render(Scene(content, ((10, 12),), 1), World(frames=1)).astype(np.float32))
    beside = ~explained.apart[0]
    assert beside[8:17, 6:15].all()
    assert beside.sum() == 81
    assert (explained.label[0] == 1).sum() == 49


def test_noise_and_plain_frames_have_no_objects():
    noise = fit(np.random.default_rng(0).uniform(0, 256, (300, WORLD.size, WORLD.size, 3)).astype(np.float32))
    assert (noise.count > 0).mean() < 0.02
    assert noise.clean().sum() == 0
    assert (noise.background == -1).all()
    plain = fit(np.full((3, WORLD.size, WORLD.size, 3), 255, np.float32))
    assert not plain.count.any()
    assert not plain.spare.any()
    assert [BACKGROUND_NAMES[i] for i in plain.background] == ["white"] * 3


@pytest.mark.parametrize("blob", ["third sprite", "patch", "ghost"])
def test_whatever_is_left_beside_the_objects_is_a_spare_blob(blob):
    content = Content((Sprite("square", "red"), Sprite("cross", "blue")), "left", "white", "left of")
    video = render(Scene(content, ((4, 4), (14, 4)), 1), World(frames=1)).astype(np.float32)
    if blob == "third sprite":
        video[0, 15:22, 10:17][MASKS["triangle"]] = COLOURS["green"]
    elif blob == "patch":
        video[0, 18:22, 2:6] = (0, 0, 0)
    else:
        video[0, 15:22, 10:17] = 0.5 * (video[0, 15:22, 10:17] + np.array(COLOURS["purple"]))
    explained = fit(video)
    assert explained.spare[0]
    assert not explained.clean()[0]


def test_half_transparent_objects_are_none():
    content = Content((Sprite("square", "red"),), "left", "black")
    video = render(Scene(content, ((10, 12),), 1), World(frames=1)).astype(np.float32) / 2
    assert fit(video).count[0] == 0
