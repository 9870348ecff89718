"""A table made by SLURM while a node dies, a job is pre-empted and another runs out of time; then a killed master.

Whatever happens, the results are those of an undisturbed run without SLURM, byte for byte.
"""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from cluster import ends_of, kill_node, show_job, slurm, wait_for
from runs import STUDENTS, Workflow

pytestmark = pytest.mark.slurm
LOST, PREEMPTED, OVERDUE = "dmd_8", "dmd_4", "sc_dmd"  # the fate of each student


@pytest.fixture(scope="module")
def disturbed(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workflow, dict[str, str]]:
    """A finished run of table4 in which every training met a fault, and the first job of each."""
    workflow = Workflow(tmp_path_factory.mktemp("disturbed"))
    master, jobs = workflow.submit("table4"), {}

    def at_work(student: str) -> bool:
        assert master.poll() is None, workflow.said()
        return workflow.steps(student) >= 3

    def strike(student: str) -> None:
        process, job = workflow.holder(student)
        jobs[student], node = job, show_job(job)["NodeList"]
        assert show_job(job)["TresPerJob"] == "gres:gpu:1"
        if student == LOST:
            kill_node(node)
        elif student == PREEMPTED:
            slurm("sbatch", "-p", "urgent", "-w", node, "--gres=gpu:1", "-o", "/dev/null", "--wrap", "true")
        else:
            os.kill(process, signal.SIGSTOP)  # it hangs, until SLURM wakes it to tell it that its time is over
            slurm("scontrol", "update", f"JobId={job}", "TimeLimit=1")

    def strike_whom_we_meet() -> bool:
        for student in STUDENTS.keys() - jobs.keys():
            if at_work(student):
                strike(student)
        return jobs.keys() == STUDENTS.keys()

    wait_for(strike_whom_we_meet, "three trainings at work")
    workflow.finish(master)
    return workflow, jobs


def log_of(workflow: Workflow, student: str) -> str:
    """What all attempts to train a student told."""
    return (workflow.run_of(student) / "log").read_text()


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


def test_a_dead_node_gives_its_job_to_another(disturbed: tuple[Workflow, dict[str, str]]) -> None:
    workflow, jobs = disturbed
    assert ends_of(jobs[LOST]) == ["NODE_FAIL", "COMPLETED"]
    assert jobs_of(workflow, LOST) == {jobs[LOST]}
    assert log_of(workflow, LOST).count(f"(SLURM job {jobs[LOST]}) begins") == 2


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
    for name in (".snakemake", "scratch/smoke/teacher", "scratch/smoke/latents.safetensors"):
        source = disturbed[0].folder / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, _parent(tmp_path / name))
    master = workflow.submit(scores)
    wait_for(lambda: workflow.steps(student) >= 3, "the training")
    master.kill()
    master.wait()
    _, first = workflow.holder(student)

    assert workflow.submit(scores).wait() != 0
    assert "unlock" in workflow.said()
    assert workflow.start("--unlock").wait() == 0
    workflow.finish(workflow.submit(scores))

    (second,) = jobs_of(workflow, student) - {first}
    assert ends_of(first) == ends_of(second) == ["COMPLETED"]
    told = (workflow.folder / f"scratch/smoke/logs/train/{student}_seed0.log").read_text()
    assert re.search(rf"waiting for process \d+ on .* \(SLURM job {first}\), which trains here", told)
    assert "complete meanwhile, nothing to do" in told
    assert "step" not in told
    assert {name: local[name] for name in workflow.results()} == workflow.results()
    assert scores in workflow.results()


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
