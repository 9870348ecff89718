"""What the documentation site has beside the pages of `docs/`, all made while it is built.

The command line's reference, from the command line itself; the files of the repository that pages link to (Markdown as
pages, code as pages that show it, the rest as it is); equations as pictures, so that no script and no font is needed.
"""

import base64
import html
import io
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer
from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from salt.cli import app, register

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BESIDE = "repository/"
"""Where in the site the files of the repository lie that are not in `docs/`."""
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
SIZE, EM = 12.0, 10.5
"""Points in which equations are drawn, and what of them is as large as a letter of the text."""
LANGUAGES = {".py": "python", ".yaml": "yaml", ".smk": "python"}
"""Of files that are shown in a page of their own."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the command line's reference, and all that pages link to outside of `docs/`."""
    files.append(File.generated(config, "cli.md", content=command_line()))
    pages = [DOCS / file.src_uri for file in files.documentation_pages() if file.src_uri != "cli.md"]
    pages += [ROOT / uri.removeprefix(BESIDE) for uri in _of_nav(config.nav) if uri.startswith(BESIDE)]
    known = {file.src_uri for file in files}
    while pages:
        page = pages.pop()
        for path in [page, *targets(page)]:
            if (uri := place(path)) in known or not path.is_file():
                continue
            known.add(uri)
            files.append(_shown(config, path, uri))
            pages += [path] if path.suffix == ".md" else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where their targets lie in the site."""
    here = page.file.src_uri
    own = home(here)

    def moved(link: re.Match[str]) -> str:
        return os.path.relpath(place(_resolved(own, link[1])), os.path.dirname(here) or ".")

    return "".join(
        part if part.startswith("```") else LINK.sub(moved, part)
        for part in re.split(f"({FENCE.pattern})", markdown, flags=FENCE.flags)
    )


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Equations as pictures, their source as the text that stands for them."""
    return MATH.sub(lambda math: drawn(html.unescape(math[2]), math[1] == "div"), content)


@cache
def drawn(equation: str, alone: bool) -> str:
    """An equation as an image: in a line of its own, or on the line of the text around it and as large."""
    picture, text = io.BytesIO(), f"${' '.join(equation.split())}$"
    with rc_context({"mathtext.fontset": "stix", "svg.hashsalt": "salt"}):
        large = text.replace(r"\frac", r"\dfrac") if alone else text
        depth = math_to_image(large, picture, FontProperties(size=SIZE), dpi=72, format="svg")
    drawing = picture.getvalue()
    width, height = (float(re.search(rf' {side}="([\d.]+)pt"', drawing.decode())[1]) for side in ("width", "height"))
    line = f"height: {height / EM:.2f}em; vertical-align: {-depth / EM:.2f}em"
    kind, style = ("math alone", f"width: {width / EM:.2f}em") if alone else ("math", line)
    source = f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}"
    return f'<img class="{kind}" alt="{html.escape(equation)}" style="{style}" src="{source}">'


def command_line() -> str:
    """Every verb with its arguments and options."""
    register()
    command = typer.main.get_command(app)
    for verb in command.commands.values():
        verb.short_help = (verb.help or "").split("\n\n")[0].replace("\n", " ")  # else it is cut to 45 characters
    return get_docs_for_click(obj=command, ctx=typer.Context(command), name="salt", title="Command line")


def home(uri: str) -> Path:
    """Where in the repository the source of a page lies."""
    if not uri.startswith(BESIDE):
        return DOCS / uri
    path = ROOT / uri.removeprefix(BESIDE)
    return path if path.exists() else path.with_suffix("")


def place(path: Path) -> str:
    """Where in the site a file of the repository lies."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"{BESIDE}{path.relative_to(ROOT).as_posix()}{'.md' if path.suffix in LANGUAGES else ''}"


def targets(page: Path) -> Iterator[Path]:
    """The files of the repository that a page links to."""
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield _resolved(page, link)


def _resolved(page: Path, link: str) -> Path:
    path = Path(os.path.normpath(page.parent / link))
    return path if path.is_relative_to(ROOT) else page


def _shown(config: MkDocsConfig, path: Path, uri: str) -> File:
    if path.suffix not in LANGUAGES:
        return File.generated(config, uri, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV)
    name, code = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    page = f"---\nhide: [toc]\n---\n# `{name}`\n\n````{LANGUAGES[path.suffix]}\n{code}````\n"
    return File.generated(config, uri, content=page, inclusion=InclusionLevel.NOT_IN_NAV)


def _of_nav(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _of_nav(part)
