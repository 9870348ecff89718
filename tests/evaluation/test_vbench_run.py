"""Jobs for VBench, without VBench: what it is given, what is refused of what it leaves, what is run again."""

import dataclasses
import importlib.util
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from salt.config.vbench import FULL_INFO, OF_A_LIST, OF_ANY_PROMPT, OF_IMAGES, VBench
from salt.errors import SaltError
from salt.evaluation.vbench import weights as vbench_weights
from salt.evaluation.vbench.board import DIMENSIONS, I2V_DIMENSIONS, KNOWN, TEXT
from salt.evaluation.vbench.records import gather, vbench_records, vbench_wide
from salt.evaluation.vbench.results import read_results
from salt.evaluation.vbench.run import RUNNER, run_dimension
from salt.evaluation.vbench.view import READS_NAMES, make_view, view_name
from salt.evaluation.vbench.weights import NEEDS, Need, absent, hashed, offline
from support.vbench_jobs import HOSTILE, fake_vbench, make_job, prompts_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    return fake_vbench(tmp_path, monkeypatch)


def load_runner():
    spec = importlib.util.spec_from_file_location("run_vbench", ROOT / RUNNER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --------------------------------------------------------------------------------------------- the view
def test_no_prompt_leaves_the_view(tmp_path):
    job = make_job(tmp_path)
    view = tmp_path / "view"
    view.mkdir()
    rows, stems = make_view(job, view)
    links = [Path(link) for row in rows for link in row["video_list"]]
    assert len(links) == len(set(str(link).lower() for link in links)) == 2 * len(HOSTILE)
    assert {link.parent for link in links} == {view}
    assert sorted(view.iterdir()) == sorted(links)
    assert [link.resolve() for link in links] == [(job.videos / stems[link.stem]).resolve() for link in links]
    assert [row["prompt_en"] for row in rows] == list(HOSTILE), "the text that is compared is never the name"
    assert links[0].name == f"{HOSTILE[0]}-0.mp4"
    assert all(link.name.startswith("v00") for link in links[2:])


@pytest.mark.parametrize("dimension", READS_NAMES)
def test_where_vbench_reads_the_name_it_must_be_the_prompt(dimension):
    good, bad = prompts_of(["A person is playing violin", "A person is a/b"], dimension)
    assert view_name(good, dimension, set()) == "A person is playing violin"
    with pytest.raises(SaltError, match=f"v0001: {dimension} reads the prompt from the name"):
        view_name(bad, dimension, set())
    with pytest.raises(SaltError, match="each prompt once"):
        view_name(good, dimension, {"a person is playing violin"})


def test_scored_text_is_chosen_by_the_protocol(tmp_path):
    job = make_job(tmp_path, texts=["a cat"], protocol=VBench(scored_text="extended"))
    (tmp_path / "view").mkdir()
    assert make_view(job, tmp_path / "view")[0][0]["prompt_en"] == "long: a cat"


# ------------------------------------------------------------------------------------------ one dimension
def test_results_name_stored_videos_and_a_finished_dimension_is_not_run_again(tmp_path, fake):
    job = make_job(tmp_path)
    path = run_dimension(job, fake.folder, fake.python)
    scored = read_results(path)
    assert [entry["video_path"] for entry in scored.results[job.dimension][1]] == sorted(
        f"{prompt.id}/{seed}.mp4" for prompt in job.prompts for seed in job.seeds
    )
    own = scored.provenance["dimensions"][job.dimension]
    assert own["versions"] == {"vbench": "0.1.5"}
    assert scored.provenance["settings"]["prompt_list_hash"] == FULL_INFO
    run_dimension(job, fake.folder, fake.python)
    assert fake.calls() == ["temporal_flickering"]
    shutil.copy(job.videos / "v0000" / "0.mp4", job.videos / "v0001" / "0.mp4")  # a video that was made anew
    run_dimension(job, fake.folder, fake.python)
    other = dataclasses.replace(job, protocol_hash="ba9876543210")
    run_dimension(other, fake.folder, fake.python)
    assert fake.calls() == ["temporal_flickering"] * 3
    path.write_text(path.read_text()[:-20])  # killed while it wrote
    run_dimension(other, fake.folder, fake.python)
    assert len(fake.calls()) == 4


def test_missing_videos_are_reported_before_anything_starts(tmp_path, fake):
    job = make_job(tmp_path)
    (job.videos / "v0003" / "1.mp4").unlink()
    with pytest.raises(SaltError, match=r"1 of the 24 videos of temporal_flickering are missing \(v0003/1.mp4\)"):
        run_dimension(job, fake.folder, fake.python)
    assert not fake.calls()


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        ("body['entries'].pop()", "1 of 4 videos have no result"),
        ("body['entries'][0]['video_path'] = '/else/x-0.mp4'", "1 of 4 videos have no result"),
        ("body['entries'].append(dict(video_path='/else/x-0.mp4', video_results=1))", "results of other videos"),
        ("body['entries'][1]['video_results'] = float('nan')", "video_results=nan of v0000/1.mp4"),
        ("body['score'] = float('nan')", "VBench says nan"),
        ("body['score'] = 0.987654", "VBench says 0.987654, but the mean over videos is"),
        ("[entry.update(video_results=1.5) for entry in entries]", "score 1.5; accepted: 0 to 1"),
        (
            "sys.exit('Traceback' + chr(10) + 'ValueError: out of luck')",
            "VBench failed .exit code 1.: ValueError",
        ),
    ],
)
def test_what_vbench_leaves_is_checked(tmp_path, fake, monkeypatch, corruption, message):
    monkeypatch.setenv("FAKE_VBENCH", corruption)
    job = make_job(tmp_path, texts=["a", "b"])
    with pytest.raises(SaltError, match=message) as error:
        run_dimension(job, fake.folder, fake.python)
    assert "\n" not in str(error.value)
    assert not job.results.exists()


