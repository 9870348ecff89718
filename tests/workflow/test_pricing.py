"""`salt plan` and `salt status` beside Snakemake's own count of jobs; `salt` is faked for what Snakemake runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import prices
from salt.cli.doctor import SLURM_COMMANDS, slurm
from salt.config import load_experiment
from salt.planning import cost
from salt.planning.prices import remedies

ROOT = Path(__file__).parents[2]
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def salt(folder: Path, *words: str, **other: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SALT_")}
    environment = inherited | {"SALT_ROOT": str(folder), "PYTHONPATH": str(ROOT)} | other
    command = [sys.executable, "-c", "from salt.cli import main; main()", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def row(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [name])


def test_a_plan_shrinks_as_jobs_are_done_and_takes_their_times(snakemake: Snakemake, tmp_path: Path) -> None:
    words = ("table4", "--scale", "smoke", "--config", "seeds=1")
    before = salt(tmp_path, "plan", *words)
    assert before.returncode == 0, before.stderr
    assert "table4 at scale smoke: 18 of 18 jobs to run" in before.stdout
    assert row(before.stdout, "train")[:4] == ["train", "3", "0", "-"]
    state = row(salt(tmp_path, "status", *words).stdout, "table4")
    assert state[1] == "0"

    assert snakemake("table4", "--config", "scale=smoke", "seeds=1").returncode == 0
    after = salt(tmp_path, "plan", "table4", "tableA1", *words[1:])
    assert "table4 at scale smoke: 0 of" in after.stdout
    assert row(after.stdout, "train")[4] == "m", after.stdout
    told = json.loads(salt(tmp_path, "plan", "tableA1", *words[1:], "--config", "seeds=4", "--json").stdout)
    trained = told["targets"]["tableA1"]["rules"]["train"]
    assert trained["measured"] == "here"
    assert 0 < trained["hours"] * trained["jobs"] == pytest.approx(trained["all_hours"])
    done = row(salt(tmp_path, "status", *words).stdout, "table4")
    assert int(done[1]) == 18
    assert json.loads(salt(tmp_path, "status", *words, "--json").stdout)["targets"]["table4"]["done"] == 18
    assert done[2:6] == ["0", "0", "0", "0"]
    assert salt(tmp_path, "plan", *words, "--keep").returncode == 0
    shutil.rmtree(tmp_path / "scratch")
    elsewhere = row(salt(tmp_path, "plan", "tableA1", *words[1:], "--config", "seeds=4").stdout, "train")
    assert elsewhere[4] == "s", "as somebody else has measured it"
    assert row(salt(tmp_path, "status", *words).stdout, "table4")[1:6] == ["0", "9", "0", "0", "0"]  # as in a clone


def test_what_stopped_is_told_from_what_was_not_begun(snakemake: Snakemake, tmp_path: Path) -> None:
    words = ("table4", "--scale", "smoke", "--config", "seeds=1")
    assert snakemake("table4", "--config", "scale=smoke", "seeds=1", INTERRUPTED="dmd_8").returncode == 1
    _, _, _, running, stopped, missing, _ = row(salt(tmp_path, "status", *words).stdout, "table4")
    assert (running, stopped) == ("0", "1")
    assert int(missing) >= 3
    (holder,) = (tmp_path / "scratch/smoke/runs/dmd_8/seed0").glob("*/checkpoint")
    holder.with_name("lease").write_text("held")
    assert row(salt(tmp_path, "status", *words).stdout, "table4")[3:5] == ["1", "0"]


def test_paper_scale_is_priced_by_the_model(snakemake: Snakemake, tmp_path: Path) -> None:
    told = salt(tmp_path, "plan", "table4", "--scale", "paper", "--gpu", "h100", "--gpus", "16").stdout
    experiments = [load_experiment(name, "paper") for name in ("dmd_8", "dmd_4", "sc_dmd")]
    hours = sum(3 * cost.training(e) for e in experiments) / (0.3 * 989e12) / 3600
    assert float(row(told, "train")[5]) == pytest.approx(hours, rel=0.01)
    assert "on 16 GPUs" in told
    assert row(told, "score_vbench")[5:7] == ["not", "measured"]
    assert re.search(r"not in it, for nobody has measured them: .*\d+ score_vbench", told)
    assert "memory of a training on 8 GPUs" in told


def test_work_that_is_shared_is_priced_where_it_is_done(snakemake: Snakemake, tmp_path: Path) -> None:
    told = salt(tmp_path, "plan", "table5", "--scale", "paper", "--gpu", "h100", "--config", "seeds=1").stdout
    experiments = [load_experiment(name, "paper") for name in ("ode_init", "causal_ode")]
    assert row(told, "ode_pairs")[5] == row(told, "latents")[5] == "0.0"
    hours = {round(cost.trajectories(experiment) / (0.3 * 989e12) / 3600, 1) for experiment in experiments}
    assert float(row(told, "ode_pairs_part")[5]) in hours, "one of them starts the rows of Table 5"
    assert float(row(told, "latents_part")[5]) > 100


def test_levels_off_the_solvers_grid_cost_a_step_each_at_most() -> None:
    levels = {"grid.levels": "[1, 0.94, 0.83, 0.62]"}
    shifted, own = (load_experiment("ode_init", "paper", changes) for changes in ({}, levels))
    assert cost.trajectories(own) / cost.trajectories(shifted) == pytest.approx((48 + 4) / 48)


@pytest.mark.parametrize("target", [t for t in prices.TARGETS if t.target in ("published", "table4")], ids=str)
def test_the_docs_print_what_a_plan_says(target: prices.Target) -> None:
    assert prices.line(target) in prices.PAGE.read_text(encoding="utf-8").splitlines()


def test_what_does_not_fit_is_told_with_a_way_out() -> None:
    experiment = load_experiment("sc_dmd", "paper", {"train.shard": "false", "train.recompute": "false"})
    assert sum(cost.training_memory(experiment, 8).values()) > 80e9
    assert remedies(experiment, 8, 80e9) == "it would with train.recompute=true"
    shown = load_experiment("sc_dmd", "paper_i2v")
    needed = sum(cost.training_memory(shown, 8).values())
    assert remedies(shown, 8, needed - 1) == "it would with train.context_parallel=2, train.accumulate=4"
    assert remedies(experiment, 8, 1e9) == "more GPUs to split it over, or a larger device, are needed"


def looked(folder: Path, *words: str, **environment: str) -> tuple[int, dict[str, str]]:
    """The exit code of `salt doctor`, and its line for each thing."""
    answer = salt(folder, "doctor", *words, **environment)
    lines = [line.split(maxsplit=2) for line in answer.stdout.splitlines()]
    return answer.returncode, {
        what: f"{state} {told}" for state, what, told in lines if state in ("ok", "note", "wrong")
    }


def fake_slurm(folder: Path, sinfo: str = "echo gpu; echo cpu", without: Sequence[str] = ()) -> dict[str, str]:
    """A PATH with SLURM's commands, but for some, and with nothing else of which this machine may have more or less."""
    path = folder / "login"
    path.mkdir(exist_ok=True)
    for command in (*SLURM_COMMANDS, "sacct"):
        (path / command).unlink(missing_ok=True)
        if command not in without:
            (path / command).write_text(f"#!{shutil.which('sh')}\n{sinfo if command == 'sinfo' else ''}\n")
            (path / command).chmod(0o755)
    for command in ("bash", "env", "git", "sh", "which"):
        if not (path / command).exists():
            (path / command).symlink_to(shutil.which(command) or pytest.skip(f"no {command} on this machine"))
    return {"PATH": str(path)}


