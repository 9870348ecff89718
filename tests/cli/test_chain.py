"""The verbs hand over to each other, and running one again does no harm."""

import csv
import gzip
import json
import logging
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from salt.config import load_scale
from salt.data.prompts import report_prompts
from salt.errors import EXIT_INTERRUPTED

STUDENT_CELLS = ["extended_cm_2", "extended_euler_2", "short_cm_2"]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of every file below a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def contents(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {name: content for name, (_, content) in snapshot(folder).items()}


# -------------------------------------------------------------------------------------------- the chain
def test_the_chain_leaves_what_the_workflow_expects(made):
    assert sorted(path.name for path in made.teacher.iterdir()) == [
        "codec",
        "provenance.json",
        "text_encoder",
        "tokenizer",
        "transformer",
    ]
    known = json.loads((made.weights / "provenance.json").read_text())
    assert (known["experiment"]["name"], known["seed"], known["iterations"]) == ("sc_dmd", 0, 2)
    manifest = json.loads((made.videos / "manifest.json").read_text())
    assert sorted(manifest["cells"]) == STUDENT_CELLS
    videos = {path.relative_to(made.videos).as_posix() for path in made.videos.rglob("*.mp4")}
    assert videos == {f"{cell}/p{i:04d}/0.mp4" for cell in STUDENT_CELLS for i in range(6)}
    assert sorted(path.name for path in made.records.iterdir()) == [
        "sc_dmd_seed0_defect.csv",
        "sc_dmd_seed0_prompts.csv.gz",
        "sc_dmd_seed0_scores.csv",
        "sc_dmd_seed0_trajectory.csv",
    ]


def test_the_teacher_is_one_folder_of_hashed_files(made):
    from salt.training.provenance import hash_files

    known = json.loads((made.teacher / "provenance.json").read_text())
    assert known["files"] == hash_files(made.teacher)
    assert {name.split("/")[0] for name in known["files"]} == {"codec", "text_encoder", "tokenizer", "transformer"}
    assert known["teacher"]["experiment"]["name"] == "teacher"
    weights = load_file(made.teacher / "transformer" / "diffusion_pytorch_model.safetensors")
    assert {str(value.dtype) for value in weights.values()} == {"torch.float16"}


def test_records_are_those_of_the_cells(made):
    with (made.records / "sc_dmd_seed0_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {f"{row['prompts']}_{row['solver']}_{row['nfe']}" for row in rows} == set(STUDENT_CELLS)
    assert {(row["experiment"], row["scale"], row["seed"]) for row in rows} == {("sc_dmd", "smoke", "0")}
    with gzip.open(made.records / "sc_dmd_seed0_prompts.csv.gz", "rt") as file:
        assert len(list(csv.DictReader(file))) == 6 * len(STUDENT_CELLS)


@pytest.mark.parametrize("name", ["teacher", "real"])
def test_references_are_sampled_without_weights(salt, made, tmp_path, name):
    words = ["sample", name, "--scale", "smoke", "--teacher", made.teacher, "--out", tmp_path]
    assert salt(*words).code == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["experiment"] == name
    assert manifest["videos"] == len(list(tmp_path.rglob("*.mp4"))) == 2 * 6


def test_controls_are_scored(salt, made, tmp_path):
    out = tmp_path / "records" / "controls.csv"
    words = [
        "score-controls",
        "--scale",
        "smoke",
        "--teacher",
        made.teacher,
        "--videos",
        tmp_path / "videos",
        "--out",
        out,
    ]
    assert salt(*words).code == 0
    assert {"control_real", "control_frozen"} < {row["experiment"] for row in csv.DictReader(out.open())}


def test_own_captions_are_sampled_but_not_scored(salt, made, tmp_path):
    """The captions of the report prompts give the very same videos, which are no measurement of the student's."""
    prompts = report_prompts(load_scale("smoke").world, 6)
    (tmp_path / "mine.txt").write_text("\n".join(prompt.extended for prompt in prompts))
    words = made.words("sample", prompts=tmp_path / "mine.txt", out=tmp_path / "videos")
    assert salt(*words).code == 0
    videos = {path.relative_to(tmp_path / "videos"): path for path in (tmp_path / "videos").rglob("*.mp4")}
    assert {name.parts[0] for name in videos} == {"extended_cm_2", "extended_euler_2"}
    assert len(videos) == 2 * 6
    for name, path in videos.items():
        assert path.read_bytes() == (made.videos / str(name).replace("own", "p")).read_bytes()
    out = tmp_path / "records" / "sc_dmd_seed0_scores.csv"
    answer = salt(*made.words("score", videos=tmp_path / "videos", out=out, details=tmp_path / "details"))
    assert (answer.code, out.exists()) == (2, False)
    assert "manifest.json: prompts_hash is" in answer.err


def test_the_teacher_samples_own_captions(salt, made, tmp_path):
    (tmp_path / "mine.txt").write_text("a red square\n")
    words = ["sample", "teacher", "--scale", "smoke", "--teacher", made.teacher, "--prompts", tmp_path / "mine.txt"]
    assert salt(*words, "--out", tmp_path / "videos").code == 0
    assert len(list((tmp_path / "videos").rglob("own0000/0.mp4"))) == 1


T = 1 - 1 / 8
"""The node of T^(8) between the first two of T^(4), before the shift."""


@pytest.mark.parametrize(
    ("change", "recorded", "t_m"),
    [
        ("grid.shift=5.0", {"shift": 5.0}, 5 * T / (1 + 4 * T)),
        ("grid.levels=[0.99, 0.93, 0.85, 0.61]", {"levels": [0.99, 0.93, 0.85, 0.61]}, 0.96),
    ],
)
def test_a_student_trained_with_set_is_sampled_and_measured_with_it(salt, made, tmp_path, change, recorded, t_m):
    """What was overridden in training decides the videos: here the times of the grid."""
    words = made.words("train", run_dir=tmp_path / "run", out=tmp_path / "weights", set=change)
    assert salt(*words).code == 0
    videos, records = tmp_path / "videos", tmp_path / "x_defect.csv"
    assert salt(*made.words("sample", weights=tmp_path / "weights", out=videos, set=change)).code == 0
    manifest = json.loads((videos / "manifest.json").read_text())
    assert {key: manifest[key] for key in ("shift", "levels") if key in manifest} == recorded
    words = made.words("defect", out=records, set=change)
    words[1] = tmp_path / "weights"
    assert salt(*words).code == 0
    times = {row["t_m"] for row in csv.DictReader(records.open()) if row["metric"] == "defect[0]"}
    assert [float(time) for time in times] == pytest.approx([t_m])


# ---------------------------------------------------------------------------------------- once more
def test_weights_are_stored_in_half_precision_without_a_warning(made, tmp_path, caplog):
    from salt.models.wan import load_wan, save_wan

    logger = logging.getLogger("diffusers")
    logger.addHandler(caplog.handler)
    try:
        save_wan(load_wan(made.teacher / "transformer"), tmp_path / "half", torch.float16)
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.messages == []


@pytest.mark.parametrize("verb", ["train", "defect", "score", "latents", "teacher"])
def test_running_a_finished_verb_again_changes_nothing(salt, made, verb):
    before = contents(made.folder)
    assert salt(*made.words(verb)).code == 0
    assert contents(made.folder) == before


def test_training_again_does_not_even_write(salt, made):
    before = snapshot(made.folder)
    assert salt(*made.words("train")).code == 0
    assert snapshot(made.folder) == before


@pytest.mark.parametrize("verb", ["train", "teacher"])
def test_an_output_that_lost_its_provenance_is_completed(salt, made, tmp_path, verb):
    """As Snakemake leaves it, and a kill between the weights and `provenance.json`; checkpoints are all it takes."""
    whole = made.weights if verb == "train" else made.teacher
    run_dir = tmp_path / "run"
    shutil.copytree(made.folder / "runs" / ("student" if verb == "train" else "teacher"), run_dir)
    shutil.copytree(whole, tmp_path / "out", ignore=shutil.ignore_patterns("provenance.json"))
    assert salt(*made.words(verb, run_dir=run_dir, out=tmp_path / "out")).code == 0
    completed, expected = contents(tmp_path / "out"), contents(whole)
    assert completed.keys() == expected.keys()
    assert all(completed[name] == expected[name] for name in expected if name != "provenance.json")


def test_sampling_again_keeps_every_video(salt, made):
    before = snapshot(made.videos)
    assert salt(*made.words("sample")).code == 0
    after = snapshot(made.videos)
    assert {name for name in before if before[name] != after[name]} == {"manifest.json", "prompts.json"}
    assert contents(made.videos) == {name: content for name, (_, content) in before.items()}


def test_sampling_again_makes_anew_what_is_missing_or_broken(salt, made):
    before = contents(made.videos)
    one, other = sorted(made.videos.rglob("*.mp4"))[3:5]
    one.unlink()
    other.write_bytes(other.read_bytes()[:100])
    assert salt(*made.words("sample")).code == 0
    assert contents(made.videos) == before


def test_interrupted_training_exits_75_and_the_same_command_ends_it(salt, made, tmp_path, monkeypatch):
    """A signal comes with the contact sheet of the first step; the weights are those of the unbroken run."""

    def interrupt(generator, experiment, assets, path, device):
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr("salt.stages.shared.preview.draw_preview", interrupt)
    words = made.words("train", run_dir=tmp_path / "run", out=tmp_path / "out", set="train.preview_every=1")
    stopped = salt(*words)
    assert stopped.code == EXIT_INTERRUPTED == 75
    assert stopped.err.strip().endswith("SIGUSR1 came; step 1/2 is saved; to continue, run the same command again")
    assert len(stopped.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert salt(*words).code == 0
    name = "diffusion_pytorch_model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (made.weights / name).read_bytes()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_contact_sheets_are_made_while_training(salt, made, tmp_path):
    words = made.words("train", run_dir=tmp_path / "run", out=tmp_path / "out", set="train.preview_every=2")
    assert salt(*words).code == 0
    sheets = sorted((tmp_path / "run" / "previews").iterdir())
    assert [sheet.name for sheet in sheets] == ["step_000002.png"]
    assert sheets[0].read_bytes()[:4] == b"\x89PNG"


# ------------------------------------------------------------------------------------------- shipped
def test_shipped_assets_are_the_teacher(salt, made, root, tmp_path):
    shutil.copytree(made.teacher, root / "assets" / "shipped", dirs_exist_ok=True)
    words = ["teacher", "--scale", "shipped", "--run-dir", tmp_path / "run", "--out", tmp_path / "out"]
    for _ in range(2):
        assert salt(*words).code == 0
        assert contents(tmp_path / "out") == contents(made.teacher)
    assert not (tmp_path / "run").exists()


def test_what_the_repository_ships_is_whole_and_of_its_scale(tmp_path):
    from salt.stages.shared.assets import load_assets
    from salt.stages.shared.shipped import use_shipped

    scale = load_scale("tiny")
    use_shipped(scale, tmp_path / "teacher")
    assets = load_assets(tmp_path / "teacher", scale)
    video = assets.codec.decode(torch.zeros(1, *assets.latent_shape))
    world = assets.scale.world
    assert video.shape == (1, 3, world.frames, world.size, world.size)
    velocity = assets.teacher()(torch.zeros(1, *assets.latent_shape), torch.ones(1), assets.text_encoder.encode([""]))
    assert velocity.isfinite().all()
