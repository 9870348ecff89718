"""The lab's page is one file that needs nothing else, and says first whether its controls hold."""

import dataclasses

import pytest

from salt.config.lab_figures import load_lab_figures
from salt.errors import SaltError
from salt.report.lab.page import TICKS, make_lab_report
from salt.report.lab.tables import make_lab_table
from support.lab_records import LAB, VERDICTS, of_arms, of_nobody
from support.pages import PICTURE, Page, as_webp


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
    text = page(dataclasses.replace(LAB, about="What it is.", limits=("No video.",)))
    found = Page(text)
    found.is_whole()
    found.can_be_heard()
    assert f"data:image/webp;base64,{as_webp()}" in found.links
    assert found.sections == ["claims", "figures", "tables", "provenance"]
    assert found.words.endswith("Not made: fig_lab_lambda, fig_lab_chain, fig_lab_any_step.")
    assert load_lab_figures().fig_lab_map.title in found.words
    assert 'class="warning"' not in text
    order = ("What it is.", "No video.", "The instrument stands: all 6 controls hold.", "6 claims, and what became of")
    places = [found.words.index(part) for part in order]
    assert places == sorted(places)
    assert found.words.count("Where the numbers come from") == 1
    assert '<strong class="v-holds-below-the-smallest-effect">' in text
    assert text == page(dataclasses.replace(LAB, about="What it is.", limits=("No video.",)))


def test_a_failed_control_is_the_first_thing(folder, page):
    folder.write_controls([row | {"value": 0.1} if row["nfe"] == 32 else row for row in of_nobody()])
    words = Page(page()).words.split("worlds whose truth is known", 1)[1]
    assert words.lstrip().startswith("No verdict: the instrument fails 1 of its controls.")
    opening = words.split("claims, and what")[0]
    assert "The exact teacher improves. It fails: the interval does not lie below 0." in opening
    assert "no verdict" in words
    assert "0 ✓ holds" in words


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
    assert words.count("lab: numbers mean nothing. The instrument does not stand") == 4  # opening, tables


def test_nothing_is_shown_without_the_controls(tmp_path):
    with pytest.raises(
        SaltError, match=r"lab_controls.md: cannot be read: .* accepted: the folder that `salt lab-table"
    ):
        make_lab_report(LAB, tmp_path, tmp_path, tmp_path / "report.html")


def rows(text):
    """Claim -> what its row of the plot says of itself, and its circles."""
    found = {}
    for part in text.split('<article id="claim-')[1:]:
        plot = part.split("<svg", 1)[1].split("</article>")[0]
        circles = [float(place.split("%")[0]) for place in plot.split('<circle cx="')[1:]]
        found[part.split('"')[0]] = (plot.split('aria-label="')[1].split('"')[0], circles)
    return found


def test_the_plot_has_every_claim_and_both_its_intervals(page):
    found = rows(page())
    assert found.keys() == VERDICTS.keys()
    for name, verdict in VERDICTS.items():
        label, circles = found[name]
        assert label.endswith(verdict.replace(", below the smallest effect", ", but small"))
        assert "Explore " in label
        assert "Confirm " in label
        assert len(circles) == 2
    assert min(found["up"][1]) > 50 > max(found["down"][1])


def test_the_predicted_side_is_on_the_right(folder, page):
    places = rows(page())["up"][1]
    plan = folder.claims.read_text()
    line = next(line for line in plan.splitlines() if line.strip().startswith("up:"))
    folder.claims.write_text(plan.replace(line, line.replace("predicted: greater", "predicted: less")))
    assert rows(page())["up"][1] == [pytest.approx(100 - place) for place in places]


def test_an_end_beyond_the_axis_is_an_arrow(folder, page):
    assert page().count('<svg class="tip" ') == 0
    plan = folder.claims.read_text()
    folder.claims.write_text(plan.replace("smallest: 0.01, plus", f"smallest: {0.01 / TICKS[-1]:g}, plus"))
    assert page().count('<svg class="tip" ') > 0


def test_what_a_figure_shows_is_told_from_the_claims_about_its_arms(page):
    assert "No claim of the plan is about these arms alone." in Page(page()).words
