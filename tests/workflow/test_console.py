"""The quiet console: a line a job, reasons first, what was made at the end; and what it reads of jobs that run."""

import json
import re
from pathlib import Path

import pytest

from salt.workflow.console import Console, made_lines
from salt.workflow.watch import Progress, Watched, duration, of_training, reason

WORDS = ("table4", "--config", "scale=smoke", "only=table4", "seeds=1", "out=made")


def test_a_run_is_a_line_a_job_and_ends_with_what_was_made(snakemake) -> None:
    run = snakemake(*WORDS)
    assert run.returncode == 0, run.stderr
    lines = run.stderr.splitlines()
    head = next(place for place, line in enumerate(lines) if re.match(r"\d+ jobs: ", line))
    total = int(lines[head].split()[0])
    assert "SALT_CONSOLE=full" in lines[head + 1]
    done = [line for line in lines if re.match(rf" *\d+/{total} ", line)]
    assert len(done) == total - 1, "all but the target, which runs nothing"
    assert any(re.search(r"train sc_dmd, seed 0: its weights \(\d+ s\)$", line) for line in done)
    assert lines[-2].startswith(f"{total} of {total} jobs done in ")
    assert lines[-1] == "  made/results/smoke/tables: table4.csv .md .tex"
    assert len(lines) <= total + 6
    assert "Nothing to be done" in snakemake(*WORDS).stderr


def test_a_failed_job_leads_with_its_reason(snakemake) -> None:
    run = snakemake(*WORDS, FAILING="latents")
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    failed = next(place for place, line in enumerate(lines) if line.startswith("FAILED"))
    assert lines[failed] == (
        "FAILED latents: the latents that all students are trained on: the disk is full; accepted: a larger one"
    )
    assert lines[failed + 1].endswith("its log: scratch/smoke/logs/latents.log")
    assert re.match(r"1 failed \(latents: .*\); \d+ of 19 jobs done in .*; the same command goes on", lines[-1])
    assert "Traceback" not in run.stderr


def test_after_an_interrupt_the_same_command_goes_on(snakemake) -> None:
    run = snakemake(*WORDS, STOPPED_AT="train")
    assert run.returncode == 1
    assert re.match(
        r"stopped: \d+ of 19 jobs done in .*; the same command goes on from here", run.stderr.splitlines()[-1]
    )
    assert "FAILED" not in run.stderr
    again = snakemake(*WORDS)
    assert again.returncode == 0, again.stderr
    assert " teacher: " not in again.stderr, "what was done is not done again"


@pytest.mark.parametrize(("words", "environment"), [((), {"SALT_CONSOLE": "full"}), (("--verbose",), {})])
def test_snakemakes_own_messages_are_one_word_away(
    snakemake, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    run = snakemake("score_controls", "--config", "scale=smoke", *words, **environment)
    assert "Job stats:" in run.stderr
    assert "salt teacher --scale smoke" in run.stderr
    assert "jobs done in" not in run.stderr


# -------------------------------------------------------------------------------------- what jobs have done
def test_a_training_is_as_far_as_its_metrics_say(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"train": {"iterations": 40}}))
    assert of_training(tmp_path) is None, "it has not begun"
    rows = [{"step": step, "seconds": 8.0 if step == 1 else 0.5} for step in range(1, 31)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text)
    found = of_training(tmp_path)
    assert found == Progress(30, 40, 2.0), "of the last twenty: the first iteration is slow"
    assert str(found) == "30/40, 2.0 a second, 5 s left"
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 31, "sec')
    assert of_training(tmp_path) is None, "a line that is being written says nothing yet"


def test_other_jobs_are_as_far_as_the_last_count_in_their_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, now = tmp_path / "log", [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    job = Watched(1, "sample dmd_4", log, "salt sample dmd_4")
    assert job.progress() is None
    bar = "cm_4:  10%|# | 6/64 [00:03<00:30,  2.0video/s]"
    log.write_text(f"read shard 3/4\n{bar}")
    assert job.progress() == Progress(6, 64)
    now[0] += 10
    log.write_text(f"{bar}\rcm_4:  41%|####  | 26/64 [00:13<00:18,  2.0video/s]")
    assert job.progress() == Progress(26, 64, 2.0)
    assert str(job.progress()) == "26/64, 2.0 a second, 19 s left"


def test_the_reason_is_what_salt_said_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert reason(log) == "its log says nothing"
    log.write_text("12:00:00 step 1/2\nRuntimeError: broken\n")
    assert reason(log) == "RuntimeError: broken"
    log.write_text("salt: first\n12:00:00 again\nsalt: runs/a: step 3: loss is nan; accepted: less\n12:00:01 bye\n")
    assert reason(log) == "runs/a: step 3: loss is nan; accepted: less"


def test_silence_is_broken_by_what_the_jobs_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    console = Console()
    list(console.planned({"train": 2, "total": 2}))
    for number in range(2):
        console.began(number, "train", f"train dmd_{number}, seed 0: its weights, scale tiny", None, "salt train", [])
    assert list(console.quiet_for()) == []
    now[0] = 75.0
    assert list(console.quiet_for()) == [
        "0/2 running: train dmd_0, seed 0: its weights: 1 min 15 s; train dmd_1, seed 0: its weights: 1 min 15 s"
    ]
    assert list(console.ended(0)) == ["1/2 train dmd_0, seed 0: its weights (1 min 15 s)"]
    assert next(console.broke(1, "train", ["no.log"])).startswith("FAILED train dmd_1")
    console.began(1, "train", "train dmd_1", None, "salt train", [])
    assert not console.failed, "it is tried again"


def test_files_are_told_by_folder() -> None:
    files = [Path("results/a.md"), Path("results/a.csv"), Path("figures/f.png"), Path("results/b.md")]
    assert list(made_lines(files)) == ["  figures: f.png", "  results: a.csv .md, b.md"]
    assert [duration(seconds) for seconds in (3.2, 61, 3725)] == ["3 s", "1 min 1 s", "1 h 2 min"]