def test_a_doctor_speaks_to_programs(tmp_path: Path) -> None:
    answer = salt(tmp_path, "doctor", "--scale", "smoke", "--json", SALT_ROOT=str(ROOT), **fake_slurm(tmp_path))
    found = {line["what"]: line for line in json.loads(answer.stdout)}
    assert found["teacher"] == {"state": "ok", "what": "teacher", "message": "trained by its own rule"}


def test_a_doctor_finds_what_is_missing_and_says_what_to_do(snakemake: Snakemake, tmp_path: Path) -> None:
    code, found = looked(tmp_path, "--scale", "smoke", **fake_slurm(tmp_path))
    assert code == 0, found
    assert found["teacher"] == "ok trained by its own rule"
    assert found["SLURM"].startswith("ok partition gpu, gpu for jobs without GPUs; no SALT_ACCOUNT")
    assert "GB still to be written" in found["disk"]
    code, found = looked(tmp_path, "--scale", "tiny", SALT_PARTITION="a100", **fake_slurm(tmp_path))
    assert code == 1
    assert found["teacher"].startswith("wrong ")  # this copy has no assets
    assert found["SLURM"] == "wrong SALT_PARTITION=a100: no such partition; accepted: cpu, gpu"
    _, found = looked(tmp_path, "--scale", "smoke", SALT_CPU_PARTITION="gpu,fat", **fake_slurm(tmp_path))
    assert found["SLURM"] == "wrong SALT_CPU_PARTITION=gpu,fat: no such partition; accepted: cpu, gpu"
    _, found = looked(tmp_path, "--scale", "smoke", SALT_PARTITION="cpu,gpu", SALT_QOS="a b", **fake_slurm(tmp_path))
    assert found["SLURM"].startswith("wrong SALT_QOS=a b: accepted: a name as SLURM has it")
    _, found = looked(tmp_path, "--scale", "paper", **fake_slurm(tmp_path, "echo no controller >&2; exit 1"))
    assert found["SLURM"] == "wrong sinfo names no partition: no controller"
    assert found["devices"].startswith("note 0 GPUs here, jobs ask for up to 8")


