"""Motion read off tracks made by hand: even, still, jumping, reversed and broken ones."""

import numpy as np
import pytest

from salt.config.world import World
from salt.data.world import AXES, SPEEDS, STEPS, Content, Scene, Sprite, futures, render, scene_of
from salt.evaluation.groundtruth import motion
from salt.evaluation.groundtruth.synthesis import fit
from support.turning import WORLD

FRAMES = World().frames


def moves(paths):
    return motion.Motion(paths, World()).moves()


def goes(paths, direction):
    return motion.Motion(paths, World()).goes(direction)


def smoothness(paths):
    return motion.Motion(paths, World()).smoothness()


def uniform_share(paths):
    return motion.Motion(paths, World()).uniform_share()


def travel(paths):
    return motion.Motion(paths, World()).travel()


def line(direction="right", speed=1, objects=1):
    way = (speed * np.arange(FRAMES))[:, None, None] * np.array(STEPS[direction])
    return np.tile(way, (1, objects, 1)) + 3.0 + 8 * np.arange(objects)[:, None]


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("objects", [1, 2])
def test_the_worlds_motion_is_perfect(direction, speed, objects):
    paths = line(direction, speed, objects)
    assert moves(paths)
    assert smoothness(paths) == 1
    assert uniform_share(paths) == 1
    assert [name for name in STEPS if goes(paths, name)] == [direction]
    assert np.allclose(np.abs(travel(paths)).sum(axis=1), (FRAMES - 1) * speed)


@pytest.mark.parametrize(
    "paths", [np.full((FRAMES, 1, 2), 7.0), np.full((FRAMES, 1, 2), np.nan), np.empty((FRAMES, 0, 2))]
)
def test_still_and_absent_objects_get_nothing(paths):
    assert not moves(paths)
    assert smoothness(paths) == 0
    assert uniform_share(paths) == 0
    assert not any(goes(paths, name) for name in STEPS)


@pytest.mark.parametrize("jump", [(0.0, 5.0), (0.0, 2.0), (2.0, 0.0), (-2.0, 0.0)])
def test_a_jump_costs_smoothness_and_uniformity(jump):
    """Two of the seven changes of velocity, one of the eight displacements."""
    for speed in SPEEDS:
        paths = line(speed=speed)
        paths[FRAMES // 2 :] += np.array(jump)
        assert smoothness(paths) == pytest.approx(1 - 2 / (FRAMES - 2))
        assert uniform_share(paths) == 1 - 1 / (FRAMES - 1)


def test_a_change_between_the_worlds_speeds_costs_half_of_a_jump():
    paths = line()
    paths[FRAMES // 2 :] += np.array([1.0, 0.0])
    assert smoothness(paths) == pytest.approx(1 - 1 / (FRAMES - 2))
    zigzag = line() + (np.arange(FRAMES) // 2)[:, None, None] * np.array([1.0, 0.0])
    assert smoothness(zigzag) == uniform_share(zigzag) == 0.5


def test_a_double_step_each_second_frame_is_not_the_uniform_motion_that_it_is_in_the_mean():
    stutter = line()
    stutter[1::2] = stutter[:-1:2]
    assert goes(stutter, "right")
    assert smoothness(stutter) == 0
    assert uniform_share(stutter) == 0.5


def test_another_speed_is_even_but_not_the_worlds():
    paths = line(speed=3)
    assert smoothness(paths) == 1
    assert uniform_share(paths) == 0


@pytest.mark.parametrize("jumps", [(4,), (0, 4)])
def test_standing_still_between_jumps_is_not_smooth(jumps):
    """As a model does that paints each latent frame still."""
    way = sum((np.arange(FRAMES) > jump) * 4.0 for jump in jumps)
    paths = 3 + way[:, None, None] * np.array([1.0, 0.0])
    assert moves(paths)
    assert smoothness(paths) == 0
    assert uniform_share(paths) == 0


def test_turning_round_is_neither_direction():
    there_and_back = np.abs(np.arange(FRAMES) - FRAMES // 2)[:, None, None] * np.array([1.0, 0.0]) + 3
    assert not goes(there_and_back, "left")
    assert not goes(there_and_back, "right")
    assert uniform_share(there_and_back) < 0.6


def test_lost_frames_cost_but_do_not_break_direction():
    paths = line()
    paths[[2, 6]] = np.nan
    assert goes(paths, "right")
    assert 0 < smoothness(paths) < 0.6
    assert 0 < uniform_share(paths) < 0.8


def test_an_object_seen_in_less_than_half_of_the_frames_does_not_move():
    paths = line()
    paths[: FRAMES // 2 + 1] = np.nan
    assert not moves(paths)


def test_both_objects_must_go_in_the_direction():
    paths = line(objects=2)
    paths[:, 1] = paths[0, 1]
    assert moves(paths)
    assert not goes(paths, "right")
    assert uniform_share(paths) == 0


def test_least_travel_is_three_pixels_in_nine_frames():
    assert motion.least_travel(9) == 3
    assert moves(line()[:1] + np.linspace(0, 3, FRAMES)[:, None, None] * np.array([1.0, 0.0]))
    assert not moves(line()[:1] + np.linspace(0, 2.9, FRAMES)[:, None, None] * np.array([1.0, 0.0]))


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
    assert uniform_share(paths) == 1


def test_frames_with_another_number_of_objects_are_gaps():
    world = World()
    video = render(Scene(Content((Sprite("square", "red"),), "down", "black"), ((4, 3),), 1), world).astype(np.float32)
    video[3] = 0
    paths = motion.tracks(fit(video))
    assert np.flatnonzero(np.isnan(paths).any(axis=(1, 2))).tolist() == [3]


# ---------------------------------------------------------------------------------------- where objects turn round
@pytest.mark.parametrize("direction", AXES)
@pytest.mark.parametrize("relation", [None, "left of", "above"])
def test_every_course_of_the_turning_world_is_perfect(direction, relation):
    sprites = (Sprite("ring", "red"), Sprite("cross", "blue"))[: 1 if relation is None else 2]
    content = Content(sprites, direction, "black", relation)
    lanes, likely = futures(content, WORLD)
    for course, _ in likely:
        paths = scene_of(content, WORLD, lanes[0], course).tracks(WORLD.frames).astype(float)
        seen = motion.Motion(paths, WORLD)
        assert seen.moves()
        assert seen.smoothness() == 1
        assert seen.uniform_share() == 1
        assert [name for name in AXES if seen.goes(name)] == [direction]


def test_turning_away_from_the_border_is_a_fault():
    """In mid-picture, where nothing of the world turns round."""
    there = np.array([11.0, 13, 15, 13, 11, 9, 11, 13, 15])
    paths = np.stack([there, np.full_like(there, 11)], axis=1)[:, None]
    assert motion.Motion(paths, WORLD).smoothness() < 0.8


def test_what_stands_still_or_flickers_does_not_move():
    still = np.full((WORLD.frames, 1, 2), 11.0)
    assert not motion.Motion(still, WORLD).moves()
    flicker = still.copy()
    flicker[4] += 16
    assert not motion.Motion(flicker, WORLD).moves()
    assert not any(motion.Motion(flicker, WORLD).goes(axis) for axis in AXES)
