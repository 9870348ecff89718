"""Starts child processes that need no imports of their own; they inherit the search path of this one."""

import multiprocessing
import runpy
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child.py")

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["salt.training.job", "salt.methods", "salt.models.wan", "diffusers.models.transformers.transformer_wan"]
)


@pytest.fixture
def spawn() -> Iterator[Callable[..., ForkServerProcess]]:
    """spawn(setting, folder, **environment) runs `child.py` in a process of its own."""
    started: list[ForkServerProcess] = []

    def start(setting: object, folder: Path, **environment: str) -> ForkServerProcess:
        given = {"setting": setting, "folder": folder, "environment": environment}
        process = context.Process(target=runpy.run_path, args=(str(CHILD), given, "__main__"))
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
