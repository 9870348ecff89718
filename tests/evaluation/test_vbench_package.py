"""VBench itself, in its own environment, on our own files: with nothing learned where it needs weights.

Skipped where that environment is not there: `salt vbench-env` makes it, SALT_VBENCH says where.
"""

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from salt.config.vbench import VBench, vbench_python
from salt.errors import SaltError
from salt.evaluation.groundtruth.scorer import flickering
from salt.evaluation.vbench import view as vbench_view
from salt.evaluation.vbench import weights as vbench_weights
from salt.evaluation.vbench.results import dimension_score, read_results
from salt.evaluation.vbench.run import run_dimension
from salt.evaluation.vbench.weights import NEEDS, Need
from salt.evaluation.video import read_mp4
from support.vbench_jobs import HOSTILE, make_job

PYTHON = vbench_python()
STANDINS = Path(__file__).parents[1] / "support" / "vbench_standins.py"
pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(), reason=f"VBench's environment is not at {PYTHON}: make it with `salt vbench-env`"
)


def entries_of(job, folder):
    return read_results(run_dimension(job, folder, PYTHON)).results[job.dimension][1]


def float32_flickering(video):
    """VBench's arithmetic: means of single pairs of frames in float32, the rest in float64."""
    frames = video.astype(np.float32)
    changes = [np.mean(np.abs(one - other)) for one, other in pairwise(frames)]
    return (255.0 - np.mean(changes).item()) / 255.0


def test_temporal_flickering_is_our_own_formula(tmp_path):
    job = make_job(tmp_path)
    entries = entries_of(job, tmp_path)
    assert len(entries) == 2 * len(HOSTILE)
    for entry in entries:
        video = read_mp4(job.videos / entry["video_path"])
        assert entry["video_results"] == pytest.approx(float32_flickering(video), abs=1e-12)
        assert entry["video_results"] == pytest.approx(flickering(video), abs=1e-8)  # ours, exact, against float32


def test_a_video_that_cannot_be_decoded_is_not_left_out(tmp_path):
    """VBench skips it and takes the mean of the others."""
    job = make_job(tmp_path, texts=["a", "b"])
    (job.videos / "v0001" / "0.mp4").write_bytes(b"no video")
    with pytest.raises(SaltError, match=r"1 of 4 videos have no result \(v0001/0.mp4\)"):
        run_dimension(job, tmp_path, PYTHON)


def test_long_videos_are_cut_and_their_clips_averaged(tmp_path):
    job = make_job(tmp_path, texts=["a", "b/c"], protocol=VBench(suite="long", seconds=1))
    for path in job.videos.rglob("*.mp4"):
        shutil.copy(longer(tmp_path), path)
    entries = entries_of(job, tmp_path)
    assert [len(entry["clip_results"]) for entry in entries] == [3] * 4  # 20 frames at 8 a second
    whole = flickering(read_mp4(longer(tmp_path)))
    assert np.mean(entries[0]["clip_results"]) == pytest.approx(whole, abs=5e-3)


def test_long_consistency_within_clips(tmp_path):
    subprocess.run([str(PYTHON), "-I", str(STANDINS), str(tmp_path), "subject_consistency"], check=True)
    protocol = VBench(suite="long", seconds=1, consistency="in_clip")
    job = make_job(tmp_path, "subject_consistency", texts=["a", "b/c"], protocol=protocol)
    for path in job.videos.rglob("*.mp4"):
        shutil.copy(longer(tmp_path), path)
    entries = entries_of(job, tmp_path)
    assert [len(entry["clip_results"]) for entry in entries] == [3] * 4
    assert all(0 < value <= 1 for entry in entries for value in entry["clip_results"])


def longer(folder):
    from salt.evaluation.video import write_mp4

    path = folder / "long.mp4"
    if not path.exists():
        video = np.zeros((20, 64, 64, 3), np.uint8) + 30
        for t in range(20):
            video[t, 2 * t : 2 * t + 20, 20:40] = 200
        write_mp4(path, video, 8)
    return path


def test_the_static_filter_keeps_the_first_five_in_the_order_of_sampling(tmp_path, monkeypatch):
    """VBench's own script goes by names: 0, 1, 10, 11, 2, ..."""
    monkeypatch.setattr(vbench_view, "FILTERED_SAMPLES", 11)
    subprocess.run([str(PYTHON), "-I", str(STANDINS), str(tmp_path), "temporal_flickering"], check=True)
    job = make_job(tmp_path, texts=["a"], seeds=range(11), protocol=VBench(flicker="filtered"))
    entries = entries_of(job, tmp_path)
    assert [entry["video_path"] for entry in entries] == [f"v0000/{seed}.mp4" for seed in range(5)]


STOOD_IN = (
    "subject_consistency",
    "background_consistency",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "imaging_quality",
    "appearance_style",
    "i2v_subject",
)


@pytest.mark.parametrize("dimension", STOOD_IN)
def test_the_real_code_runs_on_checkpoints_with_nothing_learned(tmp_path, monkeypatch, dimension):
    unhashed = {name: tuple(Need(need.path, need.url) for need in needs) for name, needs in NEEDS.items()}
    monkeypatch.setattr(vbench_weights, "NEEDS", unhashed)
    subprocess.run([str(PYTHON), "-I", str(STANDINS), str(tmp_path), dimension], check=True)
    protocol = VBench(suite="i2v" if dimension.startswith("i2v") else "vbench")
    job = make_job(tmp_path, dimension, texts=["a", "b"], protocol=protocol)
    for prompt in job.prompts:
        object.__setattr__(prompt, "auxiliary", {dimension: {dimension: "watercolor painting"}})
        object.__setattr__(prompt, "image", "first.png")
    if protocol.suite == "i2v":
        write_image(tmp_path / "images" / "7-4" / "first.png")
    scored = read_results(run_dimension(job, tmp_path, PYTHON))
    score, entries = scored.results[dimension]
    assert len(entries) == 4
    assert score == dimension_score(dimension, entries)  # equal to what VBench says, or run_dimension refuses it
    if dimension != "dynamic_degree":
        assert len({entry["video_results"] for entry in entries}) > 1, "it sees the videos"
    weights = scored.provenance["dimensions"][dimension]["weights"]
    assert weights
    assert all(len(digest) == 64 for digest in weights.values())


def write_image(path):
    from PIL import Image

    path.parent.mkdir(parents=True)
    Image.fromarray(np.full((64, 112, 3), 90, np.uint8)).save(path)


def test_a_weight_that_vbench_would_fetch_is_an_error(tmp_path, monkeypatch):
    """As if our list of files lacked one: VBench calls wget, which the runner refuses."""
    monkeypatch.setattr(vbench_weights, "NEEDS", dict.fromkeys(NEEDS, ()))
    with pytest.raises(SaltError, match=r"dynamic_degree: VBench failed .*offline: VBench wants to"):
        run_dimension(make_job(tmp_path, "dynamic_degree", texts=["a"]), tmp_path, PYTHON)


def test_detections_need_detectron(tmp_path, monkeypatch):
    """Without it object_class would be 0.0; with it there is nothing to test without weights."""
    monkeypatch.setattr(vbench_weights, "NEEDS", dict.fromkeys(NEEDS, ()))
    here = subprocess.run([str(PYTHON), "-I", "-c", "import detectron2"], capture_output=True)
    if here.returncode == 0:
        pytest.skip("detectron2 is installed")
    scored = read_results(run_dimension(make_job(tmp_path, "object_class", texts=["a"]), tmp_path, PYTHON))
    assert scored.results == {}
    assert "detectron2 is not installed" in scored.provenance["absent"]["object_class"]
