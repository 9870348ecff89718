"""VBench's arithmetic against what is known of it, and the files: strict, sorted, complete, of one scorer."""

import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config import paper_values
from salt.errors import SaltError
from salt.evaluation.vbench.board import DIMENSIONS, KNOWN, TEXT, denormalise, image_board, normalise
from salt.evaluation.vbench.results import Scored, merge, raw_scores, read_results, results_of, sidecar, write_results

LOWS = {name: dimension.low for name, dimension in DIMENSIONS.items()}
HIGHS = {name: dimension.high for name, dimension in DIMENSIONS.items()}
ORIGIN = {"scorer": "groundtruth", "protocol": "0123456789ab"}


# ------------------------------------------------------------------------------------------- arithmetic
def test_ends_of_the_ranges():
    lowest, highest = TEXT.aggregate(LOWS), TEXT.aggregate(HIGHS)
    assert lowest == {"quality": 0, "semantic": 0, "total": 0}
    assert highest == pytest.approx({"quality": 100, "semantic": 100, "total": 100})


@pytest.mark.parametrize("name", DIMENSIONS)
def test_weight_of_each_dimension(name):
    """Seven quality dimensions, dynamic degree with half a weight (6.5 in all); nine semantic ones; 4 to 1."""
    got = TEXT.aggregate(LOWS | {name: HIGHS[name]})
    if DIMENSIONS[name].group == "quality":
        weight = 0.5 if name == "dynamic_degree" else 1.0
        assert (got["quality"], got["semantic"]) == (pytest.approx(100 * weight / 6.5), 0)
        assert got["total"] == pytest.approx(0.8 * got["quality"])
    else:
        assert (got["quality"], got["semantic"]) == (0, pytest.approx(100 / 9))
        assert got["total"] == pytest.approx(0.2 * got["semantic"])


def test_absent_dimensions_leave_their_aggregates_undefined():
    """VBench counts them as 0: without colour and subject consistency its Total falls, here there is none."""
    whole = TEXT.aggregate(HIGHS)
    assert TEXT.aggregates_of(HIGHS) == pytest.approx(whole)
    lacking = {name: value for name, value in HIGHS.items() if name != "color"}
    assert TEXT.aggregates_of(lacking) == pytest.approx({"quality": 100})
    assert TEXT.aggregates_of({}) == {}


@pytest.mark.parametrize(
    ("formula", "ignored", "image_weights", "quality_weight"),
    [
        ("repository", "temporal_flickering", {"camera_motion": 0.1, "i2v_subject": 1, "i2v_background": 1}, 5.5),
        ("leaderboard", "camera_motion", {"i2v_subject": 1, "i2v_background": 1}, 6.5),
    ],
)
def test_both_formulas_of_images_to_video(formula, ignored, image_weights, quality_weight):
    """As their constants print them: (0.1, 1, 1) / 2.1 and 5.5, or (1, 1) / 2 and 6.5; Total is the mean of the two."""
    low = {name: of.low for name, of in KNOWN.items() if of.group != "semantic"}
    assert image_board(formula).aggregates_of(low) == pytest.approx({"quality": 0, "i2v": 0, "total": 0})
    for name in low:
        got = image_board(formula).aggregates_of(low | {name: KNOWN[name].high})
        of_images = 100 * image_weights.get(name, 0) / sum(image_weights.values())
        weight = 0 if name == ignored or KNOWN[name].group == "i2v" else KNOWN[name].weight
        quality = 100 * weight / quality_weight
        assert got == pytest.approx({"quality": quality, "i2v": of_images, "total": (quality + of_images) / 2})


def test_sixteen_dimensions():
    parts = [dimension.group for dimension in DIMENSIONS.values()]
    assert (parts.count("quality"), parts.count("semantic")) == (7, 9)


def test_total_of_all_published_rows():
    """The 36 printed (Total, Quality, Semantic) agree with 4 : 1; rounding to two digits allows 0.0101."""
    rows = defaultdict(dict)
    for value in paper_values():
        rows[value.table, value.row, value.nfe, value.where][value.metric] = value.value
    triples = [row for row in rows.values() if {"total", "quality", "semantic"} <= row.keys()]
    assert len(triples) == 36
    for row in triples:
        assert abs(row["total"] - (4 * row["quality"] + row["semantic"]) / 5) < 0.0101, row


@given(st.lists(st.floats(0, 1), min_size=16, max_size=16))
def test_vectorised_form_agrees(raw):
    one = TEXT.aggregate(dict(zip(DIMENSIONS, raw, strict=True)))
    many = TEXT.aggregate_means(np.tile(raw, (2, 3, 1)))
    assert many.shape == (2, 3, 3)
    assert dict(zip(TEXT.aggregates, many[1, 2], strict=True)) == pytest.approx(one)


@given(st.sampled_from(sorted(DIMENSIONS)), st.floats(0, 1))
def test_denormalise_is_the_inverse(name, share):
    assert normalise(name, denormalise(name, share)) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("name", DIMENSIONS)
def test_missing_dimension_is_refused(name):
    with pytest.raises(SaltError, match=f"{name}: missing"):
        TEXT.aggregate({k: v for k, v in HIGHS.items() if k != name})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.00001, -1.00001, 96.0])
