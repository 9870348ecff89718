"""The cluster, and what it is to reproduce. `make test-slurm` runs these tests; plain pytest leaves them out."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cluster as fake
from runs import MASTERS, Workflow


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    if problem := fake.why_not():
        pytest.skip(f"no SLURM can be started here: {problem}")
    with fake.cluster():
        yield
        for master in MASTERS:
            master.kill()  # those that a failed test left behind


@pytest.fixture(scope="session")
def local(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The results of table4, made on this machine without SLURM."""
    workflow = Workflow(tmp_path_factory.mktemp("local"))
    workflow.finish(workflow.start("table4"))
    return workflow.results()
