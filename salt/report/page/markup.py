"""Markdown, as the tables have it, as HTML for the page, and pictures as text."""

import base64
import io
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import get_args

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from PIL import Image

from salt.errors import SaltError
from salt.report.claims import Verdict

WIDE_TABLE = '<div class="wide" role="region" aria-label="Table" tabindex="0"><table>'


def markdown_to_html(text: str, verdicts: Collection[str] = get_args(Verdict)) -> Markup:
    """A table's or the claims' Markdown: headings two levels down, numbers to the right, verdicts in their colours.

    Every cell knows the head of its column, so that a narrow screen can show a line of a table as a card.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 2}"
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "number")
        for opening, inside in pairwise(token.children or []):
            if opening.type == "strong_open" and inside.content in verdicts:
                opening.attrSet("class", f"v-{inside.content.replace(',', '').replace(' ', '-')}")
    _name_cells(tokens)
    page: str = markdown.renderer.render(tokens, markdown.options, {})
    return Markup(page.replace("<table>", WIDE_TABLE).replace("</table>", "</table></div>"))


def split_heading(text: str) -> tuple[str, str]:
    """The first heading of a Markdown text, and the rest."""
    first, _, rest = text.partition("\n")
    return first.lstrip("# "), rest


def base64_of(path: Path) -> str:
    """A file as part of an address that holds it."""
    return base64.b64encode(path.read_bytes()).decode()


def picture(path: Path) -> str:
    """A picture in base64, as WebP without loss: about half of a PNG.

    Raises:
        SaltError: it is no picture.
    """
    out = io.BytesIO()
    try:
        with Image.open(path) as drawn:
            drawn.save(out, "WEBP", lossless=True)
    except OSError as error:
        raise SaltError(f"{path}: cannot be read: {error}; accepted: a PNG as `salt figure` writes it") from error
    return base64.b64encode(out.getvalue()).decode()


def _name_cells(tokens: list[Token]) -> None:
    """Give each cell the head of its column as `data-head`."""
    heads: list[str] = []
    place = 0
    for token, following in pairwise(tokens):
        if token.type == "table_open":
            heads = []
        elif token.type == "th_open":
            heads.append(following.content.replace("*", ""))
            token.attrSet("scope", "col")
        elif token.type == "tr_open":
            place = 0
        elif token.type == "td_open":
            token.attrSet("data-head", heads[place])
            place += 1
