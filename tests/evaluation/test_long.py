"""Long videos as clips: how they are cut, averaged and compared, against cases worked out by hand."""

import numpy as np
import pytest

from salt.config.world import World
from salt.data.prompts import report_prompts
from salt.data.world import BACKGROUNDS, COLOURS, MASKS, render, sample_scene
from salt.evaluation.groundtruth.long import (
    FOLLOWED,
    clip_starts,
    clip_to_clip,
    fuse,
    latent_frames,
    long_frames,
    mean_over_clips,
    score_long_video,
    split,
)
from salt.evaluation.groundtruth.scorer import score_video
from salt.evaluation.vbench.board import normalise
from salt.evaluation.video import upscale

WORLD = World()
PROMPTS = report_prompts(WORLD, 24)
SIDE, CLIP = WORLD.size, WORLD.frames


# ----------------------------------------------------------------------------------------------- cutting
@pytest.mark.parametrize(
    ("frames", "starts"),
    [
        (69, [0, 9, 18, 27, 36, 45, 54, 60]),  # 7 clips and 6 frames, completed with the 3 before them
        (63, [0, 9, 18, 27, 36, 45, 54]),
        (10, [0, 1]),
        (9, [0]),
        (5, [0]),
    ],
)
def test_where_clips_start(frames, starts):
    assert clip_starts(frames, 9) == starts
    video = np.arange(frames, dtype=np.uint8)[:, None, None, None]
    clips = split(video, 9)
    assert [clip[:, 0, 0, 0].tolist() for clip in clips] == [
        list(range(start, min(start + 9, frames))) for start in starts
    ]


