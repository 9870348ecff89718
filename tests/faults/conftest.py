"""One chain that nobody disturbs, for all faults of a session."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from support.fault_stages import SHORT, STAGES
from support.fault_world import World

SOAK = settings.get_current_profile_name() == "soak"


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether the whole matrix is asked for: `make soak`."""
    return SOAK


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The chain, short but for the whole matrix, made by forks of one process in one thread."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "OMP_NUM_THREADS", "1")
        names = [stage.name for stage in STAGES] if SOAK else ["teacher", *SHORT]
        return World.made(Path(tmp_path_factory.mktemp("faults")), names)
