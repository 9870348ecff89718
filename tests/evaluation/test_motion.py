"""Motion read off tracks made by hand: even, still, jumping, reversed and broken ones."""

import numpy as np
import pytest

from salt.config.schema import World
from salt.data.world import STEPS, Content, Scene, Sprite, render
from salt.evaluation import motion
from salt.evaluation.synthesis import fit

FRAMES = 17


def line(direction="right", slow=1, objects=1):
    way = (np.arange(FRAMES) // slow)[:, None, None] * np.array(STEPS[direction])
    return np.tile(way, (1, objects, 1)) + 3.0 + 8 * np.arange(objects)[:, None]


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize("slow", [1, 2])
@pytest.mark.parametrize("objects", [1, 2])
def test_the_worlds_motion_is_perfect(direction, slow, objects):
    paths = line(direction, slow, objects)
    assert motion.moves(paths)
    assert motion.smoothness(paths) == 1
    assert motion.uniform_share(paths) == 1
    assert [name for name in STEPS if motion.goes(paths, name)] == [direction]
    assert np.allclose(np.abs(motion.travel(paths)).sum(axis=1), 16 / slow, atol=0.1)


@pytest.mark.parametrize(
    "paths", [np.full((FRAMES, 1, 2), 7.0), np.full((FRAMES, 1, 2), np.nan), np.empty((FRAMES, 0, 2))]
)
def test_still_and_absent_objects_get_nothing(paths):
    assert not motion.moves(paths)
    assert motion.smoothness(paths) == 0
    assert motion.uniform_share(paths) == 0
    assert not any(motion.goes(paths, name) for name in STEPS)


def test_a_jump_costs_smoothness_and_uniformity():
    paths = line()
    paths[9:] += np.array([0.0, 5.0])
    assert 0.7 < motion.smoothness(paths) < 0.9
    assert 0.8 < motion.uniform_share(paths) < 0.9


def test_a_double_step_each_second_frame_is_uniform_in_the_mean_but_another_speed_is_not():
    stutter = 2 * line("right", 2) - 3
    assert motion.uniform_share(stutter) == 1
    assert motion.uniform_share(2 * line("right", 1) - 3) == 0


def test_turning_round_is_neither_direction():
    there_and_back = np.abs(np.arange(FRAMES) - 8.0)[:, None, None] * np.array([1.0, 0.0]) + 3
    assert not motion.goes(there_and_back, "left")
    assert not motion.goes(there_and_back, "right")
    assert motion.uniform_share(there_and_back) < 0.6


def test_lost_frames_cost_but_do_not_break_direction():
    paths = line()
    paths[[4, 9]] = np.nan
    assert motion.goes(paths, "right")
    assert 0 < motion.smoothness(paths) < 0.6
    assert 0 < motion.uniform_share(paths) < 0.8


def test_an_object_seen_in_less_than_half_of_the_frames_does_not_move():
    paths = line()
    paths[:10] = np.nan
    assert not motion.moves(paths)


def test_both_objects_must_go_in_the_direction():
    paths = line(objects=2)
    paths[:, 1] = paths[0, 1]
    assert motion.moves(paths)
    assert not motion.goes(paths, "right")
    assert motion.uniform_share(paths) == 0


def test_least_travel_is_three_pixels_in_seventeen_frames():
    assert motion.least_travel(17) == 3
    assert motion.moves(line()[:1] + np.linspace(0, 3, FRAMES)[:, None, None] * np.array([1.0, 0.0]))
    assert not motion.moves(line()[:1] + np.linspace(0, 2.9, FRAMES)[:, None, None] * np.array([1.0, 0.0]))


def test_tracks_keep_objects_apart_when_their_looks_change():
    """The order in which sprites are found depends on contrast; a track must not swap when a colour changes."""
    world = World()
    parts = []
    for colours in (("red", "blue"), ("blue", "red")):
        sprites = tuple(Sprite(shape, colour) for shape, colour in zip(("square", "ring"), colours, strict=True))
        parts.append(render(Scene(Content(sprites, "down", "black", "left of"), ((4, 3), (14, 3)), 1), world))
    video = np.concatenate([parts[0][:8], parts[1][8:]]).astype(np.float32)
    paths = motion.tracks(fit(video))
    assert paths.shape == (FRAMES, 2, 2)
    assert {tuple(x) for x in paths[:, :, 0].T} == {(4.0,) * FRAMES, (14.0,) * FRAMES}
    assert motion.uniform_share(paths) == 1


def test_frames_with_another_number_of_objects_are_gaps():
    world = World()
    video = render(Scene(Content((Sprite("square", "red"),), "down", "black"), ((4, 3),), 1), world).astype(np.float32)
    video[3] = 0
    paths = motion.tracks(fit(video))
    assert np.flatnonzero(np.isnan(paths).any(axis=(1, 2))).tolist() == [3]
