"""What every figure is given: its entry in `experiments/tables.yaml`, the records, the videos, the training seeds."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

from salt.config.load import load_experiment
from salt.config.schema import Look
from salt.errors import SaltError
from salt.report.records import Kind, Records, one_protocol, released_in
from salt.report.style import OTHER_LOOKS
from salt.report.suite import FigureSpec

LINE = 165
"""Characters of a footnote's line."""


@dataclass(frozen=True)
class FigureContext:
    """What one figure is drawn from."""

    name: str
    spec: FigureSpec
    records: Records
    videos: Path
    wanted: tuple[int, ...]
    """Training seeds."""

    def title(self, experiment: str) -> str:
        """How an experiment is labelled."""
        return load_experiment(experiment, self.records.scale.name).title.replace(" (Ours)", "")

    def look(self, experiment: str, place: int) -> Look:
        """How an experiment is drawn; those without a look of their own take turns by their place in the figure."""
        own = load_experiment(experiment, self.records.scale.name).look
        return own or OTHER_LOOKS[place % len(OTHER_LOOKS)]

    def measured(self, kind: Kind) -> dict[str, tuple[int, ...]]:
        """Experiment: its measured training seeds, in the order drawn; those without any are left out.

        Raises:
            SaltError: where nothing is measured.
        """
        drawn = (*self.spec.experiments, *self.spec.references)
        found = {name: self.records.seeds(kind, name, self.wanted) for name in drawn}
        measured = {name: seeds for name, seeds in found.items() if seeds}
        if not measured:
            raise SaltError(f"{self.records.folder}: no {kind} records for {self.name}; accepted: {', '.join(found)}")
        return measured

    def footnote(self, kind: Kind, said: str) -> str:
        """Scale, seeds, protocol, what the figure says of itself, and what was not run, in lines that fit the page."""
        measured, scale = self.measured(kind), self.records.scale
        frames = [self.records.tidy(kind, name, seeds) for name, seeds in measured.items()]
        seeds = sorted({seed for found in measured.values() for seed in found})
        protocol = one_protocol(frames, f"{self.records.folder}, {self.name}")
        warning = "" if scale.meaningful else f"{scale.name.upper()}: NUMBERS MEAN NOTHING. "
        text = f"{warning}Scale {scale.name}; training seeds {', '.join(map(str, seeds))}; protocol {protocol}. {said}."
        if released := released_in(frames):
            text += f" Released weights: {', '.join(map(self.title, released))}."
        missing = [self.title(name) for name in self.spec.experiments if name not in measured]
        return "\n".join(textwrap.wrap(text + (f" Not run: {', '.join(missing)}." if missing else ""), LINE))
