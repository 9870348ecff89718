"""What a job asks for, in the words of the SLURM plugin, and how one is started on several nodes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from salt.errors import SaltError
from salt.workflow.resources import RESUMED, Resources
from salt.workflow.stages import load_stages

FOLDER = Path(__file__).parents[2] / "workflow"
ASKED = {"gpu": 0, "mem_mb": 2000, "runtime": 20, "cpus_per_task": 1}


def resources(tmp_path: Path, **rules: dict[str, Any]) -> Resources:
    (tmp_path / "resources.yaml").write_text(yaml.safe_dump({"smoke": {"default": ASKED, **rules}}))
    return Resources.load(tmp_path, "smoke")


def test_smoke_scale_asks_for_no_gpu() -> None:
    smoke = Resources.load(FOLDER, "smoke")
    assert smoke.most_gpus() == 0
    assert smoke.device("train") == "cpu"
    assert smoke.launcher("train") == ""
    assert smoke.asked("train").items() >= {"gpu": 0, "gpu_jobs": 0, "nodes": 1}.items()


def test_a_scale_asks_as_the_one_that_it_extends() -> None:
    assert Resources.load(FOLDER, "paper_i2v") == Resources.load(FOLDER, "paper")


def test_a_training_on_one_node_asks_for_its_gpus() -> None:
    paper = Resources.load(FOLDER, "paper")
    asked = paper.asked("train")
    assert asked.items() >= {"gpu": 8, "gpu_jobs": 1, "nodes": 1, "cpus_per_task": 64, "runtime": 1440}.items()
    assert "mpi" not in asked
    assert paper.launcher("train") == "torchrun --standalone --nproc-per-node=8 --no-python "
    assert paper.threads("train") == 64


OOM = "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch. Some of the step tasks have been OOM Killed.\n"
OVER = "slurmstepd-gpu1: error: StepId=1.batch exceeded memory limit (639746048 > 314572800), being killed\n"
LATE = "slurmstepd: error: *** JOB 7 ON gpu1 CANCELLED AT 2026-11-28T11:00:00 DUE TO TIME LIMIT ***\n"
LOST = "slurmstepd: error: *** JOB 7 ON gpu1 CANCELLED AT 2026-11-28T11:00:00 DUE TO PREEMPTION ***\n"


@pytest.mark.parametrize(
    ("ends", "memory", "time"),
    [
        ([], 1, 1),
        ([LOST], 1, 1),
        (["RuntimeError: CUDA out of memory\n"], 1, 1),
        ([OOM], 2, 1),
        ([OVER, LOST], 2, 1),
        ([LATE], 1, 2),
        ([LATE + "the same job again\n", OOM], 2, 2),
        ([OOM, LOST, LOST, LOST, LOST], 1, 1),  # an earlier call of Snakemake's, which ran to its end
    ],
)
def test_more_is_asked_for_only_where_it_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: list[str], memory: int, time: int
) -> None:
    monkeypatch.setenv("SALT_SCRATCH", str(tmp_path))
    asked = {rule: Resources.load(FOLDER, "paper").asked(rule) for rule in ("train", "score_vbench")}
    for rule in asked:
        folder = tmp_path / "slurm_logs" / f"rule_{rule}" / "dmd_4_0"
        folder.mkdir(parents=True)
        for job, end in enumerate(ends, 9):  # 10 comes after 9
            (folder / f"{job}.log").write_text("x" * 20000 + "\n" + end)
    attempt, wildcards = min(len(ends), 3) + 1, ["dmd_4", "0"]
    assert asked["train"]["mem_mb"](wildcards, attempt) == 960000 * memory
    assert asked["train"]["runtime"] == 1440  # it goes on where it was stopped
    assert asked["score_vbench"]["runtime"](wildcards, attempt) == 1440 * time
    assert asked["train"]["mem_mb"](wildcards, 1) == 960000
    assert asked["train"]["mem_mb"](["dmd_8", "0"], 2) == 960000


def test_what_is_resumed_is_what_the_profile_calls_preemptible() -> None:
    profile = yaml.safe_load((FOLDER / "profiles" / "slurm" / "config.yaml").read_text())
    rules = {rule.removeprefix("beside_") for rule in profile["preemptible-rules"]}
    assert rules == set(RESUMED)


def test_a_training_on_several_nodes_is_one_step_of_srun(tmp_path: Path) -> None:
    two = resources(tmp_path, train=ASKED | {"gpu": 8, "nodes": 2, "cpus_per_task": 64})
    # gpu=8 would be eight in all; tasks without tasks_per_gpu=0 would be two on every GPU
    asked = two.asked("train")
    assert asked.items() >= {"nodes": 2, "tasks": 2, "tasks_per_gpu": 0, "gres": "gpu:8", "mpi": "srun"}.items()
    assert "gpu" not in asked
    assert two.of("train").gpus == 16
    srun, torchrun = two.launcher("train").split(" torchrun ")
    assert srun == "srun --nodes=2 --ntasks=2 --cpus-per-task=64 --kill-on-bad-exit=1 --gres=gpu:8"
    assert torchrun.startswith("--nnodes=2 --rdzv-backend=c10d ")
    assert torchrun.endswith("--nproc-per-node=8 --no-python ")


def test_a_rule_is_told_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALT_CPU_PARTITION", "all")
    monkeypatch.setenv("SALT_GPU", "gres:h200")
    resources = Resources.load(FOLDER, "paper")
    assert resources.asked("table").items() >= {"slurm_partition": "all", "gpu": 0}.items()
    assert resources.asked("train").items() >= {"slurm_partition": "gpu", "gres": "gpu:h200:8"}.items()


def test_the_device_follows_the_gpus_unless_it_is_named(tmp_path: Path) -> None:
    some = resources(tmp_path, train=ASKED | {"gpu": 1}, sample=ASKED | {"gpu": 1, "device": "cpu"})
    assert [some.device(rule) for rule in ("train", "sample", "score")] == ["cuda", "cpu", "cpu"]


def test_a_part_asks_as_the_whole(tmp_path: Path) -> None:
    some = resources(tmp_path, latents=ASKED | {"parts": 4, "gpu": 2})
    assert some.of("latents_part") == some.of("latents")
    assert some.of("latents").parts == 4


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"trian": ASKED}, "trian: unknown rule; did you mean 'train'?"),
        ({"train": ASKED | {"gpus": 1}}, "train.gpus"),
        ({"train": ASKED | {"gpu": -1}}, "train.gpu"),
        ({"train": ASKED | {"device": "tpu"}}, "train.device"),
        ({"train": 3}, "train: is of type int"),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, rules: dict[str, Any], told: str) -> None:
    with pytest.raises(SaltError) as refused:
        resources(tmp_path, **rules)
    assert told in str(refused.value)
    assert "resources.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_stage_that_there_is_not_is_refused(tmp_path: Path) -> None:
    numbers = yaml.safe_load((FOLDER / "stages.yaml").read_text())
    (tmp_path / "stages.yaml").write_text(yaml.safe_dump(numbers | {"paper": 1}))
    with pytest.raises(SaltError, match=r"stages\.yaml: paper"):
        load_stages(tmp_path)


def test_every_scale_has_resources() -> None:
    resources = yaml.safe_load((FOLDER / "resources.yaml").read_text())
    scales = {
        path.stem: yaml.safe_load(path.read_text())
        for path in (FOLDER.parent / "experiments" / "scales").glob("*.yaml")
    }
    videos = {name: keys for name, keys in scales.items() if not name.startswith("lab")}
    assert set(resources) == {name for name, keys in videos.items() if "extends" not in keys}
    assert {keys["extends"] for keys in videos.values() if "extends" in keys} <= set(resources)
