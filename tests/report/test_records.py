"""What is read is what was written, and anything doubtful is refused by name."""

import subprocess

import pandas as pd
import pytest

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.report.records import Provenance, Records, one_protocol, read_measurements, records_commit

CELL = Cell("sc_dmd", "extended", "cm", 4)


@pytest.fixture
def written(tmp_path, make_records):
    """One experiment with two seeds, in a folder that a test may spoil."""
    writer = make_records(tmp_path, prompts=8, nfe=(4,))
    for seed in (0, 1):
        writer.scores("sc_dmd", seed)
    return writer


def edited(path, change):
    frame = pd.read_csv(path)
    change(frame).to_csv(path, index=False)


def with_metric(frame, metric, **changes):
    """Other entries in all rows of a metric."""
    chosen = frame["metric"] == metric
    return frame.assign(**{name: frame[name].where(~chosen, value) for name, value in changes.items()})


def records(folder):
    return Records(folder, load_scale("tiny"))


def test_values_come_one_per_seed_in_the_order_asked(written):
    both = pd.concat([pd.read_csv(written.folder / f"sc_dmd_seed{seed}_scores.csv") for seed in (1, 0)])
    chosen = both[(both.metric == "total") & (both.solver == "cm") & (both.prompts == "extended")]
    assert records(written.folder).values("scores", CELL, (1, 0), "total") == chosen["value"].tolist()
    assert records(written.folder).seeds("scores", "sc_dmd", (0, 1, 2)) == (0, 1)


def test_prompt_scores_average_to_the_recorded_means(written):
    scores = records(written.folder).prompt_scores(CELL, (0, 1))
    for dimension, mean in zip(scores.dimensions, scores.means()[1], strict=True):
        assert records(written.folder).values("scores", CELL, (1,), dimension) == [pytest.approx(mean)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="protocol"), r"_scores.csv: no column protocol"),
        (lambda f: f.assign(value=f["value"].where(f.index != 3)), r"is not a finite number"),
        (lambda f: pd.concat([f, f.iloc[:1]]), r"subject_consistency at nfe=4 solver=euler is measured twice"),
        (lambda f: f.assign(seed=1), r"seed = 1; accepted: 0, as file"),
        (lambda f: f.assign(scale="smoke"), r"scale = smoke; accepted: tiny"),
        (lambda f: f.assign(weights="lent"), r"weights = lent; accepted: trained, released"),
        (lambda f: f[f["metric"] != "total"], r"no total for prompts=extended solver=cm nfe=4"),
        (lambda f: with_metric(f, "total", value=99.99), r"total of .* is 99.99 of 8 videos, but its dimensions give"),
        (
            lambda f: with_metric(f, "quality", value=26.0),
            r"quality of .* is 26.0 of 8 videos, but its dimensions give",
        ),
        (
            lambda f: with_metric(f, "total", n=800),
            r"total of .* of 800 videos, but its dimensions give .* of 8: score",
        ),
        (lambda f: with_metric(f, "scene", n=0, value=None), r"semantic of .* but its dimensions give nan of 0"),
        (lambda f: f[f["metric"] != "scene"], r"semantic of .* but its dimensions give nan of 0: score again"),
        (lambda f: f.assign(n="many"), r"n = 'many'; accepted: a whole number"),
        (lambda f: f.assign(nfe=f["nfe"] + 0.5), r"nfe = '4.5'; accepted: a whole number"),
        (lambda f: f.iloc[:0], r"experiment = ; accepted: sc_dmd"),
    ],
)
def test_broken_measurements_are_refused(written, change, message):
    edited(written.folder / "sc_dmd_seed0_scores.csv", change)
    with pytest.raises(SaltError, match=message):
        records(written.folder).values("scores", CELL, (0, 1), "total")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="color"), r"no column color"),
        (lambda f: f.assign(color=f["color"] + 0.1), r"color at nfe=4 solver=cm is .* score again"),
        (lambda f: f.assign(nfe=8), r"prompts=extended solver=cm nfe=4: no video"),
        (lambda f: pd.concat([f, f]), r"is scored twice"),
        (lambda f: pd.concat([f, f[f.index % 8 == 0].assign(sampling_seed=1)]), r"different numbers of videos"),
        (lambda f: f[f.index % 8 != 0], r"training seeds \[0, 1\] were scored on different videos"),
    ],
)
def test_broken_prompt_scores_are_refused(written, change, message):
    edited(written.folder / "sc_dmd_seed0_prompts.csv.gz", change)
    with pytest.raises(SaltError, match=message):
        records(written.folder).prompt_scores(CELL, (0, 1))


def test_means_are_of_as_many_videos_as_there_are(written):
    edited(written.folder / "sc_dmd_seed0_prompts.csv.gz", lambda f: pd.concat([f, f.assign(sampling_seed=1)]))
    with pytest.raises(SaltError, match=r"is .* of \[8\] videos in _scores.csv, but .* give .* of \[16\]: score again"):
        records(written.folder).prompt_scores(CELL, (0,))


def test_missing_prompt_scores_are_named(written):
    (written.folder / "sc_dmd_seed1_prompts.csv.gz").unlink()
    with pytest.raises(SaltError, match=r"sc_dmd_seed1_prompts.csv.gz: there is no such file"):
        records(written.folder).prompt_scores(CELL, (0, 1))


def test_two_protocols_are_refused_and_both_named(written):
    written.scores("dmd_4", 0, protocol="vbench-0.1.5 ffff")
    frames = [read_measurements(written.folder / f"{name}_seed0_scores.csv") for name in ("sc_dmd", "dmd_4")]
    with pytest.raises(SaltError, match=r"table4: .* groundtruth-1 0123456789ab and vbench-0.1.5 ffff"):
        one_protocol(frames, "table4")


def test_provenance_says_everything_and_warns_first():
    lines = Provenance(load_scale("smoke"), (0, 2), "p", "m", ("rCM",), "commit c").lines()
    assert lines[0] == "smoke: numbers mean nothing."
    assert "Training seeds: 0, 2. Protocol: p. Records: commit c." in lines[1]
    assert lines[2:] == ["Intervals: m.", "Not run: rCM."]
    assert "nothing" in Provenance(load_scale("tiny"), (0,), "p", "m", (), "commit c").lines()[-1]


def test_records_are_of_the_program_that_made_them(tmp_path, monkeypatch):
    """Neither committing them nor a later change of the program changes what they name; new records do."""
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))

    def git(*words):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    def commit(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        git("add", ".")
        git("commit", "--quiet", "-m", path)
        return git("rev-parse", "--short", "HEAD")

    def named(path):
        records_commit.cache_clear()
        return records_commit(tmp_path / path)

    (tmp_path / "experiments" / "scales").mkdir(parents=True)
    (tmp_path / "records").mkdir()
    assert named("records") == "no git checkout"
    git("init", "--quiet")
    first = commit("salt/code", "1")
    (tmp_path / "records" / "a.csv").write_text("1")
    assert named("records") == f"commit {first}"
    commit("records/a.csv", "1")
    assert named("records") == f"commit {first}"
    second = commit("salt/code", "2")
    assert named("records") == f"commit {first}"
    assert named("others") == f"commit {second}"
    (tmp_path / "records" / "b.csv").write_text("2")
    assert named("records") == f"commit {second}"
    (tmp_path / "salt" / "code").write_text("3")
    assert named("records") == f"commit {second} with uncommitted changes"
    records_commit.cache_clear()
