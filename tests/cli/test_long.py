"""Videos beyond the training length by the command line: sampled, scored, prompted in turn, refused in one line."""

import csv
import gzip
import json

import numpy as np
import pytest

from salt.config import load_scale
from salt.data.prompts import report_prompts
from salt.evaluation.video import read_mp4
from support.chain import refused


@pytest.fixture(scope="module")
def causal(salt, made, tmp_path_factory):
    """A causal student, and its words: `causal(verb, ...)`; it starts from scratch, which is quick."""
    folder = tmp_path_factory.mktemp("causal")

    def words(verb, **other):
        own = {"set": "init=random"} if verb != "score" else {}
        taken = made.words(verb, **({"weights": folder / "weights"} if verb == "sample" else {}) | own | other)
        return [taken[0], "self_forcing", *taken[2:]]

    assert salt(*words("train", run_dir=folder / "run", out=folder / "weights")).code == 0
    return words


def test_long_videos_are_sampled_and_scored(salt, causal, tmp_path):
    videos, records = tmp_path / "videos", tmp_path / "self_forcing_seed0_long.csv"
    for _ in range(2):  # to resume is to run it again
        assert salt(*causal("sample", out=videos), "--long").code == 0
    assert sorted(path.relative_to(videos).as_posix() for path in videos.rglob("*.mp4")) == [
        "long_cm_2/p0000/0.mp4",
        "long_cm_2/p0001/0.mp4",
    ]
    answer = salt(*causal("score", videos=videos, out=records, details=tmp_path / "details"), "--long")
    assert answer.code == 0, answer.err
    rows = {row["metric"]: row for row in csv.DictReader(records.open())}
    assert {(row["prompts"], row["nfe"], row["solver"]) for row in rows.values()} == {("long", "2", "cm")}
    assert {"total", "quality", "semantic", "object_class", "object_class@clip2"} < set(rows)
    manifest = json.loads((videos / "manifest.json").read_text())
    assert {row["protocol"] for row in rows.values()} == {manifest["protocol"]}
    assert manifest["memory"]["positions"] == "relative"
    with gzip.open(tmp_path / "self_forcing_seed0_long_prompts.csv.gz", "rt") as file:
        assert [row["prompt_id"] for row in csv.DictReader(file)] == ["p0000", "p0001"]
    assert (tmp_path / "details" / "long_cm_2_eval_results.json").exists()


def test_a_prompt_is_switched_in_mid_video(salt, causal, tmp_path):
    """Up to the switch, the middle of 21 frames, the video is that of the first caption alone; then it is not."""
    report = [prompt.extended for prompt in report_prompts(load_scale("smoke").world, 4)]
    (tmp_path / "mine.txt").write_text(f"{report[0]} => {report[2]}\n")
    (tmp_path / "one.txt").write_text(f"{report[0]}\n")
    for name in ("mine", "one"):
        words = causal("sample", prompts=tmp_path / f"{name}.txt", out=tmp_path / name)
        assert salt(*words, "--set", "scale.evaluation.long.memory.on_switch=recache", "--long").code == 0
    switched, same = (read_mp4(tmp_path / name / "long_cm_2/own0000/0.mp4") for name in ("mine", "one"))
    assert switched.shape == same.shape == (21, 192, 192, 3)
    difference = np.abs(switched.astype(int) - same).mean(axis=(1, 2, 3))
    assert not difference[:8].any()
    assert difference[8] < 0.25 * difference[-4:].min()  # the last frame before is coded by what follows it, too


# ------------------------------------------------------------------------------------------- refused
LONG = "scale.evaluation.long"


