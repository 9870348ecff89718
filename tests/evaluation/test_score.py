"""Scoring a folder: the right files or none, the same numbers in every output."""

import json
import shutil

import numpy as np
import pytest

from salt.config import load_scale
from salt.config.memory import Memory
from salt.config.scale import Evaluation, Long
from salt.config.world import World
from salt.data.prompts import held_out_clip, report_prompts
from salt.data.world import render, sample_scene
from salt.errors import SaltError
from salt.evaluation.cells import RECORD_COLUMNS, ModelCell
from salt.evaluation.groundtruth.folder import records, score_folder, write_cell
from salt.evaluation.lengths import BeyondTraining, TrainingLength
from salt.evaluation.scorers import scorer_of
from salt.evaluation.vbench.board import DIMENSIONS, TEXT, image_board
from salt.evaluation.vbench.results import raw_scores, read_results
from salt.evaluation.video import upscale, write_mp4

WORLD = World()
SIDE = WORLD.size * WORLD.video_scale
PROMPTS = report_prompts(WORLD, 6)
SEEDS = (0, 3)
CELL = ModelCell("sc_dmd", "short", "euler", 4, "SC-DMD", "tiny", 1)


def protocol_hash(world, evaluation, scale="tiny"):
    known = load_scale(scale).model_copy(update={"world": world, "evaluation": evaluation})
    return scorer_of(known, TrainingLength(evaluation)).protocol()


def long_protocol_hash(world, evaluation, long):
    known = load_scale("tiny").model_copy(update={"world": world, "evaluation": evaluation})
    return scorer_of(known, BeyondTraining(long)).protocol()


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for prompt in PROMPTS:
        for seed in SEEDS:
            scene = sample_scene(prompt.content, WORLD, np.random.default_rng((prompt.index, seed)))
            write_mp4(folder / prompt.id / f"{seed}.mp4", upscale(render(scene, WORLD), WORLD.video_scale), WORLD.fps)
    return folder


@pytest.fixture
def videos(exact, tmp_path):
    return shutil.copytree(exact, tmp_path / "videos")


def score(folder, variant="extended", prompts=PROMPTS):
    return score_folder(folder, prompts, variant, SEEDS, WORLD, "0123456789ab")


@pytest.mark.parametrize("variant", ["extended", "short"])
def test_exact_videos_score_high_and_frame_and_results_agree(exact, variant):
    scores = score(exact, variant)
    assert scores.scores["semantic"] > 98
    assert scores.scores["quality"] > 97
    wide = scores.wide
    assert list(wide.columns) == ["prompt_id", "sampling_seed", *DIMENSIONS, "same_object"]
    assert len(wide) == len(PROMPTS) * len(SEEDS)
    means = wide[list(DIMENSIONS)].mean()
    assert means.to_dict() == pytest.approx(raw_scores(scores.scored.results))
    assert scores.scores == TEXT.aggregate(raw_scores(scores.scored.results))
    for prompt in PROMPTS:
        rows = wide[wide.prompt_id == prompt.id]
        assert {name for name in DIMENSIONS if rows[name].notna().all()} == set(prompt.dimensions(variant))
        assert {name for name in DIMENSIONS if rows[name].isna().all()} == set(DIMENSIONS) - set(
            prompt.dimensions(variant)
        )


def test_short_captions_are_asked_less(exact):
    short, extended = (score(exact, variant).scored.results for variant in ("short", "extended"))
    assert len(short["human_action"][1]) < len(extended["human_action"][1])
    assert len(short["imaging_quality"][1]) == len(extended["imaging_quality"][1]) == 12


def test_records_are_tidy(exact):
    scores = score(exact, "short")
    frame = records(CELL, scores)
    assert tuple(frame.columns) == RECORD_COLUMNS
    assert set(frame.metric) == {*DIMENSIONS, "quality", "semantic", "total", "same_object"}
    assert (frame.protocol == "0123456789ab").all()
    assert (frame.prompts == "short").all()
    by_metric = frame.set_index("metric")
    assert by_metric.loc["total", "value"] == scores.scores["total"]
    assert by_metric.loc["total", "n"] == 12
    assert by_metric.loc["object_class", "n"] == 6
    assert by_metric.loc["same_object", "value"] == 1


def test_written_cell_can_be_read_back(exact, tmp_path):
    scores = score(exact, "short")
    path = write_cell(tmp_path / "scores", CELL, scores, {"commit": "abc"})
    assert path.name == "short_euler_4_eval_results.json"
    read = read_results(path)
    assert read.results == scores.scored.results
    wanted = {"scorer": "groundtruth", "protocol": "0123456789ab", "commit": "abc", "nfe": 4, "experiment": "sc_dmd"}
    assert wanted.items() <= read.provenance.items()
    assert json.loads(path.read_text())["color"][1][0]["video_path"] == "p0002/0.mp4"


