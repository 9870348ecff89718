"""What a page of the report is made of, as a test sees it."""

import base64
import io
from html.parser import HTMLParser

from PIL import Image

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""
VOID = {"meta", "img", "link", "br", "input", "line", "rect", "circle", "path", "polyline"}
UNREAD = {"style", "script"}
DEVIATIONS = "../../docs/deviations.md"
"""The one link that leads out of a page."""


def as_webp() -> str:
    """The same pixel as a page holds it."""
    out = io.BytesIO()
    Image.open(io.BytesIO(PICTURE)).save(out, "WEBP", lossless=True)
    return base64.b64encode(out.getvalue()).decode()


class Page(HTMLParser):
    """Fails where tags do not close in order; gathers what a browser would fetch, names, and words in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.names: list[str] = []
        self.sections: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open
        self.words = " ".join(" ".join(self.said).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.links += [value for name, value in attrs if name in ("src", "href") and value]
        self.names += [value for name, value in attrs if name == "id" and value]
        self.sections += [str(found["id"])] if tag == "section" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not UNREAD & set(self.open):
            self.said.append(data)

    def is_whole(self) -> None:
        """It needs no other file, its links lead to places that it has, and every place has one name."""
        assert len(self.names) == len(set(self.names))
        for link in self.links:
            inside = link.startswith("#") and link[1:] in self.names
            assert inside or link.startswith("data:image/webp;base64,") or link == DEVIATIONS, link[:80]

    def can_be_heard(self) -> None:
        """Pictures, plots and videos have words, controls have labels, and there is one main part and one heading."""
        for tag, attrs in self.tags:
            if tag == "img":
                assert attrs.get("alt")
            if attrs.get("role") in ("img", "region"):
                assert attrs.get("aria-label")
        tags = [tag for tag, _ in self.tags]
        assert (tags.count("main"), tags.count("h1"), tags.count("nav")) == (1, 1, 1)
        named = sum(tag in ("input", "select") for tag in tags)
        assert tags.count("label") == named
