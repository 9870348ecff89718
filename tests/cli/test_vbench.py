"""From videos to records by way of VBench's environment, with a Python that only pretends to be it."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from salt.cli import app, register
from salt.config import load_experiment, repository_root
from salt.config.vbench import VBench
from salt.errors import SaltError
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.scorers import scorer_of
from salt.evaluation.vbench import weights as vbench_weights
from salt.evaluation.vbench.board import DIMENSIONS
from salt.evaluation.vbench.environment import LOCK, make_environment
from salt.evaluation.vbench.weights import NEEDS
from salt.evaluation.video import write_mp4
from salt.files import sha256
from salt.report.records import read_measurements
from salt.stages import sample, score
from salt.stages.score_vbench import score_dimension
from salt.stages.shared.records import model_cells
from support.manifests import write_manifest

register()

ROWS = [
    {"prompt_en": f"A person is doing {i}", "dimension": [name, "temporal_flickering"]}
    for i, name in enumerate(("human_action", "scene", "color"))
]
FAKE = """#!{python}
import json, pathlib, sys
job = json.loads(pathlib.Path(sys.argv[3]).read_text())
entries = [dict(video_path=v, video_results=0.5) for row in job["table"] for v in row["video_list"]]
body = dict(score=0.5, entries=entries, versions=dict(vbench="0.1.5"), device="cpu")
pathlib.Path(job["out"]).write_text(json.dumps(body))
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with prompts, a pretended Python, and weights for nothing."""
    import sys

    folder = tmp_path / "vbench"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "VBench_full_info.json").write_text(json.dumps(ROWS))
    python = tmp_path / "python"
    python.write_text(FAKE.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setenv("SALT_VBENCH", str(folder))
    monkeypatch.setenv("SALT_VBENCH_PYTHON", str(python))
    return tmp_path


@pytest.fixture
def experiment():
    config = load_experiment("sc_dmd", "smoke")
    vbench = VBench(prompt_list_hash=None, extended_list=None)
    evaluation = config.scale.evaluation.model_copy(
        update={"prompts": 3, "seeds": (0, 1), "nfe": (4,), "solvers": ("cm",), "short_nfe": (), "vbench": vbench}
    )
    return config.model_copy(update={"scale": config.scale.model_copy(update={"evaluation": evaluation})})


def scorer(experiment, **evaluation):
    other = experiment.scale.evaluation.model_copy(update=evaluation)
    return scorer_of(experiment.scale.model_copy(update={"evaluation": other}), TrainingLength(other))


def jobs(site, experiment, names=None):
    (cell,) = model_cells("sc_dmd", experiment, 0, TrainingLength(experiment.scale.evaluation))
    for i in range(3):
        for seed in (0, 1):
            path = site / "videos" / cell.name / f"v000{i}" / f"{seed}.mp4"
            if not path.exists():
                write_mp4(path, np.full((2, 64, 64, 3), 40 * i + seed, np.uint8), 8)
    write_manifest(site / "videos", [cell], scorer(experiment))
    every = scorer(experiment).jobs(cell, site / "videos", site / "details", (0, 1), "cpu")
    return [job for job in every if job.dimension in (names or job.dimension)]


def test_records_name_what_is_absent_and_count_it_nowhere(site, experiment, monkeypatch):
    asked = ("human_action", "scene", "color", "temporal_flickering")
    monkeypatch.setattr(VBench, "dimensions", lambda self: asked)
    monkeypatch.setattr(vbench_weights, "NEEDS", NEEDS | {"human_action": (), "color": ()})
    for name in asked:
        score_dimension(jobs(site, experiment, (name,)), site / f"{name}.json")
    assert json.loads((site / "color.json").read_text()) == {"extended_cm_4": {"score": 0.5, "absent": None}}
    assert "is not there" in json.loads((site / "scene.json").read_text())["extended_cm_4"]["absent"]
    out = site / "records" / "sc_dmd_seed0_scores.csv"
    score.run(
        "sc_dmd", experiment, 0, site / "videos", out, site / "details", TrainingLength(experiment.scale.evaluation)
    )
    tidy = read_measurements(out).set_index("metric")
    assert set(tidy[tidy["n"] == 0].index) == {*DIMENSIONS, "quality", "semantic", "total"} - set(asked) | {"scene"}
    assert tidy.loc["temporal_flickering", ["value", "n"]].tolist() == [0.5, 6]
    assert tidy.loc["color", ["value", "n"]].tolist() == [0.5, 2]
    assert set(tidy["protocol"]) == {jobs(site, experiment)[0].protocol_hash}
    wide = pd.read_csv(site / "records" / "sc_dmd_seed0_prompts.csv.gz")
    assert len(wide) == 6
    assert wide["temporal_flickering"].tolist() == [0.5] * 6
    assert wide["color"].count() == 2
    whole = json.loads((site / "details" / "extended_cm_4_provenance.json").read_text())
    assert set(whole["dimensions"]) == {"human_action", "color", "temporal_flickering"}
    assert set(whole["absent"]) == {"scene"}


def test_an_unscored_dimension_is_named(site, experiment):
    jobs(site, experiment)
    with pytest.raises(
        SaltError, match="there is no such file; accepted: what `salt score-vbench subject_consistency` leaves"
    ):
        score.run(
            "sc_dmd",
            experiment,
            0,
            site / "videos",
            site / "x_scores.csv",
            site / "details",
            TrainingLength(experiment.scale.evaluation),
        )


def test_everything_of_the_protocol_is_in_its_hash(site, experiment):
    hashes = set()
    evaluation = experiment.scale.evaluation
    for change in (
        {},
        {"scored_text": "extended"},
        {"flicker": "filtered"},
        {"i2v_formula": "leaderboard"},
        {"version": "0.1.4"},
    ):
        hashes.add(scorer(experiment, vbench=evaluation.vbench.model_copy(update=change)).protocol())
    for key, value in (("seeds", (0,)), ("prompts", 2)):
        hashes.add(scorer(experiment, **{key: value}).protocol())
    world = experiment.scale.world.model_copy(update={"fps": 8})
    scale = experiment.scale.model_copy(update={"world": world})
    hashes.add(scorer_of(scale, TrainingLength(scale.evaluation)).protocol())
    assert len(hashes) == 8


def test_the_static_filter_chooses_among_25(site, experiment):
    plain, filtered = scorer(experiment), scorer(experiment, vbench=VBench(flicker="filtered"))
    prompts = plain.prompts()
    assert [len(plain.seeds(prompt)) for prompt in prompts] == [2, 2, 2]
    assert [len(filtered.seeds(prompt)) for prompt in prompts] == [25, 25, 25]


def test_fewer_prompts_than_asked_are_refused(site, experiment):
    with pytest.raises(SaltError, match=r"VBench_full_info.json: 3 prompts; accepted: 4 or more"):
        scorer(experiment, prompts=4).prompts()


def test_there_are_no_real_clips_of_vbenchs_prompts(experiment, tmp_path):
    with pytest.raises(SaltError, match="real: there are no clips of VBench's prompts"):
        sample.run(
            "real",
            experiment,
            0,
            tmp_path / "teacher",
            None,
            tmp_path / "out",
            "cpu",
            [],
            TrainingLength(experiment.scale.evaluation),
        )


def test_there_are_no_controls_of_vbenchs_prompts(tmp_path):
    folders = [word for name in ("teacher", "videos", "out") for word in (f"--{name}", str(tmp_path / name))]
    result = CliRunner().invoke(app, ["score-controls", "--scale", "paper", *folders])
    assert isinstance(result.exception, SaltError)
    assert "score-controls: there are no clips of VBench's prompts" in str(result.exception)


# ------------------------------------------------------------------------------------------ the command line
def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path, monkeypatch):
    lock = repository_root() / LOCK
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".complete").write_text(sha256(lock))
    monkeypatch.setattr("subprocess.run", None)
    assert make_environment(tmp_path, None) == tmp_path / "venv" / "bin" / "python"


def test_another_python_is_refused(tmp_path):
    with pytest.raises(SaltError, match=r"false: accepted: Python 3.11"):
        make_environment(tmp_path, "false")
    with pytest.raises(SaltError, match=r"no-such-python: accepted: Python 3.11"):
        make_environment(tmp_path, "no-such-python")
    assert not list(tmp_path.iterdir())


def test_the_lock_and_the_conda_file_agree():
    folder = repository_root() / "workflow" / "envs"
    lock = (folder / "vbench.lock.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lock if line and not line.startswith("#"))
    assert (pins["vbench"], pins["torch"], pins["transformers"]) == ("0.1.5", "2.13.0", "4.33.2")
    assert int(pins["setuptools"].split(".")[0]) < 82, "later ones have no pkg_resources, which CLIP imports"
    assert "-r vbench.lock.txt" in (folder / "vbench.yaml").read_text()
    assert "python=3.11" in (folder / "vbench.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scale", "tiny"], "experiments/scales/tiny.yaml: evaluation.vbench is missing"),
        (["--scale", "paper", "--part", "4/4"], "--part 4/4: accepted: i/n with 0 <= i < n"),
        (["--scale", "paper", "--part", "half"], "--part half: accepted: i/n"),
        (["--scale", "paper", "--long"], "sc_dmd: --long: its videos have a fixed length"),
    ],
)
def test_a_mistake_is_one_line(words, message, tmp_path):
    folders = [word for name in ("videos", "details", "out") for word in (f"--{name}", str(tmp_path / name))]
    result = CliRunner().invoke(app, ["score-vbench", "sc_dmd", "scene", *words, *folders])
    assert isinstance(result.exception, SaltError)
    assert str(result.exception).startswith(message)
