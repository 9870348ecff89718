"""The report is one file that needs nothing else, well formed, with everything that was made."""

import base64
from html.parser import HTMLParser

import pytest

from salt.errors import SaltError
from salt.report.claims import make_claims
from salt.report.html import make_report, markdown_to_html
from salt.report.tables import make_table

VOID = {"meta", "img", "link", "br"}
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Fails where tags do not close in order; gathers what a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.words, self.classes = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        self.classes += [(tag, value) for name, value in attrs if name == "class"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def made(results, tmp_path):
    make_claims("tiny", results / "records", tmp_path)
    make_table("table4", "tiny", results / "records", 2, tmp_path / "tables")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "figA1.png").write_bytes(PICTURE)
    return tmp_path


def test_the_page_is_whole_and_needs_nothing_else(made):
    out = make_report("tiny", made, made / "figures", made / "page" / "report.html")
    page = Page(out.read_text())
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}" in page.links
    words = "".join(page.words)
    for part in ("Claims of the paper", "Table 4. Ablation", "Figure A1 (appendix). ", "reproduced", "82.78"):
        assert part in words
    assert "table2, table3, table5, tableA1" in words.split("Not made")[1]
    assert "warning" not in [kind for tag, kind in page.classes if tag == "p"]


def test_the_same_files_give_the_same_bytes(made):
    paths = [make_report("tiny", made, made / "figures", made / f"{name}.html") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_scale_without_meaning_warns(made):
    out = make_report("smoke", made, made / "figures", made / "report.html")
    assert '<p class="warning">smoke: numbers mean nothing' in out.read_text()


def test_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(SaltError, match="no claims, tables or figures"):
        make_report("tiny", tmp_path, tmp_path, tmp_path / "report.html")


def test_markdown_becomes_html_and_is_escaped():
    text = "# A <b>\n\nsome *quiet* **not reproduced** `x`\n\n- one\n- two\n\n| a | b |\n| --- | ---: |\n|  | 1 < 2 |\n"
    html = markdown_to_html(text)
    assert html.replace("\n", "") == (
        "<h2>A &lt;b&gt;</h2>"
        '<p>some <em>quiet</em> <strong class="v-not-reproduced">not reproduced</strong> <code>x</code></p>'
        "<ul><li>one</li><li>two</li></ul>"
        '<div class="wide"><table><thead><tr><th>a</th><th class="number">b</th></tr></thead><tbody>'
        '<tr><td></td><td class="number">1 &lt; 2</td></tr></tbody></table></div>'
    )
