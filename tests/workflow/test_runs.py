"""What is made again after a change, and what a failure leaves behind; `salt` itself is faked."""

import resource
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Snakemake = Callable[..., subprocess.CompletedProcess[str]]
TABLE4 = ("table4", "--config", "scale=smoke", "seeds=1")


def run_table4(snakemake: Snakemake, folder: Path) -> Counter[str]:
    """Make Table 4; the calls of `salt` that this took, as `verb name`."""
    calls = folder / "calls"
    calls.write_text("")
    run = snakemake(*TABLE4)
    assert run.returncode == 0, run.stdout + run.stderr
    return Counter(calls.read_text().splitlines())


def change(path: Path, section: str, value: object) -> None:
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(content | {section: value}))


def test_only_what_a_change_touches_is_made_again(snakemake: Snakemake, tmp_path: Path) -> None:
    students = ("dmd_4", "dmd_8", "sc_dmd")
    sampled = (*students, "real")
    first = run_table4(snakemake, tmp_path)
    assert first == Counter(
        [
            "teacher --scale",
            "latents --scale",
            "table table4",
            *(f"train {name}" for name in students),
            *(f"{verb} {name}" for verb in ("sample", "score", "modes") for name in sampled),
        ]
    )

    experiment = tmp_path / "experiments" / "sc_dmd.yaml"
    change(experiment, "title", "A new title")
    assert run_table4(snakemake, tmp_path) == Counter(["table table4"])

    objectives = yaml.safe_load(experiment.read_text())["objectives"]
    change(experiment, "objectives", objectives | {"sc": {"weight": 0.7}})
    again = ["train sc_dmd", "sample sc_dmd", "score sc_dmd", "modes sc_dmd", "table table4"]
    assert run_table4(snakemake, tmp_path) == Counter(again)
    assert len(list((tmp_path / "scratch/smoke/runs/sc_dmd/seed0").iterdir())) == 2  # the old run is not resumed

    change(tmp_path / "workflow" / "stages.yaml", "score", 99)
    assert run_table4(snakemake, tmp_path) == Counter(["table table4", *(f"score {name}" for name in sampled)])


def test_all_is_made_once(snakemake: Snakemake, tmp_path: Path) -> None:
    words = ("all", "--config", "scale=smoke", "seeds=1", "out=elsewhere")
    run = snakemake(*words)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "elsewhere/results/smoke/report.html").exists()
    assert not (tmp_path / "results").exists()

    calls = (tmp_path / "calls").read_text()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert "Nothing to be done" in snakemake(*words).stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10  # seconds of processor
    assert (tmp_path / "calls").read_text() == calls


def test_an_interrupted_training_keeps_its_checkpoints(snakemake: Snakemake, tmp_path: Path) -> None:
    run = snakemake(*TABLE4, INTERRUPTED="dmd_8")
    assert run.returncode == 1
    assert len(list((tmp_path / "scratch/smoke/runs/dmd_8/seed0").glob("*/checkpoint"))) == 1
    assert not (tmp_path / "scratch/smoke/weights/dmd_8/seed0/provenance.json").exists()
    assert not (tmp_path / "results/smoke/tables/table4.csv").exists()


@pytest.mark.parametrize(("limit", "at_once"), [("mem_mb=100000", 1), ("gpu_jobs=2", 2)])
def test_jobs_with_gpus_take_turns_on_one_machine(
    snakemake: Snakemake, tmp_path: Path, limit: str, at_once: int
) -> None:
    """All would use its first GPU; a user who has room there may let several run."""
    resources = tmp_path / "workflow" / "resources.yaml"
    smoke = yaml.safe_load(resources.read_text())["smoke"]
    change(
        resources, "smoke", smoke | {"train": smoke["default"] | {"gpu": 1}, "sample": smoke["default"] | {"gpu": 8}}
    )
    spans = tmp_path / "spans"
    run = snakemake(*TABLE4, "--resources", limit, "--cores", "8", SPANS=str(spans))
    assert run.returncode == 0, run.stdout + run.stderr
    times = [tuple(map(float, line.split())) for line in spans.read_text().splitlines()]
    assert len(times) == 7
    assert max(sum(begun <= start < ended for begun, ended in times) for start, _ in times) == at_once
