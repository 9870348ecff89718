"""Whatever records, results and manifests hold, they are read, or refused in one line and within a second."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config.load import load_scale
from salt.evaluation.cells import RECORD_COLUMNS, Cell, cells_of
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.manifest import check_videos
from salt.evaluation.scorers import scorer_of
from salt.evaluation.vbench.board import TEXT
from salt.evaluation.vbench.elsewhere import read_results_elsewhere
from salt.evaluation.vbench.results import Scored, read_results, results_of, sidecar, write_results
from salt.report.records import TRAJECTORY_COLUMNS, Records, read_measurements
from support.hostile import JSON, accepted_or_told, damaged_bytes, damaged_text
from support.manifests import write_manifest

SCALE = load_scale("smoke")
CELLS = cells_of("sc_dmd", "SC-DMD", SCALE, 0)
CELL = Cell("sc_dmd", "extended", "cm", 4)
PIECES = (",", ",,,,,,", '"', "total", "scene", "nan", "inf", "-1", "4.5", "=1+1", "sc_dmd", "|", "released")


def line(metric: str, value: float) -> str:
    return f"SC-DMD,sc_dmd,smoke,0,extended,cm,4,{metric},{value},8,0123456789ab"


RAW = dict.fromkeys(TEXT.dimensions, 0.8)
RECORDS = "\n".join([",".join(RECORD_COLUMNS), *(line(*pair) for pair in (RAW | TEXT.aggregate(RAW)).items())]) + "\n"
TRAJECTORY = ",".join(TRAJECTORY_COLUMNS) + "\n0,euler,4,0,1.0,0.5,0.25\n"
ENTRIES = {
    name: [{"video_path": f"p0000/{i}.mp4", "video_results": 0.5} for i in range(2)] for name in ("scene", "color")
}


@given(data=st.data())
def test_any_records(tmp_path: Path, data: st.DataObject) -> None:
    for name, text in (("scores", RECORDS), ("trajectory", TRAJECTORY)):
        body = data.draw(damaged_text(text, PIECES) | damaged_bytes(text.encode()))
        (tmp_path / f"sc_dmd_seed0_{name}.csv").write_bytes(body)
    read_measurements.cache_clear()
    records = Records(tmp_path, SCALE)
    accepted_or_told(records.values, "scores", CELL, (0,), "total")
    accepted_or_told(records.absent, CELL, (0,))
    accepted_or_told(records.trajectory, "sc_dmd", 0)


def test_the_records_that_are_damaged_are_whole(tmp_path: Path) -> None:
    (tmp_path / "sc_dmd_seed0_scores.csv").write_text(RECORDS)
    read_measurements.cache_clear()
    assert Records(tmp_path, SCALE).values("scores", CELL, (0,), "total") == [TEXT.aggregate(RAW)["total"]]


@given(data=st.data())
def test_any_results(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a_eval_results.json"
    write_results(path, Scored(results_of(ENTRIES), {"scorer": "s", "protocol": "p"}))
    for file in (path, sidecar(path)):
        text = file.read_text()
        file.write_bytes(data.draw(st.just(text.encode()) | damaged_text(text, JSON) | damaged_bytes(text.encode())))
    accepted_or_told(read_results, path)
    accepted_or_told(read_results_elsewhere, path)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("videos"), CELLS, scorer_of(SCALE, TrainingLength(SCALE.evaluation)))


@given(data=st.data())
def test_any_manifest(tmp_path: Path, manifest: Path, data: st.DataObject) -> None:
    scorer = scorer_of(SCALE, TrainingLength(SCALE.evaluation))
    text = json.dumps(json.loads(manifest.read_text()) | {"files": {"extended_cm_4/p0000/0.mp4": "0" * 64}})
    (tmp_path / "manifest.json").write_bytes(data.draw(damaged_text(text, JSON) | damaged_bytes(text.encode())))
    accepted_or_told(check_videos, tmp_path, CELLS, scorer, ["extended_cm_4/p0000/0.mp4"])
