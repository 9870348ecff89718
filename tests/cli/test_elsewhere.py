"""Videos made elsewhere under VBench's names, and what its own command line wrote, to records of their own protocol.

The Python of VBench's environment only pretends to be it.
"""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from salt.config import load_scale
from salt.config.vbench import VBench
from salt.errors import SaltError
from salt.evaluation.vbench import weights as vbench_weights
from salt.evaluation.vbench.board import DIMENSIONS, TEXT
from salt.evaluation.vbench.weights import NEEDS
from salt.report.records import read_measurements
from salt.stages.score import run_elsewhere
from support.chain import refused
from support.media import write_video

PROMPTS = ("A person is singing, softly", "a red car", "a red car", "90° of a café's view")
ASKED = (["human_action"], ["color", "temporal_flickering"], ["scene"], ["temporal_flickering"])
# The score of a video is one that a test can know: of its size in bytes.
FAKE = """#!{python}
import json, pathlib, sys
job = json.loads(pathlib.Path(sys.argv[3]).read_text())
videos = [v for row in job["table"] for v in row["video_list"]]
entries = [dict(video_path=v, video_results=pathlib.Path(v).stat().st_size % 97 / 97) for v in videos]
score = sum(entry["video_results"] for entry in entries) / len(entries)
body = dict(score=score, entries=entries, versions=dict(vbench="0.1.5"), device="cpu")
pathlib.Path(job["out"]).write_text(json.dumps(body))
"""


@pytest.fixture
def scale(tmp_path, monkeypatch):
    """A scale of four prompts and two samples, a pretended Python, weights for what is asked."""
    rows = [{"prompt_en": text, "dimension": asked} for text, asked in zip(PROMPTS, ASKED, strict=True)]
    (tmp_path / "vbench" / "prompts").mkdir(parents=True)
    (tmp_path / "vbench" / "prompts" / "VBench_full_info.json").write_text(json.dumps(rows))
    python = tmp_path / "python"
    python.write_text(FAKE.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path / "vbench"))
    monkeypatch.setenv("SALT_VBENCH_PYTHON", str(python))
    monkeypatch.setattr(vbench_weights, "NEEDS", NEEDS | dict.fromkeys(("human_action", "color", "scene"), ()))
    known = load_scale("smoke")
    evaluation = known.evaluation.model_copy(
        update={"prompts": 4, "seeds": (0, 1), "vbench": VBench(prompt_list_hash=None, extended_list=None)}
    )
    return known.model_copy(update={"evaluation": evaluation})


