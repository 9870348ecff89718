"""Small jobs for VBench: stored videos of captions that are hostile as file names, and a Python that only pretends."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from salt.config.vbench import VBench
from salt.data.vbench_prompts import VBenchPrompt
from salt.evaluation.vbench.view import DimensionJob
from salt.evaluation.video import write_mp4

HOSTILE = (
    "a cat, sitting (in the rain)",
    "../../etc/passwd",
    "/absolute",
    "a/b",
    "..",
    "-rf",
    "x" * 300,
    "tab\tand\nnewline",
    "nul\0",
    "split_clip",
    "clip.mp4 of a film",
    "A CAT, sitting (in the rain)",
)
PROTOCOL = "0123456789ab"
# Called as VBench's Python is: python -I run_vbench.py JOB. $FAKE_VBENCH may corrupt `body` or the whole run.
FAKE_PYTHON = """#!{python}
import json, os, pathlib, sys
assert sys.argv[1] == "-I"
job = json.loads(pathlib.Path(sys.argv[3]).read_text())
with open(os.environ["FAKE_CALLS"], "a") as calls:
    calls.write(job["dimension"] + chr(10))
videos = [video for row in job["table"] for video in row["video_list"]]
entries = [dict(video_path=video, video_results=len(pathlib.Path(video).read_bytes()) % 97 / 97) for video in videos]
body = dict(entries=entries, versions=dict(vbench="0.1.5"), device="cpu")
exec(os.environ.get("FAKE_VBENCH", ""))
body.setdefault("score", sum(entry["video_results"] for entry in body["entries"]) / len(body["entries"]))
pathlib.Path(job["out"]).write_text(json.dumps(body))
"""


def prompts_of(texts, *dimensions):
    return [VBenchPrompt(f"v{i:04d}", i, text, f"long: {text}", dimensions, {}) for i, text in enumerate(texts)]


def write_videos(folder: Path, prompts, seeds=(0, 1), frames: int = 5, side: int = 64) -> Path:
    """Videos that differ: a bright square that moves, over a gradient that the seed turns."""
    for prompt in prompts:
        for seed in seeds:
            video = np.zeros((frames, side, side, 3), np.uint8) + np.arange(side, dtype=np.uint8)[:, None]
            for t in range(frames):
                video[t, 4 + 2 * t : 20 + 2 * t, 8 + 2 * prompt.index : 24 + 2 * prompt.index, seed % 3] = 220
            write_mp4(folder / prompt.id / f"{seed}.mp4", video, 8)
    return folder


def make_job(
    folder: Path, dimension: str = "temporal_flickering", texts=HOSTILE, seeds=(0, 1), **changes
) -> DimensionJob:
    """A job on a video of every text and seed."""
    prompts = prompts_of(texts, dimension)
    videos = write_videos(folder / "videos", prompts, seeds)
    settings = {"seeds": seeds, "protocol": VBench(), "device": "cpu"} | changes
    return DimensionJob(
        dimension, protocol_hash=PROTOCOL, prompts=prompts, videos=videos, out=folder / "out", **settings
    )


def fake_vbench(folder: Path, monkeypatch) -> SimpleNamespace:
    """A folder without weights, a Python that pretends, and the list of dimensions that it was asked for."""
    python, calls = folder / "fake_python", folder / "calls"
    python.write_text(FAKE_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    calls.touch()
    monkeypatch.setenv("FAKE_CALLS", str(calls))
    return SimpleNamespace(folder=folder / "vbench", python=python, calls=lambda: calls.read_text().split())
