"""Motion read off tracks made by hand: even, still, jumping, reversed and broken ones."""

import numpy as np
import pytest

from salt.config.world import World
from salt.data.world import SPEEDS, STEPS, Content, Scene, Sprite, render
from salt.evaluation.groundtruth import motion
from salt.evaluation.groundtruth.synthesis import fit

FRAMES = World().frames


def line(direction="right", speed=1, objects=1):
    way = (speed * np.arange(FRAMES))[:, None, None] * np.array(STEPS[direction])
    return np.tile(way, (1, objects, 1)) + 3.0 + 8 * np.arange(objects)[:, None]


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("objects", [1, 2])
def test_the_worlds_motion_is_perfect(direction, speed, objects):
    paths = line(direction, speed, objects)
    assert motion.moves(paths)
    assert motion.smoothness(paths) == 1
    assert motion.uniform_share(paths) == 1
    assert [name for name in STEPS if motion.goes(paths, name)] == [direction]
    assert np.allclose(np.abs(motion.travel(paths)).sum(axis=1), (FRAMES - 1) * speed)


@pytest.mark.parametrize(
    "paths", [np.full((FRAMES, 1, 2), 7.0), np.full((FRAMES, 1, 2), np.nan), np.empty((FRAMES, 0, 2))]
)
def test_still_and_absent_objects_get_nothing(paths):
    assert not motion.moves(paths)
    assert motion.smoothness(paths) == 0
    assert motion.uniform_share(paths) == 0
    assert not any(motion.goes(paths, name) for name in STEPS)


@pytest.mark.parametrize("jump", [(0.0, 5.0), (0.0, 2.0), (2.0, 0.0), (-2.0, 0.0)])
def test_a_jump_costs_smoothness_and_uniformity(jump):
    """Two of the seven changes of velocity, one of the eight displacements."""
    for speed in SPEEDS:
        paths = line(speed=speed)
        paths[FRAMES // 2 :] += np.array(jump)
        assert motion.smoothness(paths) == pytest.approx(1 - 2 / (FRAMES - 2))
        assert motion.uniform_share(paths) == 1 - 1 / (FRAMES - 1)


def test_a_change_between_the_worlds_speeds_costs_half_of_a_jump():
    paths = line()
    paths[FRAMES // 2 :] += np.array([1.0, 0.0])
    assert motion.smoothness(paths) == pytest.approx(1 - 1 / (FRAMES - 2))
    zigzag = line() + (np.arange(FRAMES) // 2)[:, None, None] * np.array([1.0, 0.0])
    assert motion.smoothness(zigzag) == motion.uniform_share(zigzag) == 0.5


def test_a_double_step_each_second_frame_is_not_the_uniform_motion_that_it_is_in_the_mean():
    stutter = line()
    stutter[1::2] = stutter[:-1:2]
    assert motion.goes(stutter, "right")
    assert motion.smoothness(stutter) == 0
    assert motion.uniform_share(stutter) == 0.5


def test_another_speed_is_even_but_not_the_worlds():
    paths = line(speed=3)
    assert motion.smoothness(paths) == 1
    assert motion.uniform_share(paths) == 0


@pytest.mark.parametrize("jumps", [(4,), (0, 4)])
def test_standing_still_between_jumps_is_not_smooth(jumps):
    """As a model does that paints each latent frame still."""
    way = sum((np.arange(FRAMES) > jump) * 4.0 for jump in jumps)
    paths = 3 + way[:, None, None] * np.array([1.0, 0.0])
    assert motion.moves(paths)
    assert motion.smoothness(paths) == 0
    assert motion.uniform_share(paths) == 0


def test_turning_round_is_neither_direction():
    there_and_back = np.abs(np.arange(FRAMES) - FRAMES // 2)[:, None, None] * np.array([1.0, 0.0]) + 3
    assert not motion.goes(there_and_back, "left")
    assert not motion.goes(there_and_back, "right")
    assert motion.uniform_share(there_and_back) < 0.6


def test_lost_frames_cost_but_do_not_break_direction():
    paths = line()
    paths[[2, 6]] = np.nan
    assert motion.goes(paths, "right")
    assert 0 < motion.smoothness(paths) < 0.6
    assert 0 < motion.uniform_share(paths) < 0.8


def test_an_object_seen_in_less_than_half_of_the_frames_does_not_move():
    paths = line()
    paths[: FRAMES // 2 + 1] = np.nan
    assert not motion.moves(paths)


def test_both_objects_must_go_in_the_direction():
    paths = line(objects=2)
    paths[:, 1] = paths[0, 1]
    assert motion.moves(paths)
    assert not motion.goes(paths, "right")
    assert motion.uniform_share(paths) == 0


def test_least_travel_is_three_pixels_in_nine_frames():
    assert motion.least_travel(9) == 3
    assert motion.moves(line()[:1] + np.linspace(0, 3, FRAMES)[:, None, None] * np.array([1.0, 0.0]))
    assert not motion.moves(line()[:1] + np.linspace(0, 2.9, FRAMES)[:, None, None] * np.array([1.0, 0.0]))


def test_tracks_keep_objects_apart_when_their_looks_change():
    """The order in which sprites are found depends on contrast; a track must not swap when a colour changes."""
    world = World()
    parts = []
    for colours in (("red", "blue"), ("blue", "red")):
        sprites = tuple(Sprite(shape, colour) for shape, colour in zip(("square", "ring"), colours, strict=True))
        parts.append(render(Scene(Content(sprites, "down", "black", "left of"), ((4, 3), (14, 3)), 1), world))
    half = FRAMES // 2
    video = np.concatenate([parts[0][:half], parts[1][half:]]).astype(np.float32)
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
