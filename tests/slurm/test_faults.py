"""A table made by SLURM while a node dies, a job is pre-empted and another runs out of time; then a killed master.

Whatever happens, the results are those of an undisturbed run without SLURM, byte for byte.
"""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from support.slurm_cluster import ends_of, kill_node, partitions_of, show_job, slurm, wait_for
from support.slurm_runs import CHECKPOINT_EVERY, STUDENTS, Workflow

pytestmark = pytest.mark.slurm
LOST, PREEMPTED, OVERDUE = "dmd_8", "dmd_4", "sc_dmd"  # the fate of each student


@pytest.fixture(scope="module")
def disturbed(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workflow, dict[str, str]]:
    """A finished run of table4 in which every training met a fault, and the first job of each."""
    workflow = Workflow(tmp_path_factory.mktemp("disturbed"))
    master, jobs = workflow.submit("table4"), {}

    def held() -> bool:
        assert master.poll() is None, workflow.said()
        for student in STUDENTS:
            if student not in jobs and workflow.steps(student) > CHECKPOINT_EVERY:
                _, jobs[student] = workflow.hold(student)
        return len(jobs) == len(STUDENTS)

    wait_for(held, "three trainings at work")
    nodes = {student: show_job(job)["NodeList"] for student, job in jobs.items()}
    assert {show_job(job)["TresPerJob"] for job in jobs.values()} == {"gres:gpu:1"}
    # SLURM wakes the two that are held, to tell them that they have to go.
    slurm("scontrol", "update", f"JobId={jobs[OVERDUE]}", "TimeLimit=1")
    slurm("sbatch", "-p", "urgent", "-w", nodes[PREEMPTED], "--gres=gpu:1", "-o", "/dev/null", "--wrap", "true")
    kill_node(nodes[LOST])
    workflow.finish(master)
    return workflow, jobs


def log_of(workflow: Workflow, student: str) -> str:
    """What all attempts to train a student told."""
    return (workflow.run_of(student) / "log").read_text()


def told(workflow: Workflow, student: str) -> str:
    """What the last job that was to train a student told; Snakemake takes away the log of the one before."""
    log = workflow.folder / f"scratch/smoke/logs/train/{student}_seed0.log"
    return log.read_text() if log.exists() else ""


def jobs_of(workflow: Workflow, student: str) -> set[str]:
    """The SLURM jobs that trained a student; SLURM's own log of each is kept."""
    return {path.stem for path in (workflow.folder / f"scratch/slurm_logs/rule_train/{student}_0").glob("*.log")}


def test_the_results_are_those_of_a_local_run(
    disturbed: tuple[Workflow, dict[str, str]], local: dict[str, bytes]
) -> None:
    results = disturbed[0].results()
    assert len(local) >= 3 * len(STUDENTS)
    assert results.keys() == local.keys()
    assert [name for name in local if results[name] != local[name]] == []


def test_jobs_without_gpus_go_to_the_partition_of_cpus(disturbed: tuple[Workflow, dict[str, str]]) -> None:
    logs = disturbed[0].folder / "scratch/slurm_logs"
    partitions: dict[str, set[str]] = {}
    for path in logs.glob("rule_*/**/*.log"):
        rule = path.relative_to(logs).parts[0].removeprefix("rule_")
        partitions.setdefault(rule, set()).update(partitions_of(path.stem))
    assert partitions.pop("train") == {"gpu"}
    assert {"latents", "score", "table"} <= partitions.keys()
    assert set.union(*partitions.values()) == {"max"}


def test_a_dead_node_gives_its_job_to_another(disturbed: tuple[Workflow, dict[str, str]]) -> None:
    workflow, jobs = disturbed
    assert ends_of(jobs[LOST]) == ["NODE_FAIL", "COMPLETED"]
    assert jobs_of(workflow, LOST) == {jobs[LOST]}
    assert log_of(workflow, LOST).count(f"(SLURM job {jobs[LOST]}) begins") == 2
    assert f"continuing after step {CHECKPOINT_EVERY}" in log_of(workflow, LOST)


def test_a_pre_empted_job_saves_and_is_submitted_again(disturbed: tuple[Workflow, dict[str, str]]) -> None:
    workflow, jobs = disturbed
    assert ends_of(jobs[PREEMPTED]) == ["FAILED"]
    check_resumed(workflow, PREEMPTED)


def test_a_job_out_of_time_saves_and_is_submitted_again(disturbed: tuple[Workflow, dict[str, str]]) -> None:
    workflow, jobs = disturbed
    assert ends_of(jobs[OVERDUE]) == ["TIMEOUT"]
    check_resumed(workflow, OVERDUE)


def check_resumed(workflow: Workflow, student: str) -> None:
    """Two jobs; the second goes on at the very step at which the first was stopped."""
    saved = re.findall(r"SIGTERM came; step (\d+)/\d+ is saved", log_of(workflow, student))
    assert len(saved) == 1, log_of(workflow, student)
    assert f"continuing after step {saved[0]}" in log_of(workflow, student)
    assert len(jobs_of(workflow, student)) == 2


def test_a_killed_master_never_has_a_model_trained_twice(
    disturbed: tuple[Workflow, dict[str, str]], local: dict[str, bytes], tmp_path: Path
) -> None:
    """Its successor submits the training again; the second job waits for the first, and takes over what it made."""
    workflow, student, scores = Workflow(tmp_path), "dmd_4", "results/smoke/records/dmd_4_seed0_scores.csv"
    workflow.begin_with(disturbed[0])
    master = workflow.submit(scores)
    wait_for(lambda: workflow.steps(student), "the training")
    process, first = workflow.hold(student)  # so that the second job is sure to meet it
    master.kill()
    master.wait()

    assert workflow.submit(scores).wait() != 0
    assert "unlock" in workflow.said()
    assert workflow.start("--unlock").wait() == 0
    master = workflow.submit(scores)
    wait_for(lambda: "waiting for" in told(workflow, student), "the second job")
    os.kill(process, signal.SIGCONT)
    workflow.finish(master)

    (second,) = jobs_of(workflow, student) - {first}
    assert ends_of(first) == ends_of(second) == ["COMPLETED"]
    assert re.search(rf"waiting for process {process} on .* \(SLURM job {first}\), which", told(workflow, student))
    assert "complete meanwhile, nothing to do" in told(workflow, student)
    assert "step" not in told(workflow, student)
    assert {name: local[name] for name in workflow.results()} == workflow.results()
    assert scores in workflow.results()


def test_one_training_on_two_nodes(disturbed: tuple[Workflow, dict[str, str]], tmp_path: Path) -> None:
    """The same rule; the processes of both nodes share each batch."""
    workflow, student = Workflow(tmp_path), "dmd_8"
    workflow.begin_with(disturbed[0])
    workflow.needs("train", gpu=1, nodes=2)
    workflow.finish(workflow.submit(f"scratch/smoke/weights/{student}/seed0/provenance.json"))
    (job,) = jobs_of(workflow, student)
    assert show_job(job)["NumNodes"] == "2"
    one, two = (first_metrics(made, student) for made in (disturbed[0], workflow))
    assert two == pytest.approx(one, rel=1e-3)


def first_metrics(workflow: Workflow, student: str) -> dict[str, float]:
    line = (workflow.run_of(student) / "metrics.jsonl").read_text().splitlines()[0]
    return {name: value for name, value in json.loads(line).items() if name != "seconds"}