@pytest.mark.parametrize("name", ["imaging_quality", "overall_consistency", "scene"])
def test_impossible_values_are_refused(name, value):
    with pytest.raises(SaltError, match=f"{name}: raw score"):
        TEXT.aggregate(HIGHS | {name: value})


def test_unknown_dimension_is_refused_and_rounding_is_not():
    with pytest.raises(SaltError, match="colour: unknown"):
        TEXT.aggregate(HIGHS | {"colour": 1.0})
    assert TEXT.aggregate(HIGHS | {"color": 1 + 5e-7})["semantic"] == pytest.approx(100)
    assert TEXT.aggregate(LOWS | {"appearance_style": -0.01})["semantic"] < 0


# ------------------------------------------------------------------------------------------------ files
def entries(values, start=0):
    return [{"video_path": f"p{start + i:04d}/0.mp4", "video_results": value} for i, value in enumerate(values)]


def some():
    return results_of(
        {
            "imaging_quality": entries([50.0, 70.0, 90.0])[::-1],
            "dynamic_degree": entries([True, False, True, True]),
            "color": entries([0.5]),
        }
    )


def test_scores_are_means_of_the_videos():
    assert raw_scores(some()) == {"imaging_quality": pytest.approx(0.7), "dynamic_degree": 0.75, "color": 0.5}


def test_file_round_trip(tmp_path):
    path = tmp_path / "new" / "extended_euler_4_eval_results.json"
    write_results(path, Scored(some(), ORIGIN | {"commit": "abc"}))
    read = read_results(path)
    assert read.results == some()
    assert read.provenance["counts"] == {"imaging_quality": 3, "dynamic_degree": 4, "color": 1}
    assert sidecar(path).name == "extended_euler_4_provenance.json"
    score, videos = json.loads(path.read_text())["imaging_quality"]
    assert score == pytest.approx(0.7)
    assert [video["video_path"] for video in videos] == ["p0000/0.mp4", "p0001/0.mp4", "p0002/0.mp4"]
    assert json.loads(path.read_text())["dynamic_degree"][1][1]["video_results"] is False


def damage_videos(layout, counts):
    layout["imaging_quality"][1].pop()


def damage_score(layout, counts):
    layout["imaging_quality"][0] = 0.99


def damage_nan(layout, counts):
    layout["imaging_quality"][1][0]["video_results"] = float("nan")


def damage_layout(layout, counts):
    layout["imaging_quality"] = 0.7


def damage_counts(layout, counts):
    del counts["counts"]


def damage_scorer(layout, counts):
    del counts["scorer"]


def damage_twice(layout, counts):
    layout["imaging_quality"][1][1] = layout["imaging_quality"][1][0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_videos, "imaging_quality has 2 videos; accepted: 3"),
        (damage_score, "imaging_quality is 0.99, but its videos give 0.7"),
        (damage_nan, "NaN"),
        (damage_layout, "not in VBench's layout"),
        (damage_counts, "not in VBench's layout"),
        (damage_scorer, "scorer is missing"),
        (damage_twice, "scored twice"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage, message):
    path = tmp_path / "x_eval_results.json"
    write_results(path, Scored(some(), ORIGIN))
    layout, counts = json.loads(path.read_text()), json.loads(sidecar(path).read_text())
    damage(layout, counts)
    path.write_text(json.dumps(layout))
    sidecar(path).write_text(json.dumps(counts))
    with pytest.raises(SaltError, match=message):
        read_results(path)


def test_missing_file_and_wrong_name_are_refused(tmp_path):
    with pytest.raises(SaltError, match="cannot be read"):
        read_results(tmp_path / "x_eval_results.json")
    with pytest.raises(SaltError, match="_eval_results"):
        write_results(tmp_path / "x.json", Scored(some(), ORIGIN))
    with pytest.raises(SaltError, match="protocol is missing"):
        write_results(tmp_path / "x_eval_results.json", Scored(some(), {"scorer": "groundtruth"}))


@pytest.mark.parametrize("value", [float("nan"), None, "0.5"])
def test_results_that_are_no_numbers_are_refused(value):
    with pytest.raises(SaltError, match=r"color: video_results=.* p0001/0\.mp4"):
        results_of({"color": entries([0.5, value])})


def test_no_video_and_unknown_dimension_are_refused():
    with pytest.raises(SaltError, match="color: no video"):
        results_of({"color": []})
    with pytest.raises(SaltError, match="colour: unknown"):
        results_of({"colour": entries([1.0])})


def test_merged_shards_are_the_whole():
    """Shards of unequal size: averaging their averages would give another number."""
    values = np.random.default_rng(0).uniform(size=10)
    whole = results_of({"color": entries(values)})
    shards = [results_of({"color": entries(values[:3])}), results_of({"color": entries(values[3:], start=3)})]
    assert merge([Scored(shard, ORIGIN) for shard in shards[::-1]]).results == whole


@pytest.mark.parametrize("key", ["scorer", "protocol", "prompts"])
def test_merging_mixed_origins_is_refused(key):
    parts = [
        Scored(results_of({"color": entries([1.0])}), ORIGIN),
        Scored(results_of({"color": entries([1.0], start=1)}), ORIGIN | {key: "vbench"}),
    ]
    with pytest.raises(SaltError, match=f"merge: {key} is"):
        merge(parts)
    with pytest.raises(SaltError, match="scored twice"):
        merge([parts[0], parts[0]])
    with pytest.raises(SaltError, match="no results"):
        merge([])
