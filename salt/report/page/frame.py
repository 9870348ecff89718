"""How a page is written: its data through the templates beside this file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from salt.files import write_text
from salt.report.page.content import Page, Statement

TEMPLATES = Environment(
    loader=PackageLoader("salt.report.page"),
    autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Link:
    """A line of the contents."""

    name: str
    """Of a place on the page."""
    title: str
    parts: tuple["Link", ...] = ()


def write_page(page: Page, out: Path) -> Path:
    """Write it; the same page gives the same bytes. The folder is made where it is missing."""
    text = TEMPLATES.get_template("page.html.j2").render(page=page, sections=contents(page), count_text=count_text)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, text)
    return out


def contents(page: Page) -> list[Link]:
    """The sections that the page has, and what is in them."""
    sections: list[tuple[object, Link]] = [
        (True, Link("scale", "What this is")),
        (True, Link("instrument", "Controls")),
        (True, Link("verdicts", "Verdicts")),
        (True, Link("claims", "Claims", _links(page.claims.statements))),
        (page.clips, Link("videos", "Videos")),
        (page.figures, Link("figures", "Figures", tuple(Link(one.name, one.title) for one in page.figures))),
        (page.tables, Link("tables", "Tables", tuple(Link(one.name, one.title) for one in page.tables))),
        (page.cost or page.curves, Link("training", "Training and cost")),
        (page.deviations, Link("deviations", "Deviations")),
        (True, Link("provenance", "Provenance")),
    ]
    return [link for there, link in sections if there]


def count_text(statement: Statement) -> str:
    """`against the paper in 2 of 7, not distinguishable in 5`."""
    first, *others = statement.counts
    told = [f"{first[0].text} in {first[1]} of {len(statement.rows)}"]
    return ", ".join(told + [f"{chip.text} in {count}" for chip, count in others])


def _links(statements: Sequence[Statement]) -> tuple[Link, ...]:
    return tuple(Link(one.name, one.says) for one in statements)
