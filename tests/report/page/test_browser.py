"""The report in a browser: three widths, light and dark, videos, search, keyboard, print."""

import io

import numpy as np
import pytest
from PIL import Image

from salt.report.claims import make_claims
from salt.report.clips import make_clips
from salt.report.page.of_scale import make_report
from salt.report.tables import make_table
from support.browser import HEIGHT, is_wider_than_its_window, opened
from support.pages import PICTURE

WIDTHS = (390, 900, 1440)
WIDE = WIDTHS[-1]


@pytest.fixture(scope="module")
def folder(results, videos, tmp_path_factory):
    made = tmp_path_factory.mktemp("made")
    (made / "records").symlink_to(results / "records")
    make_claims("tiny", results / "records", made)
    for name in ("table2", "table4", "controls"):
        make_table(name, "tiny", results / "records", 2, made / "tables")
    make_clips("tiny", videos, made)
    (made / "figures").mkdir()
    (made / "figures" / "figA1.png").write_bytes(PICTURE)
    return made


@pytest.fixture(scope="module")
def report(folder):
    return make_report("tiny", folder, folder / "figures", folder / "report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_its_window_and_nothing_goes_wrong(browser, report, width, scheme):
    with opened(browser, report, width, scheme) as page:
        assert is_wider_than_its_window(page) == []
        back, ink = page.evaluate(
            "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
        )
        bright = [sum(map(int, colour.strip("rgb()").split(","))) for colour in (back, ink)]
        assert (bright[0] > bright[1]) == (scheme == "light")


def test_the_first_screen_says_what_holds_and_what_it_cannot_show(browser, report):
    with opened(browser, report, WIDE) as page:
        for part in ("h1", ".limits", "#instrument .state", ".tally", ".sure", ".verdict"):
            box = page.locator(part).first.bounding_box()
            assert box["y"] + box["height"] <= HEIGHT, part


def test_words_can_be_told_from_what_is_behind_them(browser, report):
    """By WCAG's contrast of 4.5, for chips and quiet words, in both colour schemes."""
    for scheme in ("light", "dark"):
        with opened(browser, report, WIDE, scheme) as page:
            pairs = page.evaluate(
                """() => [...document.querySelectorAll('.chip, .tile, .quiet, dt, nav a, .state')].map((part) => {
                  let behind = part;
                  while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
                  return [getComputedStyle(part).color, getComputedStyle(behind).backgroundColor];
                })"""
            )
            for pair in {tuple(pair) for pair in pairs}:
                first, second = sorted((luminance(colour) for colour in pair), reverse=True)
                assert (first + 0.05) / (second + 0.05) >= 4.5, (scheme, pair)


def luminance(colour):
    """WCAG's relative luminance of `rgb(r, g, b)`."""
    parts = np.array([int(part) for part in colour.strip("rgb()").split(",")]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_videos_play_together_stop_and_are_scrubbed(browser, report):
    with opened(browser, report, WIDE) as page:
        frame = "Number(getComputedStyle(document.querySelector('.player')).getPropertyValue('--frame'))"
        page.locator("#speed").select_option("1")
        page.locator("#play").click()
        page.wait_for_function(f"{frame} > 0")
        page.locator("#play").click()
        stopped = page.evaluate(frame)
        page.wait_for_timeout(200)
        assert page.evaluate(frame) == stopped
        page.locator("#frame").focus()
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(frame) == 1
        assert page.locator("#frame-number").inner_text() == "2 of 3"
        across = page.evaluate(
            "[...document.querySelectorAll('.clip')].map((clip) => getComputedStyle(clip).backgroundPositionX)"
        )
        assert set(across) == {"50%"}


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_drawn_is_the_frame(browser, report, folder, width):
    """A block of every pixel of the stored frame, at the row and the column of the video that a label names."""
    sheet = np.asarray(Image.open(folder / "clips.webp").convert("RGB")).astype(int)
    side = sheet.shape[1] // 3
    with opened(browser, report, width) as page:
        page.locator("#caption").select_option("1")
        page.locator("#frame").focus()
        page.keyboard.press("End")
        clip = page.locator(".block.shown .clip").nth(2)
        row = int(clip.evaluate("(clip) => clip.style.getPropertyValue('--row')"))
        drawn = np.asarray(Image.open(io.BytesIO(clip.screenshot())).convert("RGB")).astype(int)
    stored = sheet[row * side : (row + 1) * side, 2 * side : 3 * side]
    middles = ((np.arange(side) + 0.5) * len(drawn) / side).astype(int)
    inner = slice(2, side - 2)  # corners are round
    assert np.abs(drawn[np.ix_(middles, middles)] - stored)[inner, inner].max() <= 2


def test_a_caption_is_chosen(browser, report):
    with opened(browser, report, WIDE) as page:
        shown = page.locator(".block.shown .said")
        first = shown.inner_text()
        page.locator("#caption").select_option("2")
        assert page.locator(".block.shown").count() == 1
        assert shown.inner_text() != first


def test_search_hides_what_has_not_the_words(browser, report):
    with opened(browser, report, WIDE) as page:
        page.locator("#find").fill("rcm better")
        assert page.get_by_role("heading", name="SC-DMD is better than rCM").is_visible()
        assert not page.get_by_role("heading", name="More steps make DMD worse").is_visible()
        assert page.locator("#table2").evaluate("(table) => table.open || table.hidden")
        assert " of " in page.locator("#found").inner_text()
        page.locator("#find").fill("")
        assert page.get_by_role("heading", name="More steps make DMD worse").is_visible()
        assert page.locator("#found").inner_text() == ""


def test_a_link_to_a_closed_table_opens_it(browser, report):
    with opened(browser, report, WIDE) as page:
        page.locator("nav a", has_text="Tables").click()
        page.locator("nav a[href='#table4']").click()
        page.locator("#table4 table").first.wait_for(state="visible")  # raises where it never is


def test_contents_on_a_phone_by_keyboard(browser, report):
    with opened(browser, report, WIDTHS[0]) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.locator("#contents").is_visible()
        assert page.locator("#menu").get_attribute("aria-expanded") == "true"
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        assert not page.locator("#contents").is_visible()


def test_a_narrow_screen_shows_cards(browser, report):
    with opened(browser, report, WIDTHS[0]) as page:
        page.locator("#table4 summary").click()
        cell = page.locator("#table4 td.number").first
        head = page.locator("#table4 th").nth(1).inner_text()
        assert cell.evaluate("(cell) => getComputedStyle(cell, '::before').content") == f'"{head}"'


def test_in_print_all_is_open_on_white_and_nothing_is_for_the_hand(browser, report):
    with opened(browser, report, WIDE, "dark") as page:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert not page.locator(".tools").is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator(".block:visible").count() == 4
        assert page.locator("#table4 table").first.is_visible()
