"""What a verb takes where a user does not say it: the scale, and where the workflow keeps things."""

import shutil
from pathlib import Path

import pytest
from typer.main import get_command

from salt import __version__
from salt.cli import app, register
from salt.config import load_scale, repository_root
from salt.data.prompts import report_prompts

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
    assert "--out is missing" in salt("sample", "sc_dmd", "--scale", "smoke").err


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