@pytest.mark.parametrize("name", ["sc_dmd", "teacher"])
def test_long_videos_of_what_is_not_causal(salt, made, tmp_path, name):
    words = ["--scale", "smoke", "--out", tmp_path / "out"]
    message = f"{name}: --long: its videos have a fixed length; accepted: a causal student"
    refused(salt, ["sample", name, "--long", *words, "--teacher", made.teacher], message)
    refused(
        salt, ["score", name, "--long", *words, "--videos", made.videos, "--details", tmp_path / "details"], message
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([f"{LONG}=null"], "experiments/scales/smoke.yaml: evaluation.long is missing"),
        ([f"{LONG}.memory.positions=absolute", f"{LONG}.length=22"], "66 positions, but scale.backbone.rope_max_seq"),
        ([f"{LONG}.memory.sink=3"], "sink=3 must not be larger than window=2"),
        ([f"{LONG}.length=1"], "scale.evaluation.long.length = 1: accepted: greater than or equal to 2"),
    ],
)
def test_long_videos_that_cannot_be_made(salt, tmp_path, changes, message):
    """Before anything is read: neither the teacher nor the weights are there."""
    words = ["sample", "self_forcing", "--long", "--scale", "smoke", "--out", tmp_path / "videos"]
    words += ["--teacher", tmp_path / "teacher", "--weights", tmp_path / "weights"]
    refused(salt, [*words, *(word for change in changes for word in ("--set", change))], message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("long", "message"), [([], "one, or a long video"), (["--long"], "up to 6, one for each chunk")]
)
def test_more_captions_than_chunks(salt, tmp_path, long, message):
    (tmp_path / "mine.txt").write_text("\n" + " => ".join(["a ring"] * 7))
    words = ["sample", "self_forcing", *long, "--scale", "smoke", "--out", tmp_path / "videos"]
    words += ["--teacher", tmp_path / "teacher", "--prompts", tmp_path / "mine.txt"]
    refused(salt, words, f"mine.txt: line 2: 7 captions, with => between them; accepted: {message}")


def test_words_of_a_later_caption_are_checked(salt, causal, tmp_path):
    (tmp_path / "mine.txt").write_text("a red square => a red corgi")
    words = causal("sample", out=tmp_path / "videos", prompts=tmp_path / "mine.txt")
    refused(salt, [*words, "--long"], "mine.txt: line 1: 'a red corgi' is no caption of this world")


# -------------------------------------------------------------------------------------------------- caches
def test_the_cache_is_measured(salt, causal, made, tmp_path):
    words = causal("sample")
    weights = words[words.index("--weights") + 1]
    out = tmp_path / "self_forcing_seed0_caches.csv"
    answer = salt(
        "caches", weights, "--scale", "smoke", "--teacher", made.teacher, "--out", out, "--set", "init=random"
    )
    assert answer.code == 0, answer.err
    rows = list(csv.DictReader(out.open()))
    found = {(row["metric"], int(row["nfe"])): float(row["value"]) for row in rows}
    nfes = sorted({nfe for _, nfe in found if nfe})
    assert nfes
    for k in nfes:
        assert {f"objects@cache{k_cache}" for k_cache in nfes} <= {metric for metric, nfe in found if nfe == k}
        assert found["mismatch@chunk0", k] > 0
        assert found["objects@chunk2", k] == found[f"objects@cache{k}", k], "all chunks alike: one and the same video"
    assert 0 < found["seam_within", 0] < 1, "real clips move"
    assert {row["experiment"] for row in rows} == {"self_forcing"}
    assert len({row["n"] for row in rows}) == 1


def test_a_student_without_a_cache_has_none_to_measure(salt, made, tmp_path):
    words = ["caches", made.weights, "--scale", "smoke", "--teacher", made.teacher, "--out", tmp_path / "c.csv"]
    refused(salt, words, "sc_dmd", "makes its videos whole", "accepted: a causal student")
    assert not (tmp_path / "c.csv").exists()


def test_real_clips_beyond_the_training_length_need_no_captions(salt, tmp_path):
    """The floor of long videos is sampled like any model, and its captions are its own."""
    words = ["sample", "real", "--long", "--scale", "smoke", "--teacher", str(tmp_path / "none")]
    refused(salt, [*words, "--out", str(tmp_path / "videos")], "none")
    refused(salt, [*words, "--caption", "a red square", "--out", str(tmp_path / "v")], "no clips of other captions")
