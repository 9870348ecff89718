"""What a page holds, as data: the scale's page and the lab's are made of the same parts by the same template."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from salt.report.page.forest import Bar, Tone

ORDER: tuple[Tone, ...] = ("good", "small", "bad", "mixed", "quiet")
"""Of verdicts on the page."""


@dataclass(frozen=True)
class Chip:
    """A verdict in a word or two; the mark says it without colour."""

    text: str
    tone: Tone
    mark: str


@dataclass(frozen=True)
class Row:
    """One measurement of a claim."""

    label: str
    """What is measured."""
    chip: Chip
    bars: tuple[Bar, ...] = ()
    """None where nothing is measured."""
    paper: float | None = None
    """Where the paper's own number is, in percent of the width."""
    band: tuple[float, float] | None = None
    """Of effects that would not matter."""
    numbers: tuple[tuple[str, str], ...] = ()
    """What it is called, and the number, as printed."""


@dataclass(frozen=True)
class Statement:
    """A claim with all its measurements."""

    name: str
    """Of its place on the page."""
    says: str
    where: str
    chip: Chip
    """What all its measurements say together."""
    rows: tuple[Row, ...]

    @property
    def counts(self) -> list[tuple[Chip, int]]:
        """How many of its measurements have which verdict, the decided ones first."""
        return sorted(Counter(row.chip for row in self.rows).items(), key=lambda pair: ORDER.index(pair[0].tone))


@dataclass(frozen=True)
class Claims:
    """All claims, what they have in common, and how verdicts come about."""

    statements: tuple[Statement, ...]
    known: tuple[Chip, ...]
    """Verdicts that are counted even where no statement has them."""
    sure: str
    """What intervals cover, and how many would be wrong by chance."""
    rule: Markup
    axis: str
    """How the plot is read."""

    @property
    def verdicts(self) -> list[tuple[Chip, list[Statement]]]:
        """The statements of each verdict, the decided ones first."""
        found: dict[Chip, list[Statement]] = {chip: [] for chip in self.known}
        for statement in self.statements:
            found.setdefault(statement.chip, []).append(statement)
        return sorted(found.items(), key=lambda pair: ORDER.index(pair[0].tone))


@dataclass(frozen=True)
class Controls:
    """Whether the instrument shows what is known to be there."""

    said: str
    holds: bool | None
    """None: not measured."""
    failures: tuple[str, ...] = ()
    table: Markup | None = None


@dataclass(frozen=True)
class Part:
    """One table of the page."""

    name: str
    title: str
    body: Markup


@dataclass(frozen=True)
class Picture:
    """One figure of the page."""

    name: str
    title: str
    found: tuple[str, ...]
    """What was found, a sentence each."""
    data: str
    """A WebP in base64."""


@dataclass(frozen=True)
class Clip:
    """One video: its row of the sheet."""

    label: str
    row: int


@dataclass(frozen=True)
class ClipRow:
    """The videos of one method at its numbers of steps; None where there is no such video."""

    method: str
    clips: tuple[Clip | None, ...]


@dataclass(frozen=True)
class ClipBlock:
    """All videos of one caption."""

    caption: str
    reference: Clip | None
    """The teacher's video."""
    rows: tuple[ClipRow, ...]


@dataclass(frozen=True)
class Clips:
    """Videos side by side: a sheet whose rows are videos and whose columns are frames."""

    data: str
    """A WebP in base64."""
    frames: int
    rows: int
    """Of the sheet."""
    aspect: str
    """Width / height of a video."""
    fps: int
    steps: tuple[int, ...]
    """Columns of each block."""
    blocks: tuple[ClipBlock, ...]
    note: str


@dataclass(frozen=True)
class Curve:
    """Of one experiment and quantity: polylines over updates, in percent of a plot."""

    experiment: str
    quantity: str
    points: str
    """`x,y x,y ...` of the mean over training seeds."""
    low: str
    high: str
    """Ends of the axis, as printed."""
    last: str
    """The last value, as printed."""


@dataclass(frozen=True)
class Page:
    """All of it; what is empty is left out of the page and of its contents."""

    title: str
    heading: str
    about: str
    facts: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    controls: Controls
    claims: Claims
    commit: str
    warnings: tuple[str, ...] = ()
    figures: tuple[Picture, ...] = ()
    clips: Clips | None = None
    tables: tuple[Part, ...] = ()
    curves: tuple[Curve, ...] = ()
    cost: tuple[tuple[str, ...], ...] = ()
    """The head, then a line an experiment."""
    spent: str = ""
    """What all trainings took together."""
    deviations: tuple[tuple[str, str], ...] = ()
    """Number, and what the paper says or leaves open."""
    provenance: Markup | None = None
    missing: Sequence[str] = ()
    """Names of what was not made."""