def test_missing_and_extra_videos_are_reported_in_one_message(videos):
    (videos / "p0001" / "0.mp4").unlink()
    shutil.rmtree(videos / "p0003")
    shutil.copy(videos / "p0000" / "0.mp4", videos / "p0000" / "7.mp4")
    with pytest.raises(SaltError) as error:
        score(videos)
    message = str(error.value)
    assert "3 missing (p0001/0.mp4; p0003/0.mp4; p0003/3.mp4)" in message
    assert "1 extra (p0000/7.mp4)" in message
    assert "exactly 12 videos" in message
    assert "\n" not in message


def test_an_absent_folder_is_all_missing(tmp_path):
    with pytest.raises(SaltError, match=r"12 missing \(p0000/0\.mp4; .*; \.\.\.\)"):
        score(tmp_path / "nowhere")


def test_other_files_do_not_matter(videos):
    (videos / ".snakemake_timestamp").touch()
    (videos / "provenance.json").write_text("{}")
    (videos / "p0000" / ".9.mp4.tmp").write_bytes(b"half a video")
    assert len(score(videos).wide) == 12


def test_undecodable_and_misshapen_videos_are_reported_in_one_message(videos):
    (videos / "p0002" / "3.mp4").write_bytes(b"not a video")
    write_mp4(videos / "p0004" / "0.mp4", np.zeros((WORLD.frames + 4, SIDE, SIDE, 3), np.uint8), 16)
    with pytest.raises(SaltError) as error:
        score(videos)
    message = str(error.value)
    assert "2 of 12 videos cannot be scored" in message
    assert "p0002/3.mp4: cannot be decoded" in message
    size = f"frames of {SIDE} x {SIDE}"
    assert f"p0004/0.mp4: {WORLD.frames + 4} {size} pixels; accepted: {WORLD.frames} {size}" in message


def test_too_few_prompts_for_all_dimensions_are_refused(exact):
    with pytest.raises(SaltError, match=r"evaluation\.prompts=4: no short caption is scored on scene"):
        score(exact, "short", PROMPTS[:4])


def test_a_collapsed_model_gets_numbers_not_an_error(tmp_path):
    for prompt in PROMPTS:
        for seed in SEEDS:
            white = np.full((WORLD.frames, SIDE, SIDE, 3), 255, np.uint8)
            write_mp4(tmp_path / prompt.id / f"{seed}.mp4", white, 16)
    scores = score(tmp_path)
    assert raw_scores(scores.scored.results)["color"] == 0
    assert scores.wide["color"].notna().sum() == 6
    assert scores.scores["total"] < 40


def test_protocol_changes_with_what_decides_a_score_only():
    base = protocol_hash(WORLD, Evaluation(prompts=12))
    assert len(base) == 12
    assert base == protocol_hash(World(clips=5), Evaluation(prompts=12, batch_size=1, nfe=(4,), solvers=("cm",)))
    others = [
        protocol_hash(WORLD, Evaluation(prompts=13)),
        protocol_hash(WORLD, Evaluation(prompts=12, seeds=(0, 1))),
        protocol_hash(WORLD, Evaluation(prompts=12, precision="bfloat16")),
        protocol_hash(World(fps=8), Evaluation(prompts=12)),
        protocol_hash(World(frames=13), Evaluation(prompts=12)),
        protocol_hash(World(size=48), Evaluation(prompts=12)),
    ]
    assert len({base, *others}) == 7


# ------------------------------------------------------------------------------------------ long videos
LONG = ModelCell("self_forcing", "long", "cm", 4, "Self Forcing", "tiny", 1)


def score_long(folder, prompts):
    return score_folder(folder, prompts, LONG.variant, SEEDS[:1], WORLD, "0123456789ab", length=2)


@pytest.fixture(scope="module")
def long_videos(tmp_path_factory):
    """21 frames: an exact clip twice, then its beginning; of the second prompt the first half is white."""
    folder = tmp_path_factory.mktemp("long")
    for prompt in PROMPTS[:2]:
        clip = render(sample_scene(prompt.content, WORLD, np.random.default_rng(prompt.index)), WORLD)
        first = np.full_like(clip, 255) if prompt.index == 1 else clip
        video = np.concatenate([first, clip, clip[6:]])
        write_mp4(folder / prompt.id / "0.mp4", upscale(video, WORLD.video_scale), WORLD.fps)
    return folder


