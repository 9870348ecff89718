"""What results were made of lies beside them, so that any clone knows which of them are stale."""

import json
import os
import shutil
from pathlib import Path

import pytest

from salt.files import sha256

from .conftest import Snakemake, snakemake_in, workflow_in

RECORD = Path("results/smoke/records/sc_dmd_seed0_scores.csv")
LINES = Path("results/smoke/made.jsonl")
WORDS = ("--cores", "2", "--config", "scale=smoke")


@pytest.fixture(scope="module")
def cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Table 4 was made, as git gives it to somebody else: no memory, no scratch, other dates."""
    folder = tmp_path_factory.mktemp("cloned")
    done = workflow_in(folder)("table4", *WORDS)
    assert done.returncode == 0, done.stderr
    assert (folder / LINES).is_file()
    for name in (".snakemake", "scratch"):
        shutil.rmtree(folder / name)
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    for age, path in enumerate(sorted(files, reverse=True)):  # records newer than their tables, as a checkout may
        os.utime(path, (1.7e9 + age, 1.7e9 + age))
    return folder


@pytest.fixture
def clone(cloned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(cloned, tmp_path / "clone", symlinks=True)


@pytest.fixture
def snakemake(clone: Path) -> Snakemake:
    return snakemake_in(clone)


def planned(snakemake: Snakemake, *words: str) -> str:
    run = snakemake("-n", "table4", *WORDS, *words)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_unedited_clone_has_nothing_to_do(snakemake: Snakemake, clone: Path) -> None:
    assert "Nothing to be done" in planned(snakemake)
    assert "Nothing to be done" in planned(snakemake)  # what the first call remembered is the same


def test_a_weight_edited_on_a_clone_trains_its_student_and_no_other(snakemake: Snakemake, clone: Path) -> None:
    edit(clone / "experiments/sc_dmd.yaml", "weight: 1.0", "weight: 0.7")
    said = planned(snakemake)
    assert "train sc_dmd, seed 0" in said
    assert "score sc_dmd, seed 0" in said
    assert "train dmd_8" not in said
    assert "Params have changed" in said


def test_a_row_added_on_a_clone_is_made(snakemake: Snakemake, clone: Path) -> None:
    tables = clone / "experiments/tables.yaml"
    before, table4 = tables.read_text().split("\n  table4:\n")
    table4 = table4.replace("    rows:\n", "    rows:\n      - {experiment: dmd_4_bs, nfe: 4}\n", 1)
    tables.write_text(f"{before}\n  table4:\n{table4}")
    said = planned(snakemake)
    assert "train dmd_4_bs" in said
    assert "train sc_dmd" not in said
    assert "rule table" in said or "table table4" in said


def test_a_stage_raised_on_a_clone_is_run(snakemake: Snakemake, clone: Path) -> None:
    edit(clone / "workflow/stages.yaml", "sample: 1", "sample: 2")
    said = planned(snakemake)
    assert "score sc_dmd, seed 0" in said
    assert "score dmd_8, seed 0" in said


def test_a_record_edited_by_hand_is_made_again(snakemake: Snakemake, clone: Path) -> None:
    with (clone / RECORD).open("a") as file:
        file.write("better\n")
    said = planned(snakemake)
    assert "score sc_dmd, seed 0" in said
    assert "score dmd_8, seed 0" not in said
    assert "made.jsonl does not know" in said


def test_what_is_forced_is_made_of_all_that_it_needs(snakemake: Snakemake, clone: Path) -> None:
    assert "train sc_dmd, seed 0" in planned(snakemake, "--forcerun", "sample")
    assert "train sc_dmd, seed 0" in planned(snakemake, "--forcerun", "score")
    assert "train" not in planned(snakemake, "--forcerun", "table")


def test_results_without_a_memory_are_made_again(snakemake: Snakemake, clone: Path) -> None:
    (clone / LINES).unlink()
    assert "train sc_dmd, seed 0" in planned(snakemake)


def test_no_path_of_the_machine_is_written_down(snakemake: Snakemake, clone: Path, tmp_path: Path) -> None:
    elsewhere = (f"out={tmp_path / 'out'}/", f"scratch={tmp_path / 'out'}/")  # as in CI: one folder for both
    done = snakemake("table4", *WORDS, *elsewhere)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / LINES).read_text()
    assert str(tmp_path) not in text
    shutil.rmtree(clone / "results")
    shutil.copytree(tmp_path / "out" / "results", clone / "results")
    shutil.rmtree(clone / ".snakemake")
    assert "Nothing to be done" in planned(snakemake)


def test_a_line_that_a_merge_broke_is_named(snakemake: Snakemake, clone: Path) -> None:
    text = (clone / LINES).read_text()
    (clone / LINES).write_text("<<<<<<< ours\n" + text)
    run = snakemake("-n", "table4", *WORDS)
    assert run.returncode != 0
    assert "results/smoke/made.jsonl: line 1 is not what the workflow wrote" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_every_committed_result_is_what_is_written_down() -> None:
    root = Path(__file__).parents[2]
    found = sorted(root.glob("results/**/made.jsonl"))
    assert root / "results/lab/made.jsonl" in found
    for path in found:
        for text in path.read_text().splitlines():
            line = json.loads(text)
            assert sha256(root / line["output"].removeprefix("{out}/")) == line["sha256"], line["output"]
