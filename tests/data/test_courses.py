"""Objects that turn round: every course is counted, and a clip begins at any time of a video without beginning."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from salt.config.world import World
from salt.data.courses import KEY, courses
from salt.errors import SaltError

LOW, HIGH = 3, 27
FRAMES = 17


def world(turn: str, **changes: object) -> World:
    return World.model_validate({
        "speeds": [1, 2], "speed_shares": [0.25, 0.75], "turn": turn, "pair_gaps": [8], "pair_slips": [0], **changes,
    })  # fmt: skip


def states(course, frames):
    """Place, heading and speed at each latent frame but the last, from where it goes next."""
    places = course.places(frames)
    steps = np.diff(places)
    return [(int(places[f]), int(np.sign(steps[f])), int(abs(steps[f]))) for f in range(0, frames - 1, KEY)]


@pytest.mark.parametrize("turn", ["keep", "choose"])
def test_probabilities_add_up_and_no_course_is_counted_twice(turn):
    likely = courses(world(turn), LOW, HIGH, FRAMES)
    assert sum(one.probability for one in likely) == pytest.approx(1, abs=1e-12)
    paths = Counter(tuple(one.course.places(FRAMES)) for one in likely)
    assert max(paths.values()) == 1


@pytest.mark.parametrize("turn", ["keep", "choose"])
def test_any_window_of_a_video_is_a_clip(turn):
    """The law of (place, heading, speed) is the same at every latent frame, so a clip may begin at any of them."""
    laws = defaultdict(Counter)
    for course, probability in courses(world(turn), LOW, HIGH, FRAMES):
        for time, state in enumerate(states(course, FRAMES)):
            laws[time][state] += probability
    for time in range(1, len(laws)):
        assert laws[time].keys() == laws[0].keys()
        for state, probability in laws[0].items():
            assert laws[time][state] == pytest.approx(probability, abs=1e-12)


def test_a_clip_is_a_window_of_longer_ones():
    """What courses of 17 frames do in their last 9 frames has the law of courses of 9 frames."""
    short, long = Counter(), Counter()
    for course, probability in courses(world("choose"), LOW, HIGH, 9):
        short[tuple(course.places(9))] += probability
    for course, probability in courses(world("choose"), LOW, HIGH, FRAMES):
        long[tuple(course.places(FRAMES)[-9:])] += probability
    assert short.keys() == long.keys()
    for path, probability in short.items():
        assert long[path] == pytest.approx(probability, abs=1e-12)


def test_objects_stay_between_the_ends_and_turn_round_in_key_frames_alone():
    for course, _ in courses(world("choose"), LOW, HIGH, FRAMES):
        places = course.places(FRAMES)
        assert places.min() >= LOW
        assert places.max() <= HIGH
        steps = np.sign(np.diff(places))
        turns = np.flatnonzero(np.diff(steps)) + 1
        assert not (turns % KEY).any()
        assert all(places[turn] in (LOW, HIGH) for turn in turns)


def test_speeds_are_shared_as_told():
    of_clips, of_turns = Counter(), Counter()
    for course, probability in courses(world("keep"), LOW, HIGH, FRAMES):
        of_clips[course.speeds] += probability
    assert of_clips == {(1,): pytest.approx(0.25), (2,): pytest.approx(0.75)}
    for course, probability in courses(world("choose"), LOW, HIGH, 9):
        if len(course.speeds) == 2:  # one turn within the clip
            of_turns[course.speeds[1]] += probability
    assert of_turns[2] / of_turns.total() == pytest.approx(0.75)


def test_time_is_spent_on_slow_legs():
    """Half of the legs are slow, and they take twice as long: two thirds of all frames."""
    likely = courses(world("choose", speed_shares=[0.5, 0.5]), LOW, HIGH, 9)
    slow = sum(probability for course, probability in likely if course.speeds[0] == 1)
    assert slow == pytest.approx(2 / 3)


def test_ends_that_are_not_reached_in_a_key_frame_are_refused():
    with pytest.raises(SaltError, match=r"size=32: 18 pixels from border to border .* at 1 pixels a frame; accepted"):
        courses(world("keep"), 3, 21, 9)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"speed_shares": []}, "accepted: a share for each speed"),
        ({"turn": "none"}, "none where they do not"),
        ({"speed_shares": [0.5, 0.6]}, "add up to 1"),
        ({"speeds": [2, 2]}, "different speeds"),
        ({"pair_slips": [0, 8]}, r"slips \[0\]"),
        ({"pair_gaps": [8, 16]}, "one gap"),
    ],
)
def test_worlds_without_sense_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        world(**{"turn": "choose"} | changes)
