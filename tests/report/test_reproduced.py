"""How far a table made anew is from the committed one, on records whose differences are known."""

import gzip
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salt.errors import SaltError
from salt.evaluation.vbench.board import TEXT
from salt.report.records import read_measurements
from salt.report.reproduced import agreement, describe, expected_within, verdict

from .conftest import Synthetic

STUDENTS = ("dmd_8", "dmd_4", "sc_dmd")
Changed = Callable[[str], str]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of three training seeds."""
    folder = tmp_path_factory.mktemp("records")
    for name, seed in product(STUDENTS, range(3)):
        Synthetic(folder).scores(name, seed, [("cm", 4), ("cm", 2)])
        Synthetic(folder).defect(name, seed)
        Synthetic(folder).modes(name, seed)
    return folder


@pytest.fixture
def folders(written: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Records made anew with seed 0, byte for byte the committed ones, and the committed ones of three seeds."""
    shutil.copytree(written, tmp_path / "committed")
    (tmp_path / "made").mkdir()
    for path in written.glob("*_seed0_*"):
        shutil.copy(path, tmp_path / "made")
    read_measurements.cache_clear()
    return tmp_path / "made", tmp_path / "committed"


def change(path: Path, metric: str, by: float) -> None:
    """Add to a dimension of the cell that Table 4 prints, and so to what it enters."""
    frame = pd.read_csv(path)
    cell = (frame.prompts == "extended") & (frame.solver == "cm") & (frame.nfe == 4)
    assert (cell & (frame.metric == metric)).sum() == 1
    frame.loc[cell & (frame.metric == metric), "value"] += by
    raw = frame[cell & frame.metric.isin(list(TEXT.dimensions))].set_index("metric")["value"].to_dict()
    for aggregate, value in TEXT.aggregate(raw).items():
        frame.loc[cell & (frame.metric == aggregate), "value"] = value
    frame.to_csv(path, index=False)
    read_measurements.cache_clear()


def test_equal_records_are_said_to_be_equal_byte_for_byte(folders: tuple[Path, Path]) -> None:
    found = agreement("table4", "tiny", *folders)
    assert len(found.numbers) == 3 * 13
    assert found.identical
    assert all(number.difference == 0 and number.met for number in found.numbers)
    assert found.lines > 300
    text = describe(found)
    assert f"All {found.lines:,} lines of records are byte for byte the committed ones" in text
    assert len(text.splitlines()) == 1 + 39 + 1


def test_a_part_of_the_cells_is_enough(folders: tuple[Path, Path]) -> None:
    """What `--config only=table4` makes: the lines that are there are among the committed ones."""
    made, committed = folders
    for name in STUDENTS:
        for kind in ("scores.csv", "prompts.csv.gz", "modes.csv"):
            path = made / f"{name}_seed0_{kind}"
            text = gzip.decompress(path.read_bytes()) if kind.endswith("gz") else path.read_bytes()
            head, *lines = text.splitlines(keepends=True)
            part = b"".join([head, *(line for line in lines if b"extended" in line and b"cm,4," in line)])
            path.write_bytes(gzip.compress(part) if kind.endswith("gz") else part)
        (made / f"{name}_seed0_defect.csv").unlink()
    part = agreement("table4", "tiny", made, committed)
    assert part.identical
    assert 0 < part.lines < agreement("table4", "tiny", committed, committed).lines


def test_a_small_difference_is_expected_on_another_processor(folders: tuple[Path, Path]) -> None:
    made, committed = folders
    change(made / "dmd_8_seed0_scores.csv", "scene", 0.01 * 5 * 9 * 0.8222 / 100)
    found = agreement("table4", "tiny", made, committed)
    changed = {number.metric: number for number in found.numbers if number.difference and number.row == "DMD-8"}
    assert all(number.met for number in changed.values())
    assert {name: round(number.difference, 6) for name, number in changed.items()} == {"total": 0.01, "semantic": 0.05}
    assert found.other["DMD-8"] > 0
    assert verdict(found).splitlines() == [
        "Byte for byte the committed ones: the records of DMD-4, SC-DMD. Largest difference of a Total: 0.01.",
        "Agreement expected on another processor: met; 39 of 39 numbers are within the range of one more training seed "
        "(95%).",
    ]


def test_a_large_difference_is_named(folders: tuple[Path, Path]) -> None:
    made, committed = folders
    change(made / "sc_dmd_seed0_scores.csv", "object_class", -0.5)
    said = verdict(agreement("table4", "tiny", made, committed))
    assert "NOT MET by Object Class of SC-DMD; 38 of 39 numbers are within" in said
    assert "one in twenty lies by chance" in said


def test_nineteen_of_twenty_pairs_of_seeds_lie_within_the_range() -> None:
    """Of three students whose seeds scatter alike."""
    draws = np.random.default_rng(0).normal(size=(2000, 3, 4))
    inside = [abs(d[0, 3] - d[0, 0]) <= expected_within(list(d[:, :3])) for d in draws]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.025)
    assert expected_within([[1.0, 1.0], [2.0, 2.0]]) == 0


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda m, c: (m / "dmd_4_seed0_scores.csv").unlink(),
            "made/dmd_4_seed0_scores.csv: there is no such file",
        ),
        (
            lambda m, c: (c / "dmd_4_seed0_scores.csv").unlink(),
            "committed/dmd_4_seed0_scores.csv: there is no such file",
        ),
        (
            lambda m, c: [(c / f"dmd_4_seed{seed}_scores.csv").unlink() for seed in (1, 2)],
            "dmd_4_seed*_scores.csv: one training seed; accepted: two or more, whose scatter says what to expect",
        ),
        (
            lambda m, c: Synthetic(m).scores("dmd_4", 0, protocol="another"),
            "measured under different protocols: another and",
        ),
        (lambda m, c: (m / "dmd_4_seed0_prompts.csv.gz").write_bytes(b"no"), "cannot be read"),
    ],
)
def test_records_that_cannot_be_compared_are_one_line(
    folders: tuple[Path, Path], break_it: Callable[[Path, Path], object], message: str
) -> None:
    break_it(*folders)
    read_measurements.cache_clear()
    with pytest.raises(SaltError) as error:
        agreement("table4", "tiny", *folders)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["table_teacher", "table44"])
def test_a_table_without_students_is_refused(folders: tuple[Path, Path], name: str) -> None:
    with pytest.raises(SaltError, match=r"accepted"):
        agreement(name, "tiny", *folders)