@pytest.mark.parametrize("command", SLURM_COMMANDS)
def test_a_doctor_names_the_missing_slurm_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PATH", fake_slurm(tmp_path, without=[command])["PATH"])
    ((state, what, told),) = slurm()
    assert (state, what) == ("wrong", "SLURM")
    assert f"but not {command}: `--profile slurm` cannot run" in told


def test_a_doctor_works_where_snakemake_refuses_half_a_slurm(snakemake: Snakemake, tmp_path: Path) -> None:
    """A login node with sinfo alone: one thing to mend, in one line, and no other look stops at it."""
    only = [command for command in (*SLURM_COMMANDS, "sacct") if command != "sinfo"]
    code, found = looked(tmp_path, "--scale", "smoke", **fake_slurm(tmp_path, without=only))
    assert code == 1
    assert found["SLURM"].startswith(
        "wrong sinfo here, but not squeue, sbatch, scancel, scontrol: no `snakemake` starts"
    )
    assert [what for what, told in found.items() if told.startswith("wrong")] == ["SLURM"]
    assert "Neither 'sacct' nor 'squeue'" in found["disk"]


def test_a_doctor_without_slurm_only_notes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_slurm(tmp_path, without=[*SLURM_COMMANDS, "sacct"])["PATH"])
    ((state, _, told),) = slurm()
    assert (state, told.split(":")[0]) == ("note", "not on this machine")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "tabel4", "--scale", "smoke"], "snakemake tabel4: "),
        (["plan", "--scale", "smoke", "--gpu", "h20"], "--gpu h20: no such device in workflow/hardware.yaml"),
        (["plan", "--scale", "smok"], "did you mean"),
        (["status", "--scale", "smoke", "--config", "sedes=1"], "sedes"),
    ],
)
def test_mistakes_are_one_line(snakemake: Snakemake, tmp_path: Path, words: list[str], told: str) -> None:
    answer = salt(tmp_path, *words)
    assert answer.returncode == 2
    assert told in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
