"""What the workflow would run of the lab."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml

from salt.cli import app, register
from support.plans import planned

register()

ROOT = Path(__file__).parents[2]
Snakemake = Callable[..., subprocess.CompletedProcess[str]]

FIGURES = ["fig_lab", "fig_lab_lambda", "fig_lab_map", "fig_lab_chain", "fig_lab_any_step"]
TARGETS = ["lab", *FIGURES, "lab_controls", "lab_claims", "lab_beyond"]
RULES = {"lab_truth", "lab_arms", "lab_table", "lab_figure", "lab_report"}


@pytest.mark.parametrize(("scale", "lab", "ensembles"), [("tiny", "lab", 3), ("smoke", "lab_smoke", 1)])
def test_the_lab_is_run_beside_every_scale(snakemake: Snakemake, scale: str, lab: str, ensembles: int) -> None:
    """A job for each set of arms and ensemble of seeds; nothing of the scale's own."""
    sets = yaml.safe_load((ROOT / "experiments" / "lab" / "arms.yaml").read_text())["sets"]
    run = snakemake("-n", *TARGETS, "--config", f"scale={scale}", "out=elsewhere")
    jobs, text = planned(run), run.stdout + run.stderr
    assert {target: jobs[target] for target in TARGETS} == dict.fromkeys(TARGETS, 1)
    assert jobs["lab_arms"] == ensembles * len(sets)
    assert set(jobs) <= {*RULES, *TARGETS, "total"}
    assert set(re.findall(r"--lab (\w+)", text)) == {lab}
    verbs = typer.main.get_command(app).commands
    for verb, words in set(re.findall(r"salt (lab-[a-z]+) (.*) > \S+ 2>&1", text)):
        verbs[verb].make_context(verb, words.split())


def test_the_picture_of_the_lab_needs_its_core_alone(snakemake: Snakemake) -> None:
    jobs = planned(snakemake("-n", "fig_lab", "--config", "out=elsewhere"))
    assert jobs["lab_arms"] <= 4
    assert jobs["lab_figure"] == jobs["lab_truth"] == 1


def test_the_lab_is_no_scale_of_videos(snakemake: Snakemake) -> None:
    run = snakemake("-n", "table4", "--config", "scale=lab")
    assert run.returncode == 1
    assert (
        "--config scale=lab: a scale of the lab, which is run beside those of videos; accepted: snakemake lab"
        in run.stdout
    )
