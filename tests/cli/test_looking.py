"""`salt show`, `compare` and `gc`, on what the chain of verbs and the report's synthetic records leave."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from salt.cli import places
from salt.config import load_experiment
from salt.config.lab_arms import load_arms
from salt.report.compare import configurations, told
from salt.report.learning import read_metrics, spark, windows
from salt.report.statistics import seed_interval
from salt.workflow.arms import ArmStates
from support.chain import refused

NAME = "sc_dmd"


@pytest.fixture
def here(made, root, tmp_path, monkeypatch):
    """A folder where the workflow has trained a student: its run directory and its weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALT_ROOT", str(root))
    layout = places.layout_of("smoke")
    shutil.copytree(made.folder / "runs" / "student", layout.run_of(NAME, "0"))
    shutil.copytree(made.weights, Path(layout.weights(NAME, 0)).parent)
    shutil.copytree(made.teacher, "scratch/smoke/teacher")
    return layout


def test_a_training_is_shown(salt, here):
    answer = salt("show", NAME, "--scale", "smoke", "--out", "seen")
    assert answer.code == 0, answer.err
    assert "critic/loss" in answer.out
    assert answer.out.endswith("seen/curves.png\nseen/sheet.png\n")
    for name in ("curves", "sheet"):
        with Image.open(f"seen/{name}.png") as picture:
            assert min(picture.size) > 100
    shutil.rmtree("scratch/smoke/weights")
    assert salt("show", NAME, "--scale", "smoke", "--out", "begun").code == 0
    assert [path.name for path in Path("begun").iterdir()] == ["curves.png"], "it is still being trained"
    shutil.rmtree("scratch/smoke/runs")
    refused(salt, ["show", NAME, "--scale", "smoke"], "no weights of sc_dmd, seed 0")


def test_two_students_are_compared(salt, here):
    refused(
        salt,
        ["compare", NAME, "dmd_8", "--scale", "smoke", "--curves", "curves.png"],
        "no training seed of which sc_dmd and dmd_8 both have scores; accepted: after `snakemake ablation_sc_dmd",
    )
    assert Path("curves.png").is_file()
    lines = configurations(load_experiment(NAME, "smoke"), load_experiment("dmd_8", "smoke"))
    assert "objectives.sc.weight (sc_dmd 1.0, dmd_8 null)" in lines
    assert not [line for line in lines if line.startswith(("name", "title", "train.", "scale."))]
    assert told(seed_interval([1.0, 1.1, 1.2])).endswith("*")
    assert not told(seed_interval([1.0, -1.0])).endswith("*")
    assert "[" not in told(seed_interval([1.0])), "one seed bounds nothing"


def test_what_could_go_is_listed_and_stays(salt, here):
    checkpoints = Path(here.run_of(NAME, "0"), "checkpoints")
    names = ("runs/sc_dmd/seed0/00000000", "latents/00000000", "videos/v0", "only_table4/videos/v0")
    old = [*(Path("scratch/smoke", name) for name in names), Path("scratch/lab_smoke/arms/dmd_8/0-1/00000000")]
    old.append(Path("scratch/lab_smoke/arms/gone/some-thing/00000000"))
    arm = ArmStates(load_arms(), "lab_smoke").folder("dmd_8", (0, 1), Path("scratch/lab_smoke/arms"))
    for folder in (*old, Path(here.latents), arm):
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(bytes(1000))
    link = Path("scratch/smoke/latents/link")
    link.symlink_to(".")
    answer = salt("gc", "--scale", "smoke")
    assert answer.code == 0, answer.err
    for folder in (*old, checkpoints):
        assert f" {folder}: " in answer.out
    assert not {here.latents, str(arm)} & set(answer.out.replace(":", " ").split()), "they are those of today"
    assert str(link) not in answer.out
    refused(salt, ["gc", "--scale", "smoke", "--delete"], "there is no terminal to ask at")
    assert all(folder.is_dir() for folder in (*old, checkpoints))
    # while a training runs, nothing is listed that it holds or may read
    lease = old[0] / "lease"
    lease.touch()
    told = salt("gc", "--scale", "smoke").out
    assert str(old[0]) not in told
    assert str(old[1]) not in told
    assert str(old[2]) in told
    os.utime(lease, (time.time() - 1e4, time.time() - 1e4))
    assert str(old[0]) in salt("gc", "--scale", "smoke").out, "its holder is dead"
    shutil.rmtree("scratch/smoke/weights")
    assert str(checkpoints) not in salt("gc", "--scale", "smoke").out, "its training goes on from them"


def test_curves_are_means_of_windows(tmp_path):
    lines = [json.dumps({"step": step, "critic/loss": step % 2}) for step in range(1, 121)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    curve = windows(read_metrics(tmp_path)["critic/loss"])
    assert curve.tolist() == [0.5] * 60
    assert curve.index.tolist() == list(range(2, 121, 2))
    assert spark([0, 1, float("nan"), 7]) == "▁▂ █"
