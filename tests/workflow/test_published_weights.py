"""Rows of published weights in a plan: imported, of one seed, and never in the place of trained ones."""

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import typer
import yaml

from salt.cli import app, register
from support.plans import planned

register()

SUITE = yaml.safe_load((Path(__file__).parents[2] / "experiments" / "tables.yaml").read_text(encoding="utf-8"))
TABLE_2 = {row["experiment"] for row in SUITE["tables"]["table2"]["rows"]}
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def test_published_weights_are_imported_in_the_place_of_trainings(snakemake: Snakemake) -> None:
    """Without a file of them: a plan asks for none. What has no published weights is trained, from published starts."""
    targets = ("table2", "ablation_causal_forcing")
    run = snakemake("-n", *targets, "--config", "scale=paper", "weights=released")
    jobs, text = planned(run), run.stdout + run.stderr
    trained, starts = {"dmd_4", "sc_dmd", "salt_self_forcing"}, {"ode_init"}
    assert set(re.findall(r"salt train (\w+) ", text)) == trained
    assert jobs["train"] == 3 * len(trained)
    calls = re.findall(r"salt import-released (.*) > \S+ 2>&1", text)
    assert {call.split()[0] for call in calls} == TABLE_2 - trained | starts
    assert jobs["import_released"] == len(calls)
    assert jobs["ode_pairs"] == 0
    verb = typer.main.get_command(app).commands["import-released"]
    for call in calls:
        verb.make_context("import-released", call.split())
    assert "salt train salt_self_forcing --scale paper --seed 2" in text
    assert "--init scratch/paper/released/ode_init/seed0" in text
    assert set(re.findall(r"(?:results|paper_figures)/(\w+)/", text)) == {"paper_released"}
    sampled = Counter(re.findall(r"salt sample (\w+) ", text))
    assert sampled == Counter(dict.fromkeys(TABLE_2 | {"teacher"}, 1) | dict.fromkeys(trained, 3))


def test_a_row_whose_published_model_the_paper_scores_is_imported_unless_it_is_to_be_trained(
    snakemake: Snakemake,
) -> None:
    usual = snakemake("-n", "table2", "--config", "scale=paper")
    assert re.findall(r"salt import-released (\w+) ", usual.stdout) == ["rcm"]
    assert "salt train rcm" not in usual.stdout
    assert set(re.findall(r"results/(\w+)/", usual.stdout)) == {"paper"}
    trained = snakemake("-n", "table2", "--config", "scale=paper", "weights=trained")
    assert planned(trained)["import_released"] == 0
    assert trained.stdout.count("salt train rcm ") == 3
    assert set(re.findall(r"results/(\w+)/", trained.stdout)) == {"paper_trained"}
