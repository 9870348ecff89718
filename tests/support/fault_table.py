"""What the faults of all stages came to: as JSON, and as the page docs/faults.md, which is made of it."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from salt.files import write_text
from salt.report.records import code_commit
from support.blocks import ROOT
from support.fault_kinds import FAULTS
from support.fault_stages import DISTURBED, NOT_STAGES
from support.fault_world import Outcome

RESULTS, PAGE = ROOT / "tests" / "faults" / "results.json", ROOT / "docs" / "faults.md"
HOSTILE = ROOT / "tests" / "hostile" / "results.json"
"""Written by the tests beside it."""
COUNTS = ("injected", "survived", "identical", "lost")
HEAD = """\
# Faults

What happens when a process is killed, a disk fills up or a file is damaged: `make soak` makes these faults in every
stage, at moments and places that are drawn at random, and then gives the same command again.

* **injected**: faults that took effect.
* **survived**: afterwards the same command completed. Where a command stopped by itself, it said in one line what was
  wrong; a damaged file it refused was removed first, or put back if another stage had made it.
* **identical**: its outputs are byte for byte those of a run that nothing disturbed.
* **lost**: all others. Tables, records and weights from elsewhere carry no hash that a reader of them could compare:
  there a changed digit may be taken for what it says; all else that is wrong is refused.

In all {injected:,} faults, of them {kills} kills: {lost} lost. Seed {seed}, {commit}, {minutes} minutes.

"""
TAIL = """
Not in the table:

{excepted}

## Stage by stage

A cell: injected, or *injected / lost* where something was.

"""


HOSTILE_HEAD = """
## Hostile input

Files that are generated or damaged (YAML, prompts, tables, safetensors, pickles, configurations, checkpoints, mp4,
pictures, records) are accepted, or refused in one line within a second: no traceback, no file written elsewhere,
nothing executed, memory bounded. In all {cases:,} cases at {commit}, {minutes} minutes.

"""


@dataclass
class Table:
    """Of one run of the whole matrix."""

    seed: int
    commit: str
    seconds: int
    cells: list[dict[str, Any]]
    """Of each stage and fault the counts."""

    @classmethod
    def new(cls, seed: int) -> "Table":
        return cls(seed, code_commit(), 0, [])

    @classmethod
    def read(cls, path: Path) -> "Table":
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def add(self, stage: str, fault: str, outcome: Outcome) -> None:
        cell = next((one for one in self.cells if (one["stage"], one["fault"]) == (stage, fault)), None)
        if cell is None:
            cell = {"stage": stage, "fault": fault, **dict.fromkeys(COUNTS, 0)}
            self.cells.append(cell)
        cell["injected"] += outcome.injected
        cell["survived"] += outcome.injected * outcome.survived
        cell["identical"] += outcome.injected * (outcome.survived and outcome.identical)
        cell["lost"] += outcome.lost

    def write(self, seconds: float) -> None:
        self.seconds = round(seconds)
        write_text(RESULTS, json.dumps(asdict(self), indent=1) + "\n")
        write_text(PAGE, page(self))

    def injected(self, fault: str) -> int:
        return self.sum("injected", fault=fault)

    def sum(self, count: str, **of: str) -> int:
        return sum(cell[count] for cell in self.cells if all(cell[key] == value for key, value in of.items()))

    @property
    def lost(self) -> list[str]:
        return [f"{one['stage']}, {one['fault']}" for one in self.cells if one["lost"]]


def page(table: Table) -> str:
    """As Markdown."""
    text = HEAD.format(
        injected=table.sum("injected"), kills=table.injected("SIGKILL"), lost=table.sum("lost"), seed=table.seed,
        commit=table.commit, minutes=round(table.seconds / 60),
    )  # fmt: skip
    text += _markdown(("fault", *COUNTS), ([fault, *(table.sum(c, fault=fault) for c in COUNTS)] for fault in FAULTS))
    text += TAIL.format(excepted="\n".join(f"* `{name}`: {why}." for name, why in NOT_STAGES.items()))
    made = {cell["stage"] for cell in table.cells}
    stages = [stage.name for stage in DISTURBED if stage.name in made]
    rows = ([f"`{stage}`", *(_cell(table, stage, fault) for fault in FAULTS)] for stage in stages)
    return text + _markdown(("stage", *FAULTS), rows) + (hostile() if HOSTILE.is_file() else "")


def hostile() -> str:
    """As Markdown: what readers were given that was generated or damaged, file by file of the tests."""
    known = json.loads(HOSTILE.read_text(encoding="utf-8"))
    files: dict[str, list[dict[str, int]]] = {}
    for test, one in known["tests"].items():
        files.setdefault(test.partition("::")[0].rpartition("/")[2], []).append(one)
    rows = [
        [f"`{name}`", len(of), min(o["cases"] for o in of), *(sum(o[key] for o in of) for key in ("cases", "failed"))]
        for name, of in files.items()
    ]
    text = HOSTILE_HEAD.format(
        cases=sum(one["cases"] for one in known["tests"].values()), commit=known["commit"],
        minutes=round(known["seconds"] / 60),
    )  # fmt: skip
    return text + _markdown(("tests/hostile", "readers and kinds", "fewest cases", "cases", "failed"), rows)


def refresh() -> None:
    """Write the page of what is written down."""
    write_text(PAGE, page(Table.read(RESULTS)))


def _cell(table: Table, stage: str, fault: str) -> str:
    injected, lost = (table.sum(count, stage=stage, fault=fault) for count in ("injected", "lost"))
    return f"{injected} / {lost}" if lost else str(injected or "")


def _markdown(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(head)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


if __name__ == "__main__":
    if "--fix" in sys.argv:
        write_text(PAGE, page(Table.read(RESULTS)))
