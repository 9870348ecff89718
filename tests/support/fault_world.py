"""A chain that nobody disturbed, and one of its stages in a folder of its own, where it is disturbed."""

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.fault_runs import Disturbance, Ended, Warm, contents, litter
from support.fault_stages import STAGES, Stage, make_root

NO_FAULT = Disturbance()


@dataclass
class Outcome:
    """What came of one case.

    Attributes:
        injected: faults that took effect.
        survived: whether the same command then completed, having said in one line what was wrong if it stopped.
        identical: whether its outputs are byte for byte those of an unbroken run.
        why: what was seen, where something is lost.
    """

    injected: int = 0
    survived: bool = True
    identical: bool = True
    why: str = ""

    @property
    def lost(self) -> int:
        return 0 if self.survived and self.identical else self.injected

    def wrong(self, seen: str) -> None:
        self.survived, self.why = False, self.why or " ".join(seen.split())[-300:]


@dataclass
class World:
    """A whole chain that nobody disturbed, and how long each of its stages took."""

    folder: Path
    warm: Warm
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def made(cls, folder: Path, names: Sequence[str]) -> "World":
        root = folder / "root"
        make_root(root)
        (folder / "logs").mkdir()
        world = cls(folder / "world", Warm(root, folder / "logs"))
        assert world.warm.run(["--version"]).code == 0  # all is imported from here on
        for stage in STAGES:
            if stage.name in names:
                begun = time.monotonic()
                ended = world.warm.run(stage.words(world.folder, world.folder))
                assert ended.code == 0, f"{stage.name}: {ended.said}"
                world.seconds[stage.name] = time.monotonic() - begun
        return world

    def wanted(self, stage: Stage) -> dict[str, bytes]:
        return contents(self.folder, stage.outputs)

    def copy(self, names: Sequence[str], case: Path) -> None:
        """Copies of what has these names, where there is something."""
        for name in names:
            place = self.folder / name
            if place.is_dir():
                shutil.copytree(place, case / name, dirs_exist_ok=True)
            elif place.is_file():
                (case / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(place, case / name)


@dataclass
class Case:
    """One stage in a folder of its own."""

    world: World
    stage: Stage
    folder: Path
    rng: random.Random

    def start(self, met: Disturbance = NO_FAULT) -> Ended:
        return self.world.warm.run(self.stage.words(self.world.folder, self.folder), met)

    def completed(self, outcome: Outcome) -> Outcome:
        """After the same command, and a look at what it made."""
        ended = self.start()
        if ended.code != 0:
            outcome.wrong(f"exit {ended.code}: {ended.said}")
        return self.compared(outcome)

    def compared(self, outcome: Outcome) -> Outcome:
        wanted, found = self.world.wanted(self.stage), contents(self.folder, self.stage.outputs)
        differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        outcome.identical = not differ and not (left := litter(self.folder))
        if not outcome.identical:
            outcome.why = outcome.why or f"differ: {', '.join(differ[:3])}; left: {', '.join([] if differ else left)}"
        return outcome

    def moment(self) -> float:
        """Seconds from the beginning: any, and more often towards the end, where files are written."""
        return self.rng.random() ** 0.5 * self.world.seconds[self.stage.name]

    def a_file(self, folder: Path, names: Sequence[str]) -> Path | None:
        """Any file of these names or below them, that holds something."""
        files = [path for name in names for path in [folder / name, *sorted((folder / name).rglob("*"))]]
        files = [path for path in files if path.is_file() and path.stat().st_size and not path.name.startswith(".")]
        return self.rng.choice(files) if files else None
