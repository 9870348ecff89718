"""`salt report`: tables, claims and figures of one scale in one HTML file that needs nothing beside it.

It is made of the files that `salt table`, `salt claims` and `salt figure` wrote, so it cannot say anything else. The
page of the lab has the same frame (`write_page`).
"""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import get_args

from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.files import write_text
from salt.report.claims import Verdict
from salt.report.records import code_commit
from salt.report.render import heading
from salt.report.suite import load_suite

STYLE = Markup("""\
:root { color-scheme: light; --line: #d8d8d8; --soft: #f5f6f7; --ink: #1d2126; --quiet: #5b636b; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 1180px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, li { max-width: 85ch; } .quiet, figcaption { color: var(--quiet); }
nav { background: var(--soft); border-radius: 6px; padding: .6rem 1rem; margin: 1rem 0; line-height: 1.9; }
nav { display: flex; flex-wrap: wrap; }
nav a { margin-right: 1rem; white-space: nowrap; }
.warning { background: #fff0e6; border-left: 4px solid #d55e00; padding: .7rem 1rem; font-weight: 600; }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; text-align: left; }
th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
.number { text-align: right; white-space: nowrap; } em { color: var(--quiet); }
.v-reproduced { color: #00724f; } .v-not-reproduced { color: #b34700; }
.v-inconclusive, .v-saturated, .v-not-tested { color: var(--quiet); }
figure { margin: 1rem 0 2rem; } figure img { max-width: 100%; height: auto; border: 1px solid var(--line); }""")
"""Of every page."""
NO_MEANING = "{}: numbers mean nothing. This scale only shows that every rule runs."
"""What the page of such a scale warns of."""
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Salt: {{ title }}</title>
<style>
{{ every_style }}
{{ style }}
</style>
</head>
<body>
<h1>{{ heading }}</h1>
{% for warning in warnings %}<p class="warning">{{ warning }}</p>{% endfor %}
<p class="quiet">Everything on this page was made by the workflow from the records of {{ source }}; {{ commit }}.
{{ note }}</p>
<nav>{% for part in parts %}<a href="#{{ part.name }}">{{ part.name }}</a>{% endfor %}</nav>
{% for part in parts %}
<section id="{{ part.name }}">
{{ part.body }}
</section>
{% endfor %}
{% if missing %}<h2>Not made</h2><p>{{ missing | join(", ") }}</p>{% endif %}
</body>
</html>
"""


@dataclass(frozen=True)
class Part:
    """One table or figure of the page."""

    name: str
    body: Markup


def make_report(scale: str, results_dir: Path, figures_dir: Path, out: Path) -> Path:
    """Write the page; the same files give the same bytes.

    Args:
        scale: whose results these are.
        results_dir: holds `claims.md` and `tables/*.md`.
        figures_dir: holds `*.png`.
        out: the HTML file; its folder is made where it is missing.

    Raises:
        SaltError: an unknown scale, or nothing to show.
    """
    suite = load_suite().at(load_scale(scale))
    texts = {"claims": results_dir / "claims.md"}
    texts |= {name: results_dir / "tables" / f"{name}.md" for name in suite.tables}
    pictures = {name: figures_dir / f"{name}.png" for name in suite.figures}
    parts = [
        Part(name, markdown_to_html(path.read_text(encoding="utf-8"))) for name, path in texts.items() if path.exists()
    ]
    parts += [
        Part(name, figure_html(path, suite.figures[name].title)) for name, path in pictures.items() if path.exists()
    ]
    if not parts:
        raise SaltError(f"{results_dir}: no claims, tables or figures; accepted: the folder that `salt table` wrote to")
    return write_page(
        out,
        f"results at scale {scale}",
        f"Self-consistent distribution matching: results at scale {scale}",
        parts,
        missing=[name for name, path in {**texts, **pictures}.items() if not path.exists()],
        warnings=[] if load_scale(scale).meaningful else [NO_MEANING.format(scale)],
        source="this scale",
        note=Markup("Columns headed <em>paper</em> are the published numbers (arXiv 2604.03118)."),
    )


def write_page(
    out: Path,
    title: str,
    heading: str,
    parts: Sequence[Part],
    *,
    missing: Sequence[str],
    warnings: Sequence[str],
    source: str,
    note: str = "",
    style: str = "",
) -> Path:
    """Write a page. Texts are escaped unless they are `Markup`.

    Args:
        out: the HTML file; its folder is made where it is missing.
        title: of the window.
        heading: of the page.
        parts: in their order.
        missing: names of parts that were not made.
        warnings: paragraphs that come first.
        source: whose records it is made from.
        note: what is to be known of all of it.
        style: besides that of every page.
    """
    page = (
        Environment(autoescape=True, undefined=StrictUndefined)
        .from_string(PAGE)
        .render(
            title=title,
            heading=heading,
            parts=parts,
            missing=missing,
            warnings=warnings,
            source=source,
            note=note,
            every_style=STYLE,
            style=style,
            commit=code_commit(),
        )
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page)
    return out


def figure_html(path: Path, title: str) -> Markup:
    """A picture under its title, within the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    html = '<h2>{}{}</h2><figure><img alt="{}" src="data:image/png;base64,{}"></figure>'
    return Markup(html).format(heading(path.stem), title, title, data)


def markdown_to_html(text: str, verdicts: Collection[str] = get_args(Verdict)) -> Markup:
    """A table's or the claims' Markdown: headings one level down, numbers to the right, verdicts in their colours."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 1}"
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "number")
        for opening, inside in pairwise(token.children or []):
            if opening.type == "strong_open" and inside.content in verdicts:
                opening.attrSet("class", f"v-{inside.content.replace(',', '').replace(' ', '-')}")
    page: str = markdown.renderer.render(tokens, markdown.options, {})
    return Markup(page.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))
