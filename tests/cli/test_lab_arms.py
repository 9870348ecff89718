"""Rule `lab_arms`, from a set's name to its records: again from where it was, and without those who diverged."""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from salt.errors import SaltError
from salt.models.protocol import Batch
from salt.stages import lab_arms
from salt.stages.lab_arms import Workshop


class Poisoned:
    """Data that are NaN for some of two members."""

    def __init__(self, data: Any, which: Sequence[int]) -> None:
        self.data, self.which = data, which

    def batch(self, samples: Sequence[int]) -> Batch:
        batch = self.data.batch(samples)
        batch.x_0.view(2, -1)[list(self.which)] = math.nan
        return batch


def run(name: str, folder: Path, first: int = 0) -> pd.DataFrame:
    lab_arms.run(name, "lab_smoke", first, folder / "scratch", folder / "records")
    return pd.read_csv(folder / "records" / f"{name}_{first}-{first + 1}.csv.gz")


def about(name: str, folder: Path) -> dict[str, Any]:
    return json.loads((folder / "records" / f"{name}_0-1.json").read_text())


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Any:
    """poison(which) makes the data of distillation NaN for these members."""

    def spoil(*which: int) -> None:
        data = Workshop._data

        def spoilt(self: Workshop, experiment: Any) -> Any:
            made = data(self, experiment)
            return made if experiment.objectives.dmd is None else Poisoned(made, which)

        monkeypatch.setattr(Workshop, "_data", spoilt)

    return spoil


def test_a_complete_arm_is_not_trained_again_and_measured_alike(tmp_path: Path) -> None:
    first = run("dmd", tmp_path)
    assert set(first.seed) == {0, 1}
    weights = sorted((tmp_path / "scratch").rglob("ensemble.safetensors"))
    times = [path.stat().st_mtime_ns for path in weights]
    pd.testing.assert_frame_equal(run("dmd", tmp_path), first)
    assert [path.stat().st_mtime_ns for path in weights] == times
    assert about("dmd", tmp_path)["lost"] == {}
    assert {path.relative_to(tmp_path / "scratch").parts[0] for path in weights} == {"teacher", "start", "dmd_8"}


def test_a_member_that_diverged_has_no_rows_and_the_other_has_its_own(
    tmp_path: Path, poison: Any, caplog: pytest.LogCaptureFixture
) -> None:
    healthy = run("sc", tmp_path / "healthy")
    poison(1)
    with caplog.at_level(logging.ERROR):
        broken = run("sc", tmp_path / "broken")
    assert "the gradient of member 1 of the ensemble is not finite" in caplog.text
    assert about("sc", tmp_path / "broken")["lost"] == {"sc_dmd": [1]}
    pd.testing.assert_frame_equal(broken, healthy[healthy.seed == 0].reset_index(drop=True))


def test_without_any_member_there_is_one_line_and_no_record(tmp_path: Path, poison: Any) -> None:
    poison(0, 1)
    with pytest.raises(SaltError, match="step 1, generator: grad_norm is nan") as caught:
        run("dmd", tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(("name", "first", "told"), [("dmdd", 0, "set 'dmdd'"), ("dmd", 1, "--first 1")])
def test_bad_input_is_refused_before_any_work(tmp_path: Path, name: str, first: int, told: str) -> None:
    with pytest.raises(SaltError, match=told):
        run(name, tmp_path, first)
    assert not list(tmp_path.iterdir())
