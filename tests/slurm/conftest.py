"""The cluster, and what it is to reproduce. `make test-slurm` runs these tests; plain pytest leaves them out."""

from collections.abc import Iterator

import pytest

from support import slurm_cluster as fake
from support.slurm_runs import MASTERS, Workflow


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
