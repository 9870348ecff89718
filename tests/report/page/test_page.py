"""The report is one file that needs nothing else, well formed, with everything that was made."""

import pytest

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.report.claims import make_claims
from salt.report.clips import make_clips
from salt.report.page.markup import markdown_to_html
from salt.report.page.of_scale import make_report
from salt.report.tables import make_table
from support.pages import PICTURE, Page, as_webp

SCALE = load_scale("tiny")


@pytest.fixture(scope="module")
def made(results, videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    (folder / "records").symlink_to(results / "records")
    make_claims("tiny", results / "records", folder)
    make_table("table4", "tiny", results / "records", 2, folder / "tables")
    make_clips("tiny", videos, folder)
    (folder / "figures").mkdir()
    for name in ("figA1", "fig3", "fig_caches", "fig_teacher"):
        (folder / "figures" / f"{name}.png").write_bytes(PICTURE)
    return folder


@pytest.fixture(scope="module")
def page(made):
    return Page(make_report("tiny", made, made / "figures", made / "page" / "report.html").read_text())


def figure(page, name):
    """What is said below a figure."""
    return page.words.split(name, 2)[2].split("Figure ")[0]


def test_the_page_is_whole_and_has_words_for_all_that_is_seen(page):
    page.is_whole()
    page.can_be_heard()
    assert f"data:image/webp;base64,{as_webp()}" in page.links
    assert page.sections == ["claims", "videos", "figures", "tables", "deviations", "provenance"]


def test_it_opens_with_the_scale_its_limits_and_its_controls(page):
    opening = page.words.split("what holds at scale tiny", 1)[1]
    parts = [SCALE.about, *SCALE.limits, "9 of 9 controls hold", "claims, and what became of them"]
    places = [opening.index(part) for part in parts]
    assert places == sorted(places)
    assert "warning" not in [attrs.get("class") for _, attrs in page.tags]


def test_what_was_not_made_is_named(page):
    missing = page.words.split("Not made: ")[1]
    assert "table2, table3, table5, tableA1" in missing
    assert "learning curves" in missing
    assert "the videos" not in missing


def test_figures_say_what_was_found(page):
    said = figure(page, "Local semigroup defect on the 4-step inference path")
    assert "SC-DMD has a lower semigroup defect, Eq. (16): reproduced in 2 of 2. The clearest: defect_mean" in said
    assert "A drawing: it shows the method and no measurement." in page.words
    assert "Total, of 100: the teacher" in page.words
    assert "when its cache was made with the most steps instead of the fewest: Causal Forcing +" in page.words


def test_videos_are_by_caption_method_and_steps(page):
    clips = [attrs["aria-label"] for tag, attrs in page.tags if attrs.get("class") == "clip"]
    captions = [tag for tag, attrs in page.tags if attrs.get("class") == "block"]
    assert len(captions) == 4
    assert clips.count("SC-DMD (Ours), 8 steps") == clips.count("the guided teacher, 50 steps") == 4
    assert len(clips) == len(set(style(page))) == 4 * len(set(clips))


def style(page):
    """The row of the sheet of every video."""
    return [attrs["style"] for tag, attrs in page.tags if attrs.get("class") == "clip"]


def test_deviations_are_counted_and_linked(page):
    assert "places in which the paper leaves something open" in page.words
    assert "lambda_SC is not given" in page.words


def test_the_same_files_give_the_same_bytes(made):
    paths = [make_report("tiny", made, made / "figures", made / "same" / f"{name}.html") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_instrument_whose_control_fails_gives_no_verdict(made, make_records, tmp_path):
    writer = make_records(tmp_path / "records")
    writer.controls(blind="blur")
    for name in ("claims.csv", "claims.md"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    found = Page(make_report("tiny", tmp_path, tmp_path, tmp_path / "report.html").read_text())
    opening = found.words.split("what holds at scale tiny", 1)[1]
    assert opening.lstrip().startswith("No verdict: the instrument fails 1 of its controls.")
    assert "Blurred: Aesthetic Quality, Imaging Q." in opening
    chips = {attrs["class"] for _, attrs in found.tags if (attrs.get("class") or "").startswith("chip")}
    assert chips == {"chip tone-quiet"}
    assert "reproduced in" not in found.words.split("Claims as a forest plot")[1].split("Deviations")[0]


def test_controls_that_are_not_whole_are_refused(made, make_records, tmp_path):
    writer = make_records(tmp_path / "records")
    writer.controls()
    path = writer.folder / "controls.csv"
    path.write_text("".join(line for line in path.open() if "control_noise" not in line))
    (tmp_path / "claims.csv").write_bytes((made / "claims.csv").read_bytes())
    with pytest.raises(SaltError, match=r"controls.csv: control_noise is not in it as a whole; accepted: as `salt sco"):
        make_report("tiny", tmp_path, tmp_path, tmp_path / "report.html")


def test_a_scale_without_meaning_warns(make_records, tmp_path):
    writer = make_records(tmp_path / "records", scale="smoke", prompts=8)
    writer.scores("dmd_4", 0)
    make_claims("smoke", writer.folder, tmp_path)
    text = make_report("smoke", tmp_path, tmp_path, tmp_path / "report.html").read_text()
    assert '<p class="warning">smoke: numbers mean nothing' in text
    assert "Nothing is measured that could decide a claim." in text


def test_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(SaltError, match=r"claims.csv: cannot be read: .* accepted: as `salt claims --scale tiny`"):
        make_report("tiny", tmp_path, tmp_path, tmp_path / "report.html")


def test_claims_of_another_file_are_refused(made, tmp_path):
    lines = (made / "claims.csv").read_text().splitlines(keepends=True)
    (tmp_path / "claims.csv").write_text("".join(lines[:-1]))
    with pytest.raises(SaltError, match=r"claims.csv: its columns or claims are not those of experiments/claims.yaml"):
        make_report("tiny", tmp_path, tmp_path, tmp_path / "report.html")


def test_a_figure_that_is_no_picture_is_refused(made, tmp_path):
    (tmp_path / "fig3.png").write_text("no picture")
    with pytest.raises(SaltError, match=r"fig3.png: cannot be read: .* accepted: a PNG as `salt figure` writes it"):
        make_report("tiny", made, tmp_path, tmp_path / "report.html")


def test_markdown_becomes_html_and_is_escaped():
    text = "# A <b>\n\nsome *quiet* **not reproduced** `x`\n\n- one\n- two\n\n| a | b |\n| --- | ---: |\n|  | 1 < 2 |\n"
    html = markdown_to_html(text)
    assert html.replace("\n", "") == (
        "<h3>A &lt;b&gt;</h3>"
        '<p>some <em>quiet</em> <strong class="v-not-reproduced">not reproduced</strong> <code>x</code></p>'
        "<ul><li>one</li><li>two</li></ul>"
        '<div class="wide" role="region" aria-label="Table" tabindex="0"><table><thead><tr><th scope="col">a</th>'
        '<th class="number" scope="col">b</th></tr></thead><tbody>'
        '<tr><td data-head="a"></td><td class="number" data-head="b">1 &lt; 2</td></tr></tbody></table></div>'
    )