def test_long_videos_are_scored_as_clips(long_videos):
    scores = score_long(long_videos, PROMPTS[:2])
    frame = records(LONG, scores)
    assert tuple(frame.columns) == RECORD_COLUMNS
    assert (set(frame.prompts), LONG.name) == ({"long"}, "long_cm_4")
    value, n = frame.set_index("metric").value, frame.set_index("metric").n
    assert {*DIMENSIONS, "quality", "semantic", "total", "same_object"} < set(value.index)
    assert (value["object_class@clip0"], n["object_class@clip0"], n["object_class"]) == (1, 1, 1)
    assert n["imaging_quality@clip2"] == n["subject_consistency@in_clip"] == 2
    assert 0 < value["imaging_quality@clip0"] <= 1
    assert value["imaging_quality"] == pytest.approx(value[[f"imaging_quality@clip{i}" for i in range(3)]].mean())
    assert value["subject_consistency@clip0"] < value["subject_consistency@clip1"]
    halves = [value[f"subject_consistency@{half}"] for half in ("in_clip", "clip_to_clip")]
    assert value["subject_consistency"] == pytest.approx(np.mean(halves))
    assert frame.value.notna().all()


def test_color_without_a_clean_frame_is_0_in_its_clip_too(tmp_path):
    for prompt in PROMPTS[:2]:
        white = np.full((21, SIDE, SIDE, 3), 255, np.uint8)
        write_mp4(tmp_path / prompt.id / "0.mp4", white, 16)
    value = records(LONG, score_long(tmp_path, PROMPTS[:2])).set_index("metric").value
    assert [value[name] for name in ("color", "color@clip0", "color@clip2")] == [0, 0, 0]


def test_a_long_video_of_another_length_is_refused(exact, tmp_path):
    for prompt in PROMPTS[:2]:
        shutil.copytree(exact / prompt.id, tmp_path / prompt.id)
        (tmp_path / prompt.id / "3.mp4").unlink()
    with pytest.raises(SaltError, match=r"p0000/0.mp4: 9 frames of 128 x 128 pixels; accepted: 21 frames"):
        score_long(tmp_path, PROMPTS[:2])


def test_the_long_protocol_is_its_own():
    long = Long(memory=Memory(window=2), prompts=12)
    short = Evaluation(prompts=12)
    base = long_protocol_hash(WORLD, short, long)
    assert protocol_hash(WORLD, short) == protocol_hash(WORLD, short.model_copy(update={"long": long})) != base
    assert base == long_protocol_hash(WORLD, short, long.model_copy(update={"nfe": (2, 4)}))
    others = [
        long_protocol_hash(WORLD, short.model_copy(update={"seeds": (0, 1)}), long),
        long_protocol_hash(WORLD, short.model_copy(update={"precision": "bfloat16"}), long),
        long_protocol_hash(World(fps=8), short, long),
        *(
            long_protocol_hash(WORLD, short, long.model_copy(update=change))
            for change in ({"length": 2}, {"prompts": 13}, {"memory": Memory(window=3)})
        ),
    ]
    assert len({base, *others}) == 7


# ----------------------------------------------------------------------------------------- image to video
def test_videos_of_images_are_scored_as_vbench_i2v_does(tmp_path):
    """Held-out clips are what their first frames become; of another sampling seed's they are not."""
    board = image_board("leaderboard", camera=False)
    for prompt in PROMPTS:
        for seed in SEEDS:
            clip = held_out_clip(prompt, seed, WORLD)
            write_mp4(tmp_path / prompt.id / f"{seed}.mp4", upscale(clip, WORLD.video_scale), WORLD.fps)
    scores = score_folder(tmp_path, PROMPTS, "extended", SEEDS, WORLD, "0123456789ab", board=board)
    assert set(scores.scored.results) == set(board.dimensions)
    assert not {"camera_motion", "object_class"} & set(board.dimensions)
    assert scores.scores["i2v"] > 99
    assert list(scores.scores) == ["i2v", "quality", "total"]
    assert scores.scores["total"] == pytest.approx((scores.scores["i2v"] + scores.scores["quality"]) / 2)
    for prompt in PROMPTS:
        (tmp_path / prompt.id / "0.mp4").rename(tmp_path / prompt.id / "tmp")
        (tmp_path / prompt.id / "3.mp4").rename(tmp_path / prompt.id / "0.mp4")
        (tmp_path / prompt.id / "tmp").rename(tmp_path / prompt.id / "3.mp4")
    swapped = score_folder(tmp_path, PROMPTS, "extended", SEEDS, WORLD, "0123456789ab", board=board)
    assert swapped.scores["i2v"] < scores.scores["i2v"] - 2
    assert swapped.scores["quality"] == pytest.approx(scores.scores["quality"])


def test_scores_of_images_have_a_protocol_of_their_own():
    base = Evaluation(prompts=12)
    assert protocol_hash(WORLD, base, "tiny_i2v") != protocol_hash(WORLD, base)
