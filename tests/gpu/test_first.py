"""The script of the first minutes on a GPU, asked of the CPU: every question is answered, and all answers are kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_first_runs_to_its_end_on_the_cpu(tmp_path: Path) -> None:
    out = tmp_path / "first.json"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [ROOT / "benchmarks" / "gpu" / "first.sh", "--tiny", "--out", out]
    done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(out.read_text())
    questions = [name for name, value in said.items() if isinstance(value, dict)]
    assert questions[:4] == ["ceiling", "tests", "rollout", "training"]
    assert [said[name]["code"] for name in questions] == [0] * 7
    assert said["tests"]["passed"] == 1
    for name in ("rollout", "rollout_compiled", "rollout_decoded"):
        assert said[name]["steps"].keys() == {"4", "2"}
        assert all(found["chunk_s"] > 0 for found in said[name]["steps"].values())
    assert said["training"]["experiments"]["sc_dmd"]["of_dmd_8"] > 0
    assert said["training_autoregressive"]["experiments"].keys() == {"self_forcing", "salt_self_forcing"}
    assert list(tmp_path.iterdir()) == [out]


def test_a_machine_without_a_gpu_is_told_so() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "gpu" / "first.py"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (2, "no GPU here; --tiny asks the same of the CPU")