@pytest.mark.parametrize("clip", [1, 4, 7])
@pytest.mark.parametrize("frames", range(1, 20))
def test_every_frame_is_in_a_clip_and_all_are_as_long(frames, clip):
    starts = clip_starts(frames, clip)
    covered = [i for start in starts for i in range(start, min(start + clip, frames))]
    assert set(covered) == set(range(frames))
    assert len(covered) == len(starts) * min(clip, frames)
    assert len(starts) == -(-frames // clip)


# --------------------------------------------------------------------------------------------- averaging
def test_mean_over_clips_counts_booleans_and_leaves_out_what_is_missing():
    clips = [
        {"scene": 0.5, "dynamic_degree": True, "color": None, "human_action": False},
        {"scene": 0.75, "dynamic_degree": True, "color": 1.0, "human_action": True},
        {"scene": 1.0, "dynamic_degree": False, "color": 0.5, "human_action": False},
    ]
    got = mean_over_clips(clips)
    assert got == pytest.approx({"scene": 0.75, "dynamic_degree": 2 / 3, "color": 0.75, "human_action": 1 / 3})
    assert all(type(value) is float for value in got.values())
    assert mean_over_clips([{"color": None}, {"color": None}]) == {"color": None}


def test_the_halves_of_a_consistency_weigh_the_same():
    assert fuse(0.75, 0.25) == 0.5
    assert fuse(1.0, 0.0) == 0.5


# ----------------------------------------------------------------------------------------- clip to clip
def frame(*sprites, background=(0, 0, 0)):
    """One frame with sprites (shape, colour, x, y)."""
    image = np.empty((SIDE, SIDE, 3), dtype=np.float32)
    image[:] = background
    for shape, colour, x, y in sprites:
        image[y - 3 : y + 4, x - 3 : x + 4][MASKS[shape]] = COLOURS[colour]
    return image


A, A_ELSEWHERE = ("square", "red", 8, 8), ("square", "red", 20, 24)
OTHER_COLOUR, OTHER_SHAPE = ("square", "blue", 8, 8), ("ring", "red", 8, 8)


def shares(*frames):
    raw = clip_to_clip(np.stack(frames))
    assert list(raw) == ["subject_consistency", "background_consistency"]
    return [normalise(name, value) for name, value in raw.items()]


def test_the_same_objects_anywhere_are_consistent():
    assert shares(frame(A), frame(A_ELSEWHERE), frame(A)) == pytest.approx([1, 1])
    left, right = ("ring", "blue", 6, 16), ("cross", "yellow", 24, 16)
    swapped = frame(("cross", "yellow", 6, 16), ("ring", "blue", 24, 16))
    assert shares(frame(left, right), swapped) == pytest.approx([1, 1])


@pytest.mark.parametrize("other", [(OTHER_COLOUR,), (OTHER_SHAPE,), (), (A, ("ring", "blue", 24, 24))])
def test_a_clip_is_compared_with_the_one_before_and_the_first(other):
    """A A B A: with the one before 1, 0, 0; with the first 1, 0, 1; the mean of all six is a half."""
    subject, background = shares(frame(A), frame(A_ELSEWHERE), frame(*other), frame(A))
    assert subject == pytest.approx(1 / 2)
    assert background == pytest.approx(1)


def test_a_change_that_stays_is_paid_for_by_every_later_clip():
    """A B B B: with the one before 0, 1, 1; with the first never."""
    assert shares(frame(A), *[frame(OTHER_SHAPE)] * 3)[0] == pytest.approx(2 / 6)


def test_frames_without_objects_are_not_the_same():
    assert shares(frame(), frame()) == pytest.approx([0, 1])


def test_a_drifting_background_is_caught_by_the_first_frame():
    """By 16 of 64 units a clip: 1/4 is lost to the one before each time, 1/4, 1/2, 3/4 and all to the first."""
    grays = [frame(A, background=(level,) * 3) for level in (0, 16, 32, 48, 64)]
    assert shares(*grays)[1] == pytest.approx((4 * 0.75 + 0.75 + 0.5 + 0.25 + 0) / 8, abs=1e-6)
    black, white = (frame(A, background=BACKGROUNDS[name]) for name in ("black", "white"))
    assert shares(black, white, black)[1] == pytest.approx((0 + 0 + 0 + 1) / 4)


# ------------------------------------------------------------------------------------------ whole videos
def clip_of(prompt):
    return render(sample_scene(prompt.content, WORLD, np.random.default_rng(prompt.index)), WORLD)


def all_scores(video, prompt):
    return score_long_video(upscale(video, WORLD.video_scale), prompt, "extended", WORLD)


def score(video, prompt):
    """Without the parts."""
    return {name: value for name, value in all_scores(video, prompt).items() if "@" not in name}


@pytest.mark.parametrize("prompt", PROMPTS[:2], ids=lambda prompt: prompt.kind)
def test_an_exact_clip_again_and_again_scores_as_one(prompt):
    clip = clip_of(prompt)
    results = score_video(upscale(clip, WORLD.video_scale), prompt, "extended", WORLD)
    alone = {name: float(value) for name, value in results.items()}
    assert score(clip, prompt) == pytest.approx(alone)
    assert score(np.concatenate([clip] * 3), prompt) == pytest.approx(alone)


@pytest.mark.parametrize("length", [1, 2, 6])
def test_a_long_video_has_as_many_latent_frames_as_its_clips(length):
    """Of which the first alone is one video frame."""
    assert (latent_frames(WORLD), latent_frames(World(frames=81))) == (3, 21)
    assert long_frames(WORLD, length) == {1: 9, 2: 21, 6: 69}[length]


def another_object():
    """Prompts of two single objects before the same background."""
    return next(
        (a, b)
        for a in PROMPTS
        for b in PROMPTS
        if a.kind == b.kind == "single"
        and a.content.background == b.content.background
        and a.content.sprites[0].shape != b.content.sprites[0].shape
        and a.content.sprites[0].colour != b.content.sprites[0].colour
    )


def test_what_is_followed_is_reported_clip_by_clip():
    prompt, other = another_object()
    got = all_scores(np.concatenate([clip_of(prompt)] * 2 + [clip_of(other)]), prompt)
    for name in ("object_class", "color"):
        assert [got[f"{name}@clip{i}"] for i in range(3)] == pytest.approx([1, 1, 0])
    for name in ("subject_consistency", "imaging_quality"):
        clips = [
            score_video(upscale(clip_of(p), WORLD.video_scale), p, "extended", WORLD) for p in (prompt, prompt, other)
        ]
        assert [got[f"{name}@clip{i}"] for i in range(3)] == pytest.approx([clip[name] for clip in clips])
    assert set(got) - {name.partition("@")[0] for name in got} == {
        *(f"{name}@clip{i}" for name in FOLLOWED for i in range(3)),
        *(f"{name}_consistency@{half}" for name in ("subject", "background") for half in ("in_clip", "clip_to_clip")),
    }


def test_the_halves_of_a_consistency_are_reported():
    prompt, other = another_object()
    got = all_scores(np.concatenate([clip_of(prompt)] * 3 + [clip_of(other)]), prompt)
    halves = [
        normalise("subject_consistency", got[f"subject_consistency@{half}"]) for half in ("in_clip", "clip_to_clip")
    ]
    assert halves == pytest.approx([1, 4 / 6])
    two = "background_consistency@in_clip", "background_consistency@clip_to_clip"
    assert fuse(*(got[half] for half in two)) == got["background_consistency"]


def test_clips_that_a_prompt_is_not_scored_on_are_not_reported():
    pair = next(prompt for prompt in PROMPTS if prompt.kind == "pair")
    assert {name.partition("@")[0] for name in all_scores(clip_of(pair), pair) if "@" in name} == {
        "subject_consistency",
        "imaging_quality",
    }


def test_another_object_from_some_clip_on():
    """Three clips of the captioned object and one of another (in-clip 1 all over): 3/4 right, fused 5/6 consistent."""
    prompt, other = another_object()
    got = score(np.concatenate([clip_of(prompt)] * 3 + [clip_of(other)]), prompt)
    assert normalise("subject_consistency", got["subject_consistency"]) == pytest.approx((1 + 4 / 6) / 2)
    assert normalise("background_consistency", got["background_consistency"]) == pytest.approx(1)
    assert got["object_class"] == pytest.approx(3 / 4)
    assert got["color"] == pytest.approx(3 / 4)
    assert got["same_object"] == pytest.approx(1)