def test_clips_become_their_video(tmp_path, fake, monkeypatch):
    """VBench-Long names clips, `split_clip/VIDEO/VIDEO_000.mp4`, and below such a file once more the video."""
    clips = (
        "body['entries'] = [dict(video_path=os.path.dirname(v) + '/split_clip/' + pathlib.Path(v).stem + end, "
        "video_results=x) for v in videos for end, x in "
        "(('/a_000.mp4', 0.25), ('/a_001.mp4/a.mp4', 0.75))]"
    )
    monkeypatch.setenv("FAKE_VBENCH", clips)
    job = make_job(tmp_path, texts=["a", "b/c"], protocol=VBench(suite="long"))
    entries = read_results(run_dimension(job, fake.folder, fake.python)).results[job.dimension][1]
    assert [(entry["video_results"], entry["clip_results"]) for entry in entries] == [(0.5, [0.25, 0.75])] * 4


def test_colour_may_leave_videos_out(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(vbench_weights, "NEEDS", dict.fromkeys(NEEDS, ()))
    monkeypatch.setenv("FAKE_VBENCH", "body['entries'].pop()")
    job = make_job(tmp_path, "color", texts=["a", "b"])
    assert len(read_results(run_dimension(job, fake.folder, fake.python)).results["color"][1]) == 3


# --------------------------------------------------------------------------------------------- the weights
def test_every_dimension_says_what_it_reads():
    assert set(NEEDS) == set(KNOWN) == {*OF_ANY_PROMPT, *OF_A_LIST, *OF_IMAGES}
    assert set(OF_IMAGES) == set(I2V_DIMENSIONS)
    assert [DIMENSIONS[name].group for name in OF_ANY_PROMPT] == ["quality"] * 7 + ["semantic"] * 2


@pytest.mark.parametrize("dimension", sorted(set(KNOWN) - {"temporal_flickering", "i2v_subject", "i2v_background"}))
def test_without_weights_a_dimension_is_absent_never_0(tmp_path, fake, dimension):
    job = make_job(tmp_path, dimension, texts=["a"])
    scored = read_results(run_dimension(job, fake.folder, fake.python))
    assert scored.results == {}
    assert "is not there" in scored.provenance["absent"][dimension]
    assert not fake.calls()
    job.results.unlink()


def test_detectron_is_reported_absent(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(vbench_weights, "NEEDS", dict.fromkeys(NEEDS, ()))
    monkeypatch.setenv("FAKE_VBENCH", "body['absent'] = 'no detectron2'")
    job = make_job(tmp_path, "object_class", texts=["a"])
    scored = read_results(run_dimension(job, fake.folder, fake.python))
    assert (scored.results, scored.provenance["absent"]) == ({}, {"object_class": "no detectron2"})


def test_a_wrong_or_empty_weight_is_refused(tmp_path, monkeypatch):
    need = Need("weights/net.pth", "https://example.org/net-2c26b46b.pth", "2c26b46b")
    monkeypatch.setattr(vbench_weights, "NEEDS", {"scene": (need,)})
    path = tmp_path / need.path
    path.parent.mkdir()
    assert str(path) in absent(tmp_path, VBench(), "scene")
    path.touch()
    with pytest.raises(SaltError, match=r"net.pth: is empty; accepted: https"):
        hashed(tmp_path, VBench(), "scene")
    path.write_text("bar")
    with pytest.raises(
        SaltError, match=r"SHA-256 fcde2b2edba5\.\.\.; accepted: 2c26b46b\.\.\., .* truncated or of another"
    ):
        hashed(tmp_path, VBench(), "scene")
    path.write_text("foo")
    assert hashed(tmp_path, VBench(), "scene")["weights/net.pth"].startswith("2c26b46b")


def test_a_job_looks_for_weights_in_one_folder_only(tmp_path):
    given = {"PATH": "/bin", "HF_TOKEN": "x", "PYTHONPATH": "/elsewhere", "VBENCH_CACHE_DIR": "/old", "SALT_X": "1"}
    got = offline(tmp_path, given)
    assert {"PATH", "SALT_X"} <= set(got)
    assert not {"PYTHONPATH", "HF_TOKEN"} & set(got)
    assert got["HF_HUB_OFFLINE"] == got["TRANSFORMERS_OFFLINE"] == "1"
    for name in ("VBENCH_CACHE_DIR", "TORCH_HOME", "HF_HOME", "HOME"):
        assert Path(got[name]).is_relative_to(tmp_path)


def test_without_the_environment_a_job_says_how_to_make_it(tmp_path):
    job = make_job(tmp_path, texts=["a"])
    with pytest.raises(SaltError, match=r"nowhere/python: there is no such file; accepted: .* `salt vbench-env`"):
        run_dimension(job, tmp_path, tmp_path / "nowhere" / "python")


def test_missing_images_are_reported(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(vbench_weights, "NEEDS", dict.fromkeys(NEEDS, ()))
    job = make_job(tmp_path, "i2v_subject", texts=["a"], protocol=VBench(suite="i2v"))
    with pytest.raises(SaltError, match=r"images/7-4: 1 images are missing \(None\)"):
        run_dimension(job, fake.folder, fake.python)


# ------------------------------------------------------------------------------------------------ merging
def scored_parts(tmp_path, fake, parts=2):
    job = make_job(tmp_path, texts=["a", "b", "c"])
    for part in range(parts):
        run_dimension(dataclasses.replace(job, part=(part, parts)), fake.folder, fake.python)
    return job


def test_parts_are_the_whole(tmp_path, fake):
    job = scored_parts(tmp_path, fake)
    joined = gather([job])
    whole = read_results(run_dimension(dataclasses.replace(job, out=tmp_path / "whole"), fake.folder, fake.python))
    assert joined.results == whole.results
    assert joined.provenance["absent"] == {}
    assert len(fake.calls()) == 3


def test_a_part_that_lacks_or_is_of_another_protocol_is_refused(tmp_path, fake, monkeypatch):
    job = scored_parts(tmp_path, fake)
    other = dataclasses.replace(job, protocol_hash="ba9876543210")
    with pytest.raises(SaltError, match="protocol 0123456789ab; accepted: ba9876543210"):
        gather([other])
    monkeypatch.setenv("FAKE_VBENCH", "body['versions'] = dict(vbench='0.1.5', torch='2.0')")
    (job.out / "temporal_flickering.1of2_eval_results.json").unlink()
    with pytest.raises(SaltError, match=r"temporal_flickering has 4 videos \(v0001/0.mp4; v0001/1.mp4 not as asked\)"):
        gather([job])
    run_dimension(dataclasses.replace(job, part=(1, 2)), fake.folder, fake.python)
    with pytest.raises(SaltError, match=r"versions is .*2\.0.* here"):
        gather([job])
    shutil.rmtree(job.out)
    with pytest.raises(SaltError, match="there is no such file; accepted: what `salt score-vbench temporal"):
        gather([job])


def test_a_dimension_is_not_the_mean_of_the_parts_that_had_weights(tmp_path, fake, monkeypatch):
    job = make_job(tmp_path, "scene", texts=["a", "b"])
    run_dimension(dataclasses.replace(job, part=(0, 2)), fake.folder, fake.python)
    assert set(gather([job]).provenance["absent"]) == {"scene"}
    monkeypatch.setattr(vbench_weights, "NEEDS", dict.fromkeys(NEEDS, ()))
    run_dimension(dataclasses.replace(job, part=(1, 2)), fake.folder, fake.python)
    with pytest.raises(SaltError, match=r"scene has 2 videos \(v0000/0.mp4; v0000/1.mp4 not as asked\)"):
        gather([job])


def test_an_absent_dimension_has_no_number_in_the_records(tmp_path, fake, cell):
    one, other = make_job(tmp_path / "1", texts=["a"]), make_job(tmp_path / "2", "scene", texts=["a"])
    for job in (one, other):
        run_dimension(job, fake.folder, fake.python)
    scored = gather([one, other])
    tidy = vbench_records(cell, scored, TEXT).set_index("metric")
    assert tidy.loc["temporal_flickering", "n"] == 2
    lacking = tidy[tidy["n"] == 0]
    assert set(lacking.index) == {*DIMENSIONS, "quality", "semantic", "total"} - {"temporal_flickering"}
    assert lacking["value"].isna().all()
    wide = vbench_wide(scored, one.prompts, one.seeds, VBench())
    assert len(wide) == 2
    assert wide["scene"].isna().all()
    assert math.isclose(wide["temporal_flickering"].mean(), tidy.loc["temporal_flickering", "value"])


@pytest.fixture
def cell():
    from salt.evaluation.cells import ModelCell

    return ModelCell("sc_dmd", "extended", "cm", 4, "SC-DMD", "paper", 0)


# --------------------------------------------------------------------------------------------- the runner
def test_the_runner_needs_nothing_of_salt():
    lines = (ROOT / RUNNER).read_text().splitlines()
    assert not [line for line in lines if line.lstrip().startswith(("import salt", "from salt"))]
    top = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import", "from"))}
    assert top <= set(sys.stdlib_module_names)


def test_the_runner_refuses_to_fetch():
    """All in one process, because an audit hook cannot be taken back."""
    done = subprocess.run(
        [sys.executable, "-c", FETCHES.format(runner=str(ROOT / RUNNER))], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["refused"] * 5, done.stderr


FETCHES = """
import importlib.util, os, socket, subprocess, sys, urllib.error, urllib.request
spec = importlib.util.spec_from_file_location("run_vbench", {runner!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.addaudithook(module.refuse_the_network)
for fetch in (
    lambda: subprocess.run(["wget", "x"]),
    lambda: os.system("git clone x"),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: socket.getaddrinfo("example.org", 80),
):
    try:
        fetch()
    except OSError as error:
        print("refused" if "offline: VBench wants to" in str(error) else error)
try:
    urllib.request.urlopen("http://example.org")
except urllib.error.URLError as error:  # which torch.hub takes for a machine without network, and looks into its cache
    print("refused" if "offline: VBench wants to" in str(error.reason) else error)
"""


def test_the_runner_refuses_another_version(tmp_path, monkeypatch):
    runner = load_runner()
    monkeypatch.setattr(runner, "version", lambda name: "0.1.2")
    (tmp_path / "job.json").write_text(json.dumps({"version": "0.1.5", "dimension": "scene"}))
    with pytest.raises(SystemExit, match=r"vbench 0.1.2 is installed; accepted: 0.1.5"):
        runner.main(str(tmp_path / "job.json"))
