"""Each dimension against a clip in which that one thing was changed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from salt.config.world import World
from salt.data.prompts import report_prompts
from salt.data.world import BACKGROUNDS, COLOURS, MASKS, Mentions, Scene, Sprite, render, sample_scene
from salt.evaluation.groundtruth.scorer import flickering, score_video
from salt.evaluation.vbench.board import DIMENSIONS, normalise
from salt.evaluation.video import upscale
from support.turning import WORLD as TURNING

WORLD = World()
PROMPTS = report_prompts(WORLD, 24)
SINGLE, PAIR = PROMPTS[0], PROMPTS[1]
SHAPE = (WORLD.frames, WORLD.size, WORLD.size, 3)


def clip_of(prompt, content=None):
    scene = sample_scene(prompt.content, WORLD, np.random.default_rng(prompt.index))
    return render(Scene(content or prompt.content, scene.starts, scene.speed), WORLD)


def shares(video, prompt, variant="extended"):
    """Scores as shares from 0 to 1, `same_object` left as it is."""
    out = score_video(upscale(np.asarray(video, np.uint8), WORLD.video_scale), prompt, variant, WORLD)
    out["imaging_quality"] /= 100
    return {k: v if v is None or k == "same_object" else normalise(k, v) for k, v in out.items()}


def moved(video, prompt, than=None, by=0.02, variant="extended"):
    """Names of the dimensions that differ from those of the exact clip."""
    exact, got = shares(than if than is not None else clip_of(prompt), prompt, variant), shares(video, prompt, variant)
    return {name for name in exact if got[name] is None or abs(exact[name] - got[name]) > by} - {"same_object"}


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.id)
@pytest.mark.parametrize("variant", ["extended", "short"])
def test_exact_clips_are_perfect(prompt, variant):
    got = shares(clip_of(prompt), prompt, variant)
    assert set(got) == {*prompt.dimensions(variant), "same_object"}
    assert got.pop("temporal_flickering") > 0.9
    assert got == pytest.approx(dict.fromkeys(got, 1.0), abs=1e-4)


def test_types_are_those_of_vbenchs_entries():
    got = score_video(upscale(clip_of(SINGLE), WORLD.video_scale), SINGLE, "extended", WORLD)
    assert got["dynamic_degree"] is True
    assert got["human_action"] is True
    assert got["imaging_quality"] == pytest.approx(100)
    assert got["appearance_style"] == pytest.approx(DIMENSIONS["appearance_style"].high, abs=1e-4)


def test_flickering_is_vbenchs_formula():
    video = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    changes = [np.abs(a.astype(int) - b).mean() for a, b in zip(video[1:], video[:-1], strict=True)]
    assert flickering(video) == pytest.approx((255 - np.mean(changes)) / 255, abs=1e-12)


# ---------------------------------------------------------------------------------- one change at a time
def other(names, *used):
    return next(name for name in names if name not in used)


def test_wrong_shape():
    sprite = SINGLE.content.sprites[0]
    content = replace(SINGLE.content, sprites=(Sprite(other(MASKS, sprite.shape), sprite.colour),))
    assert moved(clip_of(SINGLE, content), SINGLE) == {"object_class", "overall_consistency"}


def test_wrong_colour():
    sprite = SINGLE.content.sprites[0]
    content = replace(SINGLE.content, sprites=(Sprite(sprite.shape, other(COLOURS, sprite.colour)),))
    assert moved(clip_of(SINGLE, content), SINGLE) == {"color", "overall_consistency"}


def test_wrong_background():
    content = replace(SINGLE.content, background=other(BACKGROUNDS, SINGLE.content.background))
    assert moved(clip_of(SINGLE, content), SINGLE) == {"scene", "overall_consistency"}


def test_wrong_direction():
    assert moved(clip_of(SINGLE)[::-1], SINGLE) == {"human_action", "overall_consistency"}


def test_exchanged_places():
    content = replace(PAIR.content, sprites=PAIR.content.sprites[::-1])
    assert moved(clip_of(PAIR, content), PAIR) == {"spatial_relationship", "overall_consistency"}


def test_exchanged_colours():
    one, two = PAIR.content.sprites
    content = replace(PAIR.content, sprites=(Sprite(one.shape, two.colour), Sprite(two.shape, one.colour)))
    hit = moved(clip_of(PAIR, content), PAIR)
    assert hit == {"multiple_objects", "spatial_relationship", "overall_consistency"}


def test_second_object_missing():
    content = replace(PAIR.content, sprites=PAIR.content.sprites[:1])
    scene = sample_scene(PAIR.content, WORLD, np.random.default_rng(PAIR.index))
    video = render(Scene(replace(content, relation=None), scene.starts[:1], scene.speed), WORLD)
    assert moved(video, PAIR, by=0.05) == {"multiple_objects", "spatial_relationship", "overall_consistency"}


def test_attributes_that_a_caption_leaves_out_are_not_asked():
    prompt = replace(SINGLE, short_mentions=Mentions(colour=False, direction=False, background=False))
    sprite = SINGLE.content.sprites[0]
    content = replace(
        SINGLE.content,
        sprites=(Sprite(sprite.shape, other(COLOURS, sprite.colour)),),
        background=other(BACKGROUNDS, SINGLE.content.background),
    )
    video = clip_of(SINGLE, content)[::-1]
    assert moved(video, prompt, variant="short") == set()
    got = shares(video, prompt, "short")
    assert not {"color", "scene", "human_action"} & set(got)


def test_a_colour_that_changes_half_way_costs_consistency():
    sprite = SINGLE.content.sprites[0]
    content = replace(SINGLE.content, sprites=(Sprite(sprite.shape, other(COLOURS, sprite.colour)),))
    half = WORLD.frames // 2 + 1
    video = np.concatenate([clip_of(SINGLE)[:half], clip_of(SINGLE, content)[half:]])
    assert moved(video, SINGLE) == {"subject_consistency", "color", "overall_consistency"}
    got = shares(video, SINGLE)
    assert got["same_object"] == got["subject_consistency"] == got["color"] == pytest.approx(half / WORLD.frames)


# --------------------------------------------------------------------------------------- frames that cost
@pytest.mark.parametrize("prompt", [SINGLE, PAIR], ids=["single", "pair"])
@pytest.mark.parametrize("blob", ["sprite", "patch"])
def test_a_spare_blob_in_every_frame_costs(prompt, blob):
    video = clip_of(prompt).copy()
    there = (np.abs(video.astype(int) - video[:, :1, :1]).sum(axis=3) > 0).any(axis=0)
    reach = 7 if blob == "sprite" else 4
    places = range(WORLD.size + 1 - reach)
    free = [(y, x) for y in places for x in places if not there[y : y + reach, x : x + reach].any()]
    y, x = free[-1]
    used = [sprite.colour for sprite in prompt.content.sprites]
    if blob == "sprite":
        video[:, y : y + 7, x : x + 7][:, MASKS["cross"]] = COLOURS[other(COLOURS, *used)]
    else:
        video[:, y : y + 4, x : x + 4] = (120, 255, 255)
    hit = moved(video, prompt)
    assert "overall_consistency" in hit
    assert hit & {"object_class", "multiple_objects"}
    assert shares(video, prompt)["overall_consistency"] == 0


@pytest.mark.parametrize("prompt", [SINGLE, PAIR], ids=["single", "pair"])
def test_one_empty_frame_costs(prompt):
    video = clip_of(prompt).copy()
    middle = WORLD.frames // 2
    video[middle] = video[middle, 0, 0]
    hit = moved(video, prompt)
    assert {"subject_consistency", "imaging_quality", "aesthetic_quality", "overall_consistency"} <= hit
    assert not hit & {"scene", "background_consistency", "human_action", "dynamic_degree", "color"}


def test_a_still_clip_does_not_win_by_standing_still():
    video = np.repeat(clip_of(SINGLE)[:1], WORLD.frames, axis=0)
    got = shares(video, SINGLE)
    assert got["temporal_flickering"] == 1
    for name in ("dynamic_degree", "motion_smoothness", "temporal_style", "human_action", "overall_consistency"):
        assert got[name] == 0, name


def test_pure_noise_scores_nothing_but_flickering():
    video = np.random.default_rng(0).integers(0, 256, SHAPE)
    for prompt in (SINGLE, PAIR):
        got = shares(video, prompt)
        assert got.pop("temporal_flickering") < 0.2
        assert got.pop("color", None) is None
        assert max(got.values()) < 0.02


def test_an_empty_clip_scores_only_for_its_background():
    video = np.broadcast_to(clip_of(SINGLE)[:, :1, :1], SHAPE)
    got = shares(video, SINGLE)
    left = {name for name, value in got.items() if value}
    assert left == {"background_consistency", "temporal_flickering", "scene", "appearance_style"}
    assert got["color"] is None
    assert got["appearance_style"] == pytest.approx(0.5)


def test_imaging_quality_is_psnr_between_ten_and_forty_decibels():
    """Noise of 255 * 10^(-25/20) units has 25 dB, half of the way; the black background is avoided, where it is cut."""
    prompt = next(p for p in PROMPTS if p.content.background == "gray")
    noise = np.random.default_rng(0).normal(0, 255 * 10 ** (-25 / 20), SHAPE)
    got = shares(np.clip(np.rint(clip_of(prompt) + noise), 0, 255), prompt)
    assert got["imaging_quality"] == pytest.approx(0.5, abs=0.03)


def test_sharpness_is_symmetric_in_contrast():
    """Half the contrast has a quarter of the gradient energy; so has, the other way round, twice the contrast."""
    prompt = next(p for p in PROMPTS if p.content.background == "black" and p.kind == "single")
    video = clip_of(prompt).astype(float)
    assert shares(0.8 * video, prompt)["aesthetic_quality"] == pytest.approx(0.64, abs=0.01)
    changed = shares(np.clip(1.2 * video, 0, 255), prompt)
    assert changed["aesthetic_quality"] < 1
    assert changed["appearance_style"] < 1


# ----------------------------------------------------------------------------------------- image to video
def of_image(video, prompt, image):
    """The two shares of VBench-I2V."""
    stored = upscale(np.asarray(video, np.uint8), WORLD.video_scale)
    out = score_video(stored, prompt, "extended", WORLD, np.asarray(image, np.uint8))
    return {name: normalise(name, out[name]) for name in ("i2v_subject", "i2v_background")}


@pytest.mark.parametrize("prompt", PROMPTS[:6], ids=lambda prompt: prompt.id)
def test_a_clip_continues_its_own_first_frame(prompt):
    clip = clip_of(prompt)
    assert of_image(clip, prompt, clip[0]) == pytest.approx({"i2v_subject": 1, "i2v_background": 1}, abs=1e-4)


def test_only_the_first_frame_must_have_the_objects_in_their_places():
    """The same object elsewhere: one frame of nine is not as the image has it."""
    clip = clip_of(SINGLE)
    assert of_image(clip[::-1], SINGLE, clip[0])["i2v_subject"] == pytest.approx(1 - 1 / WORLD.frames)


@pytest.mark.parametrize("prompt", [SINGLE, PAIR], ids=["single", "pair"])
def test_other_objects_and_another_background_cost_what_they_should(prompt):
    clip, content = clip_of(prompt), prompt.content
    colours = tuple(Sprite(sprite.shape, other(COLOURS, sprite.colour)) for sprite in content.sprites)
    recoloured = of_image(clip_of(prompt, replace(content, sprites=colours)), prompt, clip[0])
    assert recoloured == pytest.approx({"i2v_subject": 0, "i2v_background": 1}, abs=1e-4)
    elsewhere = of_image(
        clip_of(prompt, replace(content, background=other(BACKGROUNDS, content.background))), prompt, clip[0]
    )
    assert elsewhere["i2v_subject"] == 1
    assert elsewhere["i2v_background"] < 0.9


def test_an_object_that_is_gone_or_come_costs():
    clip = clip_of(PAIR)
    gone = clip.copy()
    alone = replace(PAIR.content, sprites=PAIR.content.sprites[:1], relation=None, direction=SINGLE.content.direction)
    gone[4:] = clip_of(SINGLE, alone)[4:]
    assert of_image(gone, PAIR, clip[0])["i2v_subject"] == pytest.approx(4 / WORLD.frames)
    assert of_image(clip, PAIR, gone[8])["i2v_subject"] == 0


# ---------------------------------------------------------------------------------------- where objects turn round
TURNING_PROMPTS = report_prompts(TURNING, 24)


def turning_shares(video, prompt):
    out = score_video(upscale(np.clip(np.rint(video), 0, 255).astype(np.uint8), 8), prompt, "extended", TURNING)
    out["imaging_quality"] /= 100
    return {k: v if v is None or k == "same_object" else normalise(k, v) for k, v in out.items()}


def turning_clip(prompt, seed=0):
    return render(sample_scene(prompt.content, TURNING, np.random.default_rng([prompt.index, seed])), TURNING)


@pytest.mark.parametrize("prompt", TURNING_PROMPTS, ids=lambda prompt: prompt.id)
def test_exact_clips_of_any_style_are_nearly_perfect(prompt):
    got = turning_shares(turning_clip(prompt), prompt)
    assert got.pop("temporal_flickering") > 0.8  # larger objects in a smaller picture
    assert got == pytest.approx(dict.fromkeys(got, 1.0), abs=0.03)


def test_over_exposure_is_seen_beyond_what_styles_are():
    prompt = TURNING_PROMPTS[0]
    light = TURNING.style.light
    inside, beyond = (turning_shares(turning_clip(prompt) + shift * light, prompt) for shift in (1, 8))
    assert beyond["appearance_style"] < inside["appearance_style"] - 0.1
