"""Records of the lab are read as they are; whatever is wrong with them is one line."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from salt.config.lab_claims import LabCell
from salt.errors import SaltError
from salt.report.lab.records import read_lab, read_sets
from support.lab_records import CONFIRM, EXPLORE, FLOOR, of_arms, of_nobody, rows

SEEDS = range(8)


def read(folder):
    return read_lab(folder.records, EXPLORE, CONFIRM)


def refused(folder, *told):
    with pytest.raises(SaltError) as caught:
        read(folder)
    text = str(caught.value)
    assert "\n" not in text
    for part in told:
        assert part in text


def changed(folder, old, new, name="core_0-7"):
    """The measurements of a file as text, with something in it replaced once."""
    path = folder.records / f"{name}.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))


def test_values_are_those_of_the_seeds_in_their_order(folder):
    found = read(folder)
    assert found.protocols == {"mixture": "lab-1 0123456789ab"}
    assert [run.name for run in found.confirm.runs] == ["core_100-107", "core_108-115"]
    expected = {row["seed"]: row["value"] for row in of_arms(EXPLORE, "explore") if row["method"] == "up"}
    values = found.explore.values(LabCell(arm="up", nfe=4), (3, 1, 7))
    np.testing.assert_allclose(values, [expected[3], expected[1], expected[7]])
    assert found.explore.seeds("up") == EXPLORE
    assert found.explore.seeds("nobody") == ()


def test_last_is_an_arms_own_last_update_and_others_are_named(folder):
    long = rows("up", SEEDS, np.full(8, 0.5), updates=3200) + rows("up", SEEDS, np.full(8, 0.4), updates=200)
    folder.write("core_0-7", of_arms(EXPLORE, "explore") + long)
    explore = read(folder).explore
    assert explore.values(LabCell(arm="up", nfe=4), [0])[0] == 0.5
    assert explore.values(LabCell(arm="up", nfe=4, updates=200), [0])[0] == 0.4
    with pytest.raises(SaltError, match=r"core_0-7.csv.gz: up: metric=sliced_w1 nfe=4 solver=cm updates=50 chunk=0"):
        explore.values(LabCell(arm="up", nfe=4, updates=50), [0])


def test_chunks_caches_and_worlds_are_told_apart(folder):
    chain = {"world": "chain", "protocol": "lab-1 ffff"}
    found = rows("up", SEEDS, np.full(8, 1.0), chunk=4, cache=8, **chain)
    found += rows("up", SEEDS, np.full(8, 2.0), **chain)
    folder.write("chain_0-7", found)
    explore = read(folder).explore
    assert explore.values(LabCell(arm="up", nfe=4, chunk=4, cache=8), [5])[0] == 1.0
    assert explore.values(LabCell(arm="up", nfe=4, world="chain"), [5])[0] == 2.0
    with pytest.raises(SaltError, match="measured in chain and mixture; accepted: world: one of them"):
        explore.values(LabCell(arm="up", nfe=4), [5])


def test_floors_are_of_truth_at_equal_n(folder):
    found = read(folder)
    floor = found.floor(LabCell(arm="up", nfe=4), found.explore)
    assert (floor.mean, floor.n, floor.repeats) == (pytest.approx(FLOOR), 2048, 16)
    values = np.array([row["value"] for row in of_nobody() if row["method"] == "truth"])
    assert floor.low == pytest.approx(np.quantile(values, 0.025))
    assert floor.high == pytest.approx(np.quantile(values, 0.975))
    assert floor.low < floor.mean < floor.high


@pytest.mark.parametrize("value", ["", "nan", "inf", "high"])
def test_a_number_that_is_none_is_named(folder, value):
    number = next(row["value"] for row in of_arms(EXPLORE, "explore") if (row["method"], row["seed"]) == ("up", 3))
    changed(folder, repr(number), value)
    refused(folder, "core_0-7.csv.gz: method=up world=mixture seed=3 ", "metric=sliced_w1: value = ", "a finite number")


def test_columns_and_whole_numbers(folder):
    changed(folder, "updates", "updatez")
    refused(folder, "core_0-7.csv.gz: no column updates; accepted: method, experiment, world, ")
    folder.write("core_0-7", [row | {"nfe": 4.5} for row in of_arms(EXPLORE, "explore")])
    refused(folder, "nfe = 4.5; accepted: a whole number from 0")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("notes.csv", "notes.csv: not of the lab; accepted: SET_FIRST-LAST.csv.gz, SET_FIRST-LAST_clouds.csv.gz, co"),
        ("core_0-7.csv", "core_0-7.csv: not of the lab"),
        ("core_8-5.csv.gz", "core_8-5.csv.gz: no seeds from 8 to 5"),
    ],
)
def test_a_foreign_file_is_refused(folder, name, told):
    (folder.records / name).write_text("a,b\n1,2\n")
    refused(folder, told)


def test_what_is_known_of_a_run_must_be_there(folder):
    (folder.records / "core_0-7.json").unlink()
    refused(folder, "core_0-7.json: cannot be read: ")


def test_what_is_no_csv_is_refused(folder):
    (folder.records / "core_0-7.csv.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    refused(folder, "core_0-7.csv.gz: cannot be read")
    (folder.records / "core_0-7.csv.gz").write_bytes(b"no gzip at all")
    refused(folder, "core_0-7.csv.gz: cannot be read")


def test_seeds_of_neither_phase_are_refused(folder):
    seeds = range(50, 58)
    folder.write("core_50-57", of_arms(seeds, "explore"))
    refused(folder, "core_50-57.csv.gz: seeds 50 to 57; accepted: of 0 to 7 (explore) or 100 to 115 (confirm)")


def test_clouds_are_for_figures(folder):
    (folder.records / "core_0-7_clouds.csv.gz").write_bytes(gzip.compress(b"method,caption,solver,nfe,x,y\n"))
    read(folder)


def test_a_figure_reads_its_sets_alone(folder):
    """It needs no other file; those that it reads are checked as for tables."""
    for name in ("core_100-107.csv.gz", "core_108-115.json"):
        (folder.records / name).write_text("broken")
    (folder.records / "other_0-7.csv.gz").write_text("broken")
    measured, controls = read_sets(folder.records, ["core"], [(0, 7)])
    assert measured.seeds("up") == EXPLORE
    assert controls.floor("mixture", "sliced_w1", 0, 2048).mean == pytest.approx(FLOOR)
    with pytest.raises(SaltError, match=r"core_100-107.csv.gz: cannot be read"):
        read_sets(folder.records, ["core"], [(0, 7), (100, 107)])
    with pytest.raises(SaltError, match=r"core_116-123.csv.gz: cannot be read: No such file"):
        read_sets(folder.records, ["core"], [(0, 7), (116, 123)])
    (folder.records / "controls.csv").unlink()
    with pytest.raises(SaltError, match=r"controls.csv: cannot be read: No such file"):
        read_sets(folder.records, ["core"], [(0, 7)])


def test_a_seed_that_is_missing_must_be_lost(folder):
    found = [row for row in of_arms(EXPLORE, "explore") if (row["method"], row["seed"]) != ("up", 3)]
    folder.write("core_0-7", found)
    refused(folder, "core_0-7.csv.gz: up: seed 3 is not there, and not among the lost of core_0-7.json")
    folder.write("core_0-7", found, lost={"up": [3]})
    assert read(folder).explore.lost(["up", "down"]) == {"up": (3,)}
    folder.write("core_0-7", rows("up", range(9), np.ones(9)))
    refused(folder, "core_0-7.csv.gz: up: seed = 8; accepted: seeds 0 to 7, without those that are lost")


def test_a_seed_that_is_lost_is_left_out_also_of_what_came_before(folder):
    """It may have been measured until it diverged; then `last` would be of other updates than for the rest."""
    early = rows("up", SEEDS, np.ones(8), updates=200)
    late = [row for row in of_arms(EXPLORE, "explore") if (row["method"], row["seed"]) != ("up", 3)]
    folder.write("core_0-7", [*late, *early], lost={"up": [3]})
    explore = read(folder).explore
    assert explore.seeds("up") == (0, 1, 2, 4, 5, 6, 7)
    with pytest.raises(SaltError, match=r"updates=200 .* no such measurement of seed 3"):
        explore.values(LabCell(arm="up", nfe=4, updates=200), [3])


def test_a_member_that_lacks_one_cell_is_named(folder):
    more = rows("up", range(7), np.ones(7), nfe=16)
    folder.write("core_0-7", of_arms(EXPLORE, "explore") + more)
    with pytest.raises(SaltError, match=r"up: metric=sliced_w1 nfe=16 .* no such measurement of seed 7; accepted"):
        read(folder).explore.values(LabCell(arm="up", nfe=16), EXPLORE)


def test_different_n_are_not_compared(folder):
    found = of_arms(EXPLORE, "explore")
    folder.write("core_0-7", [row | ({"n": 64} if (row["method"], row["seed"]) == ("up", 3) else {}) for row in found])
    with pytest.raises(SaltError, match=r"up: metric=sliced_w1 .* n = 64 and 2048; accepted: the same in all seeds"):
        read(folder).explore.samples(LabCell(arm="up", nfe=4))


def test_measured_twice(folder):
    found = of_arms(EXPLORE, "explore")
    folder.write("core_0-7", [*found, found[0]])
    refused(folder, "core_0-7.csv.gz: method=base world=mixture seed=0", "measured twice")
    folder.write("core_0-7", found)
    folder.write("again_0-7", found[:8])
    refused(folder, "measured in again_0-7.csv.gz and core_0-7.csv.gz; accepted: an arm and seed in one file")


def test_one_protocol_a_world(folder):
    folder.write("core_0-7", [row | {"protocol": "lab-2"} for row in of_arms(EXPLORE, "explore")])
    refused(
        folder, "mixture: measured under different protocols: lab-2 (core_0-7.csv.gz) and lab-1 0123456789ab (core_1"
    )


def test_controls_are_of_methods_that_are_known(folder):
    folder.write_controls([*of_nobody(), *rows("exact_teacherr", [0], [1.0])])
    refused(folder, "controls.csv: method = exact_teacherr; did you mean 'exact_teacher'? accepted: truth, ")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plan_sha256": None}, "core_0-7.json: plan_sha256 = null: accepted: a valid string"),
        ({"losst": {}}, "core_0-7.json: losst = {}: unknown key; did you mean 'lost'?"),
        ({"lost": {"up": ["3"]}}, 'core_0-7.json: lost.up.0 = "3": accepted: a valid integer'),
    ],
)
def test_what_is_known_of_a_run_is_checked(folder, change, told):
    folder.write("core_0-7", of_arms(EXPLORE, "explore"), **change)
    refused(folder, told)


def test_nothing_to_read(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SaltError, match="no records of the lab"):
        read_lab(tmp_path / "empty", EXPLORE, CONFIRM)
    (folder.records / "core_0-7.json").write_text("[1]")
    refused(folder, "core_0-7.json: a list in place of a JSON object")
    (folder.records / "core_0-7.json").write_text(json.dumps({}))
    refused(folder, "core_0-7.json: commit: missing")


def test_the_written_frame_has_the_columns_of_the_interface():
    assert list(pd.DataFrame(of_nobody())) == [
        *("method", "experiment", "world", "updates", "nfe", "solver", "cache", "chunk", "metric", "n", "protocol"),
        *("seed", "value"),
    ]
