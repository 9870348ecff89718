"""`--config only=...`: no more is sampled and measured than some tables and figures print."""

import re
import subprocess
from collections.abc import Callable

import pytest
import typer

from salt.cli import app, register

register()

Snakemake = Callable[..., subprocess.CompletedProcess[str]]
STUDENTS = ["dmd_4", "dmd_8", "sc_dmd"]


def calls_of(run: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Verb -> the words of its calls that a dry run lists."""
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, list[str]] = {}
    for verb, words in re.findall(r"salt ([a-z-]+) (.*) > \S+ 2>&1", run.stdout):
        found.setdefault(verb, []).append(words)
    return found


def cells_of(words: str) -> list[str]:
    return re.findall(r"--cell (\S+)", words)


def test_one_cell_of_each_student_is_made_for_table4(snakemake: Snakemake) -> None:
    """And Eq. (16) alone for figA1; apart from the videos of a full run, whose weights are the same."""
    run = snakemake("-n", "--config", "seeds=1", "only=table4,figA1", "out=elsewhere")
    calls = calls_of(run)
    each = dict.fromkeys(("train", "defect"), len(STUDENTS)) | dict.fromkeys(
        ("sample", "score", "modes"), len(STUDENTS) + 1
    )
    once = dict.fromkeys(("teacher", "latents", "table", "figure"), 1)
    assert {verb: len(words) for verb, words in calls.items()} == each | once
    verbs = typer.main.get_command(app).commands
    for verb, every in calls.items():
        for words in every:
            verbs[verb].make_context(verb, words.split())  # refuses unknown options and misses required ones
    for verb in ("sample", "score"):
        cells = {words.split()[0]: cells_of(words) for words in calls[verb]}
        assert cells == {name: ["extended_cm_4"] for name in STUDENTS} | {"real": ["extended_none_0"]}
    assert all("--alone" in words for words in calls["defect"])
    assert "scratch/tiny/only_table4_figA1/videos/v1/sc_dmd/seed0/manifest.json" in run.stdout
    assert "scratch/tiny/weights/sc_dmd/seed0/provenance.json" in run.stdout
    full = calls_of(snakemake("-n", "table4", "figA1", "--config", "seeds=1", "out=elsewhere"))
    assert sorted(full["train"]) == sorted(calls["train"])
    of_all = {words.split()[0]: cells_of(words) for words in full["sample"]}
    assert of_all["dmd_4"] == of_all["sc_dmd"] == [], "other tables and figures ask for all of them"
    assert len(of_all["dmd_8"]) == 8, "all but short captions"
    assert not any("--alone" in words for words in full["defect"])


def test_a_figure_of_scores_needs_all_cells_and_a_reference_those_of_its_captions(snakemake: Snakemake) -> None:
    calls = calls_of(snakemake("-n", "--config", "seeds=1", "only=tableA1,fig_steps,fig_depth", "out=elsewhere"))
    cells = {words.split()[0]: cells_of(words) for words in calls["sample"]}
    assert cells["sc_dmd"] == cells["dmd_4"] == [], "fig_steps draws them all"
    assert cells["rcm"] == cells["self_forcing"] == ["short_cm_4"]
    assert (cells["teacher"], cells["real"]) == (["short_euler_50"], ["short_none_0"])
    assert not any("--alone" in words for words in calls["defect"]), "fig_depth compares with the teacher's path"


def test_what_a_full_run_left_is_not_taken_for_a_part_nor_a_part_for_it(snakemake: Snakemake) -> None:
    part, full = ("only=table4", "out=elsewhere"), ("out=elsewhere",)
    assert snakemake("--config", "scale=smoke", *part).returncode == 0
    again = calls_of(snakemake("-n", "table4", "--config", "scale=smoke", *full))
    assert {verb: len(words) for verb, words in again.items()} == {"sample": 4, "score": 4, "modes": 4, "table": 1}
    assert snakemake("-n", "--config", "scale=smoke", *part).stdout.count("Nothing to be done") == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("only=tabel4 out=x", "--config only=tabel4: no such table or figure; did you mean 'table4'? accepted: table2"),
        ("only=table4", "--config only=table4: records of a part would replace those in results/; accepted: with out="),
    ],
)
def test_a_wrong_choice_is_named(snakemake: Snakemake, settings: str, message: str) -> None:
    run = snakemake("-n", "--config", *settings.split())
    assert run.returncode == 1
    assert message in run.stdout
    assert "Traceback" not in run.stdout