@pytest.fixture
def videos(tmp_path):
    """Two samples of each prompt, of another size, rate and codec than ours."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, text in enumerate(dict.fromkeys(PROMPTS)):
        for i in range(2):
            frames = [np.full((36, 50, 3), 50 * number + 10 * t + i, np.uint8) for t in range(5)]
            write_video(folder / f"{text}-{i}.mp4", frames, codec="mpeg4", rate=24)
    return folder


def scored(scale, tmp_path, videos=None, results=()):
    out = tmp_path / "records" / "mine_scores.csv"
    run_elsewhere("mine", scale, videos, results, out, tmp_path / "details", "cpu")
    read_measurements.cache_clear()
    return read_measurements(out).set_index("metric")


def test_a_folder_of_videos_is_scored(scale, videos, tmp_path):
    tidy = scored(scale, tmp_path, videos)
    assert set(tidy[tidy["n"] > 0].index) == {"human_action", "color", "scene", "temporal_flickering"}
    sizes = {path.name: path.stat().st_size % 97 / 97 for path in videos.glob("*.mp4")}
    assert tidy.loc["scene", "value"] == pytest.approx(np.mean([sizes["a red car-0.mp4"], sizes["a red car-1.mp4"]]))
    assert (tidy.loc["temporal_flickering", "n"], tidy.loc["color", "n"]) == (4, 2)
    assert set(tidy["experiment"]) == set(tidy["method"]) == {"mine"}
    assert set(tidy["prompts"]) == set(tidy["solver"]) == {"unknown"}
    assert tidy.loc[list(TEXT.aggregates), "n"].tolist() == [0, 0, 0], "no dimension is missing in silence"
    absent = json.loads((tmp_path / "details" / "unknown_unknown_0_provenance.json").read_text())["absent"]
    assert absent["aesthetic_quality"] == "no video of its prompts"
    assert absent.keys() == DIMENSIONS.keys() - {"human_action", "color", "scene", "temporal_flickering"}
    single = pd.read_csv(tmp_path / "records" / "mine_prompts.csv.gz")
    assert single["scene"].count() == 2
    assert single.loc[single["prompt_id"] == "v0003", "temporal_flickering"].count() == 2


def test_size_rate_and_length_are_part_of_the_protocol(scale, videos, tmp_path):
    first = set(scored(scale, tmp_path, videos)["protocol"])
    for rate, size, length in ((8, (36, 50), 5), (24, (34, 50), 5), (24, (36, 50), 6)):
        for path in videos.glob("*.mp4"):
            write_video(path, [np.full((*size, 3), 9 * t, np.uint8) for t in range(length)], codec="mpeg4", rate=rate)
        again = set(scored(scale, tmp_path, videos)["protocol"])
        assert len(again) == 1
        assert not again & first
        first |= again


def odd(**settings):
    def change(folder):
        frames = [np.full((36, 50, 3), 9 * t, np.uint8) for t in range(settings.pop("frames", 5))]
        write_video(folder / "a red car-1.mp4", frames, **{"codec": "mpeg4", "rate": 24} | settings)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "a red car-1.mp4").unlink(),
            r"1 of 6 videos are missing \(a red car-1.mp4\); accepted",
        ),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "6 of 6 videos are missing"),
        (odd(rate=8), r"1 of 6 videos are not as .* \(Form\(.*fps='8'\)\); accepted: one size, frame rate and length"),
        (odd(frames=6), r"1 of 6 videos are not as .* accepted: one size"),
        (odd(frames=2), "a red car-1.mp4: 2 frames; accepted: 3 or more"),
        (odd(codec="libx264", times=[0, 0.1, 0.2, 1.3, 1.4]), "a red car-1.mp4: its frame rate varies; accepted"),
        (odd(turned=90), r"1 of 6 videos are not as .* \(Form\(width=36, height=50"),
        (odd(turned=45), "a red car-1.mp4: cannot be decoded .*turned"),
        (lambda folder: (folder / "a red car-1.mp4").write_text("no video"), "a red car-1.mp4: cannot be decoded"),
    ],
)
def test_a_folder_that_vbench_would_misread_is_refused(scale, videos, tmp_path, change, message):
    change(videos)
    with pytest.raises(SaltError, match=message):
        scored(scale, tmp_path, videos)
    assert not (tmp_path / "records").exists()


# ----------------------------------------------------------------------------------- VBench's own results
def whole():
    """As `vbench evaluate` writes them, with paths of its machine."""
    at = "./videos/"
    return {
        "human_action": [0.5, [{"video_path": f"{at}{PROMPTS[0]}-{i}.mp4", "video_results": i == 0} for i in range(2)]],
        "scene": [0.25, [{"video_path": f"C:\\v\\a red car-{i}.mp4", "video_results": i / 2} for i in range(2)]],
        "color": [1.0, [{"video_path": f"{at}a red car-0.mp4", "video_results": 1.0, "cur": [1]}]],
    }


def test_results_of_vbench_are_records(scale, tmp_path):
    body = whole()
    for number, names in enumerate((["human_action", "color"], ["scene"])):
        (tmp_path / f"{number}.json").write_text(json.dumps({name: body[name] for name in names}))
    tidy = scored(scale, tmp_path, results=[tmp_path / "0.json", tmp_path / "1.json"])
    assert tidy.loc[["human_action", "scene", "color"], "value"].tolist() == [0.5, 0.25, 1.0]
    assert tidy.loc[["human_action", "scene", "color", "total"], "n"].tolist() == [2, 2, 1, 0]
    single = pd.read_csv(tmp_path / "records" / "mine_prompts.csv.gz").set_index(["prompt_id", "sampling_seed"])
    assert single.loc[("v0002", 1), "scene"] == 0.5


def edited(change):
    body = whole()
    change(body)
    return json.dumps(body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "it holds nothing; accepted: VBench's"),
        ("[1]", "a list in place of a JSON object; accepted: VBench's"),
        ("{", "Expecting property name"),
        ('{"scene": [NaN, []]}', "it holds NaN"),
        ('{"scene": 3}', "not subscriptable"),
        ('{"scene": [0.5, 3]}', "scene is no score and list"),
        ('{"scene": [0.5, [{"video_path": "a"}]]}', "'video_results' is missing"),
        ('{"scene": [0.5, [{"video_path": "a", "video_results": "b"}]]}', "video_results of a is no number"),
        ("[" * 100_000, "nested too deep"),
        (edited(lambda body: body.update(beauty=body["scene"])), "beauty: no dimension of"),
        (edited(lambda body: body["scene"].__setitem__(0, 0.9)), "scene: VBench says 0.9, but the mean over videos is"),
        (edited(lambda body: body["scene"][1].pop()), r"scene: 1 of 2 videos have no result \(v0002/1.mp4\)"),
        (edited(lambda body: body["scene"][1][0].update(video_path="x.mp4")), "scene: 1 of 2 videos have no result"),
        (edited(lambda body: body["scene"][1].append(body["color"][1][0] | {"video_path": "y"})), "results of other"),
    ],
)
def test_other_results_are_refused(scale, tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SaltError, match=rf"a\.json: .*{message}") as caught:
        scored(scale, tmp_path, results=[tmp_path / "a.json"])
    assert len(str(caught.value).splitlines()) == 1


def test_a_dimension_in_two_files_is_refused(scale, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps(whole()))
    with pytest.raises(SaltError, match=r"b\.json: human_action is in .*a\.json, too"):
        scored(scale, tmp_path, results=[tmp_path / "a.json", tmp_path / "b.json"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sc_dmd", "--videos", "v"], "sc_dmd: videos made elsewhere are of no experiment"),
        (["teacher", "--videos", "v"], "teacher: videos made elsewhere are of no experiment"),
        (["../mine", "--videos", "v"], "../mine: videos made elsewhere"),
        (["mine"], "accepted: --videos FOLDER, or the --results"),
        (["mine", "--videos", "v", "--results", "r.json"], "accepted: --videos FOLDER, or the --results"),
        (["mine", "--videos", "v"], "--scale smoke: VBench does not score it"),
    ],
)
def test_words_that_do_not_go_together(salt, tmp_path, words, message):
    out = ["--out", tmp_path / "m.csv", "--details", tmp_path / "d"]
    refused(salt, ["score", *words, "--names", "vbench", "--scale", "smoke", *out], message)
    refused(salt, ["score", "mine", "--videos", "v", "--names", "vbench", "--scale", "smoke"], "--out and --details")
