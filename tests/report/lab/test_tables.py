"""The lab's tables say what was judged, with its provenance; the same records give the same bytes."""

import csv

import pytest

from salt.config.lab_claims import lab_claims
from salt.errors import SaltError
from salt.report.lab.provenance import ranges
from salt.report.lab.tables import LINE, make_lab_table, p_text
from salt.report.lab.verdicts import judge_lab
from support.lab_records import ARMS, CONFIRM, LAB, VERDICTS, of_arms, of_nobody

TITLES = {arm: arm.title() for arm in ARMS}
NAMES = ("lab_controls", "lab_claims")


def made(folder, name, arms=TITLES):
    """The three texts of a table."""
    out = folder.root / "tables"
    paths = make_lab_table(name, LAB, folder.records, out, arms)
    assert [path.name for path in paths] == [f"{name}.{kind}" for kind in ("csv", "md", "tex")]
    return [path.read_text() for path in paths]


def lines(text):
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_records_give_the_same_bytes(folder, name):
    assert made(folder, name) == made(folder, name)


@pytest.mark.parametrize("name", NAMES)
def test_lines_of_prose_are_short_and_rows_are_whole(folder, name):
    _, text, tex = made(folder, name)
    assert all(len(line) <= LINE for line in text.splitlines() if not line.startswith("|"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 1
    assert tex.isascii() or "–" in tex


def test_the_controls_say_whether_the_instrument_stands(folder):
    table, text, _ = made(folder, "lab_controls")
    assert text.startswith("# Controls of the lab\n\n**The instrument stands: all 6 controls hold.**\n")
    found = {line["control"]: line for line in lines(table)}
    assert {line["holds"] for line in found.values()} == {"yes"}
    assert found["truth"]["effect"] == "Truth: even less odd seeds"
    assert found["teacher"]["effect"] == "Exact teacher at 32 (Euler) − Exact teacher at 4 (Euler)"
    assert found["one_step"]["effect"] == "One_Step at 16 − One_Step at 1"
    assert found["one_step"]["seeds"] == "0 1 2 3 4 5 6 7"
    assert float(found["teacher"]["level"]) == 0.999
    assert "| include 0, within ±0.01 |" in text


def test_a_failed_control_is_told_first_in_both(folder):
    folder.write_controls([row | {"value": 0.1} if row["nfe"] == 32 else row for row in of_nobody()])
    told = "**The instrument does not stand, and there is no verdict: 1 of 6 controls fail: teacher (the interval does"
    table, text, _ = made(folder, "lab_controls")
    assert text.split("\n\n")[1].replace("\n", " ").startswith(told)
    assert [line["reason"] for line in lines(table) if line["holds"] == "no"] == ["the interval does not lie below 0"]
    table, text, _ = made(folder, "lab_claims")
    assert text.split("\n\n")[1].replace("\n", " ").startswith(told)
    assert {line["verdict"] for line in lines(table)} == {"no verdict"}


def test_claims_stand_in_both_phases_with_their_verdicts(folder):
    table, text, tex = made(folder, "lab_claims")
    found = lines(table)
    judged = judge_lab(LAB, lab_claims(ARMS), folder.records)
    for phase in ("explore", "confirm"):
        own = [line for line in found if line["phase"] == phase]
        assert [line["claim"] for line in own] == list(VERDICTS)
        for line, one in zip(own, getattr(judged, phase), strict=True):
            assert float(line["estimate"]) == one.interval.estimate
            assert float(line["holm_p"]) == one.adjusted
            assert line["verdict"] == one.verdict
    assert {line["claim"]: line["verdict"] for line in found if line["phase"] == "confirm"} == VERDICTS
    summary = text.split("\n\n")[1].replace("\n", " ")
    assert summary.startswith(
        "**Of 6 claims of the paper on confirming seeds: 1 holds; 1 holds, below the smallest effect; 1 opposite; "
        "1 absent; 1 not resolved; 1 saturated. Of all 6 on explored seeds: "
    )
    assert summary.endswith("saw; whether its commit is older is not known.**")
    row = next(line for line in text.splitlines() if line.startswith("| up is worse"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["up is worse than base. (Sec. 1)", "**holds**", "> 0 (paper)"]
    assert cells[3] != cells[4]
    assert all(cell.startswith("+0.0500 [+0.0") for cell in cells[3:5])
    assert cells[5:] == ["< 0.001", "0.01", cells[7], "16", "sliced_w1: Up at 4 − Base at 4"]
    assert "Up at 4 - Base at 4" in tex


def test_the_caption_tells_where_the_numbers_come_from(folder):
    chosen = [row for row in of_arms(CONFIRM, "confirm") if row["seed"] < 108]
    chosen = [row for row in chosen if (row["method"], row["seed"]) != ("up", 103)]
    folder.write("core_100-107", chosen, lost={"up": [103]}, commit="f" * 40)
    text = made(folder, "lab_claims")[1].split("## Where the numbers come from")[1].replace("\n  ", " ")
    for told in (
        "- Scale: lab. Explored seeds: 0-7. Confirming seeds: 100-115.",
        "Samples of each caption and member: 2048. Protocol: mixture: lab-1 0123456789ab.",
        "Plan: experiments/lab/claims.yaml, SHA-256 ",
        "core_100-107 (commit ffffffffff, unknown here, finished 2026-11-27T12:00:00+00:00); core_108-115 (no commit, ",
        "sliced_w1 (mixture) 0.0125 [0.01",
        "(n 2048, 16 repeats)",
        "Diverged, and left out with their seed: up 103.",
        "Confirming seeds not run: none.",
        "Not run: nothing.",
    ):
        assert told in text, told


def test_what_was_not_run_is_told(folder):
    for kind in ("csv.gz", "json"):
        (folder.records / f"core_108-115.{kind}").unlink()
    chosen = [row for row in of_arms(CONFIRM, "confirm") if row["seed"] < 108 and row["method"] != "vague"]
    folder.write("core_100-107", chosen)
    folder.write("core_0-7", [row for row in of_arms(LAB.explore, "explore") if row["method"] != "vague"])
    table, text, _ = made(folder, "lab_claims")
    text = text.replace("\n  ", " ")
    assert "Confirming seeds not run: up 108-115; base 108-115; " in text
    assert "- Not run: vague." in text
    assert "**no verdict**: not run: vague |" in text
    line = next(line for line in lines(table) if (line["claim"], line["phase"]) == ("vague", "confirm"))
    assert line["estimate"] == line["holm_p"] == line["seeds"] == ""


def test_what_exploration_saw_is_kept(folder):
    plan = folder.claims.read_text().replace("{text: up is worse than base.,", "{text: Worse., saw: More than base.,")
    folder.write_plan(plan)
    assert "## What exploration saw\n\n- Worse. More than base.\n" in made(folder, "lab_claims")[1]


def test_unknown_tables_and_arms_are_refused(folder):
    with pytest.raises(SaltError, match=r"lab-table lab_claim: no such table; did you mean 'lab_claims'\?"):
        make_lab_table("lab_claim", LAB, folder.records, folder.root / "out")
    with pytest.raises(SaltError, match=r"claims.up.plus.0.arm = up: no such arm; accepted: base"):
        make_lab_table("lab_claims", LAB, folder.records, folder.root / "out", {"base": "Base", "one_step": "One"})
    assert not (folder.root / "out").exists()


def test_numbers_as_printed():
    assert [p_text(p) for p in (None, 0.00001, 0.0123, 1.0)] == ["–", "< 0.001", "0.012", "1.000"]
    assert [ranges(numbers) for numbers in ([], [3], [2, 1, 0, 7, 9, 8])] == ["", "3", "0-2, 7-9"]
