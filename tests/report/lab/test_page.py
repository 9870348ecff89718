"""The lab's page is one file that needs nothing else, and says first whether its controls hold."""

import base64
import dataclasses
from html.parser import HTMLParser

import pytest
from salt.report.lab.forest import forest

from salt.config.lab_figures import load_lab_figures
from salt.errors import SaltError
from salt.report.lab.page import make_lab_report
from salt.report.lab.tables import make_lab_table
from support.lab_records import LAB, VERDICTS, of_arms, of_nobody

VOID = {"meta", "img", "link", "br", "line", "rect", "circle", "polygon"}
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Fails where tags do not close in order; gathers what a browser would fetch, and the words in their order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.sections, self.said = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open
        self.words = " ".join(" ".join(self.said).split())

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        self.sections += [dict(attrs)["id"]] if tag == "section" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.said.append(data)


@pytest.fixture
def page(folder):
    """page(lab) -> the page of the records as they are, with two of its figures."""

    def make(lab=LAB):
        results = folder.root / "results" / "lab"
        for name in ("lab_controls", "lab_claims"):
            make_lab_table(name, lab, folder.records, results / "tables")
        figures = folder.root / "paper_figures" / "lab"
        figures.mkdir(parents=True, exist_ok=True)
        for name in ("fig_lab", "fig_lab_map"):
            (figures / f"{name}.png").write_bytes(PICTURE)
        return make_lab_report(lab, results, figures, results / "report.html").read_text()

    return make


def test_the_page_is_whole_and_in_its_order(page):
    text = page()
    found = Page(text)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in found.links)
    assert f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}" in found.links
    assert found.sections == ["lab_controls", "fig_lab", "lab_claims", "fig_lab_map", "provenance"]
    assert found.words.endswith("Not made fig_lab_lambda, fig_lab_chain")
    assert load_lab_figures().fig_lab_map.title in found.words
    assert 'class="warning"' not in text
    assert "The instrument stands: all 6 controls hold." in found.words
    assert found.words.count("Where the numbers come from") == 1
    assert '<strong class="v-holds-below-the-smallest-effect">' in text
    assert text == page()


def test_a_failed_control_is_the_first_thing(folder, page):
    folder.write_controls([row | {"value": 0.1} if row["nfe"] == 32 else row for row in of_nobody()])
    words = Page(page()).words.split("truth is known", 1)[1]
    assert words.lstrip().startswith(
        "No verdict: the instrument fails 1 of its controls. The exact teacher improves. It fails: the interval does "
        "not lie below 0."
    )


def test_a_scale_without_meaning_warns(page):
    text = page(dataclasses.replace(LAB, name="lab_smoke", meaningful=False))
    assert '<p class="warning">lab_smoke: numbers mean nothing' in text


def test_a_lab_of_one_member_that_lacks_cells_is_shown(folder, page):
    """The smoke scale: one seed, fewer steps, no numbers to speak of."""
    for path in folder.records.iterdir():
        path.unlink()
    for seed in (0, 100):
        rows = [row for row in of_arms([seed, seed + 1], "smoke") if row["seed"] == seed and row["nfe"] != 16]
        folder.write(f"core_{seed}-{seed}", rows)
    folder.write_controls([row for row in of_nobody() if row["nfe"] != 16 and row["seed"] < 2])
    words = Page(page(dataclasses.replace(LAB, meaningful=False))).words
    assert "unbounded" in words
    assert "6 no verdict" in words
    assert words.count("lab: numbers mean nothing. The instrument does not stand") == 2


def test_nothing_is_shown_without_the_controls(tmp_path):
    with pytest.raises(
        SaltError, match=r"lab_controls.md: cannot be read: .* accepted: the folder that `salt lab-table"
    ):
        make_lab_report(LAB, tmp_path, tmp_path, tmp_path / "report.html")


def test_the_plot_has_every_claim_and_every_interval(page):
    plot = page().split("<svg", 1)[1].split("</svg>")[0]
    for name, verdict in VERDICTS.items():
        assert f"{name} is worse than" in plot
        assert verdict.replace(", below the smallest effect", ", but small") in plot
    assert plot.count("<circle") == 2 * len(VERDICTS)


def line(**changed):
    usual = {"claim": "a", "text": "A <claim>.", "predicted": "greater", "smallest": "0.1", "phase": "confirm"}
    numbers = {"estimate": "0.2", "low": "0.1", "high": "0.3", "verdict": "holds"}
    return usual | numbers | changed


def places(plot):
    return [float(part.split('"')[0]) for part in plot.split('<circle cx="')[1:]]


def test_the_predicted_side_is_on_the_right():
    mirrored = line(predicted="less", estimate="-0.2", low="-0.3", high="-0.1")
    assert places(forest([line()])) == places(forest([mirrored]))
    middle = places(forest([line(estimate="0", low="-0.3")]))[0]
    assert places(forest([line()]))[0] > middle > places(forest([line(predicted="less")]))[0]


def test_the_plot_escapes_and_leaves_out_what_has_no_interval():
    plot = forest([line(), line(claim="b", estimate="", low="", high="", verdict="no verdict")])
    assert "A &lt;claim&gt;." in plot
    assert plot.count("<circle") == 1
    assert forest([line(low="")]) == ""
    assert forest([line(high="1000")]).count("<polygon") == 1
