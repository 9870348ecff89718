"""What a verb takes where a user does not say it: the scale, and where the workflow keeps things."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from salt import __version__
from salt.cli import app, register
from salt.config import load_experiment, load_scale, repository_root
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.video import read_mp4
from salt.stages.shared.networks import check_trained_as
from salt.training.provenance import hash_files
from support.chain import refused

register()


def test_every_verb_is_of_the_scale_that_snakemake_takes():
    verbs = get_command(app).commands
    scales = {name: option for name, verb in verbs.items() for option in verb.params if option.name == "scale"}
    of_videos = {name: option.default for name, option in scales.items() if not name.startswith("lab-")}
    assert set(of_videos.values()) == {"tiny"}
    assert {"doctor", "status", "plan", "fetch", "sample", "train", "table"} <= of_videos.keys()


def test_the_program_names_its_version_and_has_a_short_help(salt):
    assert salt("--version").out.strip() == f"salt {__version__}"
    assert salt("-h").out == salt("--help").out
    assert "--prompts" in salt("sample", "-h").out


def test_own_captions_are_sampled_from_what_the_workflow_made(salt, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALT_SCRATCH", "work")
    caption = report_prompts(load_scale("smoke").world, 1, "validation")[0].extended
    Path("own.txt").write_text(f"{caption}\n")
    words = ("sample", "sc_dmd", "--scale", "smoke", "--prompts", "own.txt", "--cell", "extended_cm_2")
    missing = salt(*words)
    assert missing.code == 2
    assert "work/smoke/weights/sc_dmd/seed0: no weights of sc_dmd, seed 0; accepted: --weights FOLDER" in missing.err
    shutil.copytree(made.weights, "work/smoke/weights/sc_dmd/seed0")
    assert "no teacher of scale smoke here; accepted: --teacher FOLDER" in salt(*words).err
    shutil.copytree(made.teacher, "work/smoke/teacher")
    answer = salt(*words)
    assert answer.code == 0, answer.err
    assert answer.out.endswith("1 captions: samples/smoke/sc_dmd_seed0\n")
    assert list(Path("samples/smoke/sc_dmd_seed0").rglob("*.mp4"))


def test_a_caption_is_shown_in_any_number_of_steps(salt, made, tmp_path):
    """Three videos of it, as a contact sheet and playing side by side."""
    caption = report_prompts(load_scale("smoke").world, 1, "validation")[0].extended
    words = ["sample", "sc_dmd", "--scale", "smoke", "--teacher", made.teacher, "--weights", made.weights]
    words += ["--caption", caption, "--each", 3, "--nfe", 3, "--cell", "extended_cm_2", "--out", tmp_path / "videos"]
    answer = salt(*words, "--sheet", tmp_path / "a.png", "--sheet", tmp_path / "a.gif")
    assert answer.code == 0, answer.err
    videos = [read_mp4(path) for path in sorted((tmp_path / "videos" / "extended_cm_3").rglob("*.mp4"))]
    assert len(videos) == 3
    assert (videos[0] != videos[1]).any(), "each begins with noise of its own"
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == len(videos[0])
        assert gif.width > 3 * videos[0].shape[2]
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.height > 100
    refused(salt, [*words, "--sheet", tmp_path / "a.mp4"], "a.mp4: accepted: a file ending in .png or .gif")
    refused(salt, [*words, "--prompts", tmp_path / "b.txt"], "--caption says what is sampled; accepted: one of them")
    evaluated = ["sample", "sc_dmd", "--scale", "smoke", "--teacher", made.teacher, "--weights", made.weights]
    refused(salt, [*evaluated, "--nfe", 3], "--nfe 3: no cell has it; accepted: 2, or any with captions of your own")


def test_what_is_not_the_workflows_own_never_takes_its_place(salt):
    words = ["train", "sc_dmd", "--scale", "smoke", "--set", "train.iterations=3"]
    refused(salt, words, "--out is missing: what is asked for is not the workflow's own")


def test_every_verb_knows_where_the_workflow_keeps_things():
    """What is left to be said is what there is no place for: a file of your own, a folder to compare with."""
    needed = {
        name: {option.opts[-1] for option in verb.params if option.required and option.opts[-1].startswith("--")}
        for name, verb in get_command(app).commands.items()
    }
    assert {name: options for name, options in needed.items() if options} == {
        "agreement": {"--records"},
        "export": {"--out"},
        "lab-arms": {"--first"},
    }


def test_a_shipped_student_is_sampled_where_none_was_trained(tmp_path, monkeypatch):
    from salt.cli.places import weights_of

    monkeypatch.setenv("SALT_SCRATCH", str(tmp_path))
    for folder in sorted((repository_root() / "assets" / "students").glob("*/*")):
        known = json.loads((folder / "provenance.json").read_text())
        name, scale = known["experiment"]["name"], known["experiment"]["scale"]["name"]
        assert (scale, name) == folder.parts[-2:]
        assert weights_of(name, scale, known["seed"]) == folder
        check_trained_as(folder, load_experiment(name, scale), known["seed"])
        assert known["weights"] == hash_files(folder)
        with pytest.raises(SaltError, match="no weights of"):
            weights_of(name, scale, known["seed"] + 1)


def test_a_shipped_teacher_needs_no_folder(monkeypatch, tmp_path):
    from salt.cli.places import teacher_of

    monkeypatch.setenv("SALT_SCRATCH", str(tmp_path))
    assert teacher_of("tiny") == repository_root() / load_scale("tiny").assets
    whole = tmp_path / "tiny" / "teacher"
    whole.mkdir(parents=True)
    (whole / "provenance.json").write_text("{}")
    assert teacher_of("tiny") == whole
    with pytest.raises(Exception, match="no teacher of scale smoke here"):
        teacher_of("smoke")
