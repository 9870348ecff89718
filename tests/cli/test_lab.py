"""`salt lab-table` and `lab-report`, from records to the page; a mistake is one line."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from salt.cli import main
from support.chain import Answer, refused
from support.lab_records import ARMS, LabFolder

SCALE = """
exact:
  world:
    kind: mixture
    captions:
      one:
        - {weight: 0.65, mean: [-1.0, 0.0], spread: [0.15, 0.25]}
        - {weight: 0.35, mean: [1.0, 0.0], spread: [0.15, 0.25]}
  members: 8
  explore: {first: 0, last: 7}
  confirm: {first: 100, last: 115}
"""
PLAIN = (
    "assets: a\nbackbone: {num_layers: 1, num_attention_heads: 1, attention_head_dim: 12, ffn_dim: 8, text_dim: 64}\n"
)
ARMS_FILE = "sets:\n  core:\n    world: mixture\n    about: Known effects.\n    critic: base\n    arms:\n" + "".join(
    f"      {arm}: {{row: dmd_8, title: The {arm}}}\n" for arm in ARMS
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no_git"))
    made = LabFolder(tmp_path)
    made.write_all()
    (made.claims.parent / "arms.yaml").write_text(ARMS_FILE)
    (tmp_path / "experiments" / "dmd_8.yaml").write_text("title: DMD-8\nobjectives: {dmd: {}}\n")
    for name, text in (("lab", SCALE), ("plain", PLAIN)):
        (tmp_path / "experiments" / "scales" / f"{name}.yaml").write_text(text)
    return made


@pytest.fixture
def salt(monkeypatch):
    def call(*words):
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["salt", *map(str, words)])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main()
        return Answer(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return call


def test_from_records_to_the_page(salt, folder, tmp_path):
    results = folder.root / "results" / "lab"
    for name in ("lab_controls", "lab_claims"):
        answer = salt("lab-table", name, "--lab", "lab", "--records", folder.records, "--out", results / "tables")
        assert answer.code == 0, answer.err
    out = results / "report.html"
    answer = salt("lab-report", "--lab", "lab", "--results", results, "--figures", tmp_path / "none", "--out", out)
    assert answer.code == 0, answer.err
    assert "sliced_w1: The up at 4 − The base at 4" in out.read_text()
    assert "The instrument stands: all 6 controls hold." in out.read_text()
    made = sorted(path.name for path in (results / "tables").iterdir())
    assert made == [f"{name}.{kind}" for name in ("lab_claims", "lab_controls") for kind in ("csv", "md", "tex")]


def test_mistakes_are_one_line(salt, folder, tmp_path):
    rest = ["--records", folder.records, "--out", tmp_path / "out"]
    refused(salt, ["lab-table", "lab_claims", "--lab", "plain", *rest], "--lab plain: this scale has no exact world; ")
    refused(salt, ["lab-table", "lab_claim", "--lab", "lab", *rest], "lab-table lab_claim: no such table; did you mean")
    (folder.claims.parent / "arms.yaml").write_text(ARMS_FILE.replace("vague", "vagu"))
    told = "experiments/lab/claims.yaml: claims.vague.plus.0.arm = vague: no such arm; did you mean 'vagu'?"
    refused(salt, ["lab-table", "lab_claims", "--lab", "lab", *rest], told)
    (folder.claims.parent / "arms.yaml").write_text(ARMS_FILE)
    rest[1] = tmp_path
    refused(salt, ["lab-table", "lab_claims", "--lab", "lab", *rest], "no records of the lab; accepted: a folder with")
    words = ["lab-report", "--lab", "lab", "--results", tmp_path, "--figures", tmp_path, "--out", tmp_path / "a.html"]
    refused(salt, words, "lab_controls.md: cannot be read")


@pytest.mark.parametrize(
    "words",
    [
        ("train", "dmd_8", "--teacher", "x", "--latents", "x", "--run-dir", "x", "--out", "y"),
        ("claims", "--records", "x", "--out", "y"),
        ("doctor",),
    ],
)
def test_verbs_of_videos_refuse_the_lab(salt, folder, words):
    refused(
        salt,
        [*words, "--scale", "lab"],
        "--scale lab: a scale of the lab, which makes no videos; accepted: the verbs lab-",
    )
