"""Faults in every stage: the same command then completes, and makes what an unbroken run makes.

A few of them each time; the whole matrix under `make soak`, which writes its table.
"""

import time
from pathlib import Path

import pytest

from support.blocks import ROOT
from support.fault_kinds import FAULTS, SHORT_FAULTS, case_of
from support.fault_stages import DISTURBED, NOT_STAGES, SHORT, STAGES
from support.fault_table import PAGE, RESULTS, Table, page
from support.fault_world import World

SEED = 18
KILLS = 500
"""Random kills of the whole matrix, at least."""
SLOW = ("teacher", "ode-pairs", "train sc_dmd", "modes", "score-controls", "figure", "clips", "lab-truth", "lab-figure")
"""What the names of stages begin with that take seconds; the others are killed more often."""
QUICK_KILLS = 5
"""Cases of them, of five kills each; of all else there is one."""
SHORT_CASES = [
    *((stage, "SIGKILL") for stage in SHORT if stage != "train sc_dmd"),  # tests/training kills trainings
    ("train sc_dmd", "SIGTERM"),
    ("sample sc_dmd", "SIGSTOP"),
    ("sample sc_dmd", "two processes"),
    ("score sc_dmd", "two processes"),
    ("train sc_dmd", "NaN in a step"),
    ("latents", "disk full"),
    ("sample sc_dmd", "disk full"),
    ("export sc_dmd wan", "disk full"),
    ("score sc_dmd", "read-only folder"),
    ("latents", "clock set back"),
    ("train sc_dmd", "run: truncated"),
    ("latents", "output: one bit"),
    ("score sc_dmd", "output: truncated"),
]
"""Stage and fault."""
OF_THE_MACHINE = ("disk full", "read-only folder")
"""Which not every machine lets a test make."""


def test_every_stage_is_in_the_matrix_or_named_with_the_reason_why_not() -> None:
    files = {path.stem for path in (ROOT / "salt" / "stages").glob("[a-z]*.py")}
    assert files == {stage.rule for stage in DISTURBED} | NOT_STAGES.keys()


@pytest.mark.parametrize(("stage", "fault"), SHORT_CASES)
def test_the_same_command_completes_what_a_fault_left(
    world: World, tmp_path: Path, soak: bool, stage: str, fault: str
) -> None:
    if soak:
        pytest.skip("the whole matrix has it")
    named = next(one for one in STAGES if one.name == stage)
    outcome = case_of(world, named, fault, 0, tmp_path / "case", SEED, SHORT_FAULTS)
    assert outcome.injected or fault in OF_THE_MACHINE
    assert not outcome.lost, outcome.why


def test_the_whole_matrix(world: World, tmp_path: Path, soak: bool) -> None:
    if not soak:
        pytest.skip("hours: make soak")
    begun = time.monotonic()
    table = Table.new(SEED)
    for stage in sorted(DISTURBED, key=lambda one: world.seconds[one.name]):
        for fault in FAULTS:
            often = fault == "SIGKILL" and not stage.name.startswith(SLOW)
            for number in range(QUICK_KILLS if often else 1):
                outcome = case_of(world, stage, fault, number, tmp_path / "case", SEED)
                table.add(stage.name, fault, outcome)
                print(f"{stage.name}, {fault}: {'lost: ' + outcome.why if outcome.lost else 'held'}", flush=True)
        table.write(time.monotonic() - begun)
    assert table.injected("SIGKILL") >= KILLS
    assert not table.lost, table.lost


def test_the_page_is_what_the_matrix_found_and_nothing_is_lost() -> None:
    table = Table.read(RESULTS)
    assert PAGE.read_text(encoding="utf-8") == page(table), f"{PAGE} is stale: python -m support.fault_table --fix"
    assert table.injected("SIGKILL") >= KILLS
    assert not table.lost
    assert {cell["stage"] for cell in table.cells} == {stage.name for stage in DISTURBED}
    assert {cell["fault"] for cell in table.cells} == {*FAULTS}
