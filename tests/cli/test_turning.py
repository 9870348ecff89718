"""From a world whose objects turn round to a student of its exact teacher, by the command line, at smoke size."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from click.testing import Result
from typer.testing import CliRunner

from salt.cli import app, register
from salt.config import load_experiment, load_scale
from salt.errors import SaltError
from salt.evaluation.modes import study
from salt.evaluation.modes.explained import explain
from salt.evaluation.modes.measures import CLASSES, style_measures
from salt.models.factored import FactoredTeacher
from salt.report.records import read_measurements
from salt.stages.latents import about_bank, open_bank
from salt.stages.ode_pairs import open_pairs
from salt.stages.shared.assets import load_assets
from salt.stages.shared.modes import exact_teacher

register()

ROOT = Path(__file__).parents[2]
WORLD = {
    "size": 24,
    "video_scale": 8,
    "speeds": [1, 2],
    "speed_shares": [0.5, 0.5],
    "turn": "choose",
    "pair_gaps": [8],
    "pair_slips": [0],
    "clips": 64,
    "style": {"light": 6, "background": 4, "objects": 4},
}
EXACT = ["--set", "objectives.dmd.teacher=exact"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a scale of that world, its networks and what their latents are made from."""
    top = tmp_path_factory.mktemp("turning")
    shutil.copytree(ROOT / "experiments", top / "experiments")
    scale = {"extends": "smoke", "assets": "assets/turning", "world": WORLD, "any_step": [1, 4]}
    (top / "experiments" / "scales" / "turning.yaml").write_text(yaml.safe_dump(scale))
    start = yaml.safe_load((top / "experiments" / "ode_init.yaml").read_text())
    start["scales"]["turning"] = {"pairs": {"teacher": "exact", "cfg_weight": 1.0}}
    (top / "experiments" / "ode_init.yaml").write_text(yaml.safe_dump(start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALT_ROOT", str(top))
        for verb in (["teacher", "--run-dir", f"{top}/run"], ["latents", "--teacher", f"{top}/teacher"]):
            done = CliRunner().invoke(app, [*verb, "--scale", "turning", "--out", f"{top}/{verb[0]}"])
            assert done.exit_code == 0, done.output
    return top


@pytest.fixture
def train(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """train(*words): one student, of DMD-4 where no other is named."""
    monkeypatch.setenv("SALT_ROOT", str(folder))

    def run(*words: str, name: str = "dmd_4") -> Result:
        given = ["--scale", "turning", "--seed", "0", "--teacher", f"{folder}/teacher"]
        given += ["--latents", f"{folder}/latents", "--run-dir", f"{tmp_path}/run", "--out", f"{tmp_path}/out"]
        return CliRunner().invoke(app, ["train", name, *given, *words])

    return run


@pytest.mark.parametrize("weight", ["1.0", "3.0"])
def test_a_student_of_the_exact_teacher_is_trained(train: Callable[..., Result], tmp_path: Path, weight: str) -> None:
    done = train(*EXACT, "--set", f"objectives.dmd.cfg_weight={weight}")
    assert done.exit_code == 0, done.output
    known = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert known["experiment"]["objectives"]["dmd"]["teacher"] == "exact"
    assert known["inputs"].keys() == {"teacher", "latents"}


def test_so_is_one_of_phased_consistency(train: Callable[..., Result], tmp_path: Path) -> None:
    words = ["--set", "objectives.pcm.teacher=exact", "--set", "objectives.pcm.cfg_weight=1.0"]
    done = train(*words, name="pcm")
    assert done.exit_code == 0, done.output
    known = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert known["experiment"]["objectives"]["pcm"]["teacher"] == "exact"


def test_a_causal_student_regresses_exact_trajectories(
    folder: Path, train: Callable[..., Result], tmp_path: Path
) -> None:
    """Their ends are clips of their captions, and the student trains on them."""
    given = ["--scale", "turning", "--teacher", f"{folder}/teacher", "--latents", f"{folder}/latents"]
    done = CliRunner().invoke(app, ["ode-pairs", "ode_init", *given, "--out", f"{tmp_path}/pairs"])
    assert done.exit_code == 0, done.output
    assets = load_assets(folder / "teacher", load_scale("turning"))
    pairs = open_pairs(
        load_experiment("ode_init", "turning"), assets, folder / "latents", None, tmp_path / "pairs", 0, True
    )
    batch = pairs.batch(range(8))
    assert batch.states is not None
    teacher = exact_teacher(assets, folder / "latents", about_bank(assets), "cpu")
    found = explain(teacher, batch.states[:, -1], batch.text)
    assert found.left.max() < found.reach.min()
    done = train("--pairs", f"{tmp_path}/pairs", name="ode_init")
    assert done.exit_code == 0, done.output


def test_what_its_latents_are_made_from_is_small_and_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALT_ROOT", str(folder))
    assets = load_assets(folder / "teacher", load_scale("turning"))
    bank = open_bank(folder / "latents", assets, 0)
    assert bank.batch([0, 1]).x_0.shape == (2, *assets.latent_shape)
    assert sum(path.stat().st_size for path in (folder / "latents").iterdir()) < 8 << 20
    other = about_bank(assets).model_copy(update={"source": "another world"})
    with pytest.raises(SaltError, match=r"source is .* accepted: 'another world'"):
        exact_teacher(assets, folder / "latents", other, "cpu")


def test_the_teacher_leads_noise_to_clips_of_the_caption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Euler steps along its velocity end at a mode's latents."""
    monkeypatch.setenv("SALT_ROOT", str(folder))
    assets = load_assets(folder / "teacher", load_scale("turning"))
    teacher: FactoredTeacher = exact_teacher(assets, folder / "latents", about_bank(assets), "cpu")
    text = assets.text_encoder.encode(["a red square moving sideways on a black background"] * 4)
    x = torch.randn(4, *assets.latent_shape, generator=torch.Generator().manual_seed(0))
    times = torch.linspace(1, 0.01, 40)
    for t, s in pairwise(times):
        x = x - (t - s) * teacher(x, t.expand(4), text)
    clean = teacher.posterior_mean(x, torch.full((4,), 0.01), text)
    found = teacher.posterior(x, torch.full((4,), 0.01), teacher.conditions.modes(text))
    largest = torch.zeros(4, dtype=torch.float64).scatter_reduce_(0, found.open.sample, found.probability, "amax")
    assert largest.min() > 0.99
    assert (x - clean).square().mean().sqrt() < 0.1


# -------------------------------------------------------------------------------------------------- modes
@pytest.fixture
def measure(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """measure(name, *words): the records of `salt modes`."""
    monkeypatch.setenv("SALT_ROOT", str(folder))
    monkeypatch.setattr(study, "SETS", 3)

    def run(name: str, *words: str) -> Result:
        given = ["--scale", "turning", "--teacher", f"{folder}/teacher", "--latents", f"{folder}/latents"]
        return CliRunner().invoke(app, ["modes", name, *given, "--out", f"{tmp_path}/{name}_seed0_modes.csv", *words])

    return run


def test_real_clips_are_where_they_should_be(measure: Callable[..., Result], tmp_path: Path) -> None:
    done = measure("real")
    assert done.exit_code == 0, done.output
    frame = pd.read_csv(tmp_path / "real_seed0_modes.csv")
    assert frame["protocol"].nunique() == 1, "of clips and of long videos: one file, one protocol"
    values = frame[frame["prompts"] == "extended"].set_index("metric")["value"]
    assert values["off_support"] == values["off_support@high"] == 0
    assert values["left"] < 0.05  # the rounding of pixels
    assert 0 < values["speed_tv"] <= values["speed_tv@high"] < 0.5
    long = frame[frame["prompts"] == "long"].set_index("metric")["value"]
    assert long["off_support"] == 0
    assert long["style_drift"] == pytest.approx(0, abs=0.1)
    assert {"speed_tv@window0", "speed_tv@window1", "style_drift@window1@high"} <= set(long.index)


def test_what_an_untrained_network_samples_is_nothing(measure: Callable[..., Result], tmp_path: Path) -> None:
    """Measures that it has no samples for are absent, and the file is one that the report reads."""
    assert measure("teacher").exit_code == 0
    path = tmp_path / "teacher_seed0_modes.csv"
    frame = read_measurements(path).set_index("metric")
    assert frame["value"]["off_support"] > 0.9
    assert frame["value"]["energy_distance"] > 0.02  # real clips: 0
    assert set(frame[frame["n"] == 0].index) <= {*CLASSES, *style_measures(torch.zeros(2, 3))}


def test_other_captions_are_not_measured(measure: Callable[..., Result]) -> None:
    done = measure("teacher", "--cell", "short_euler_8")
    assert "--cell short_euler_8: modes are those of extended captions" in str(done.exception)


def test_clips_of_any_number_of_steps_are_measured_apart(
    folder: Path, train: Callable[..., Result], tmp_path: Path
) -> None:
    """Another evaluation of the same weights: by each solver, and nothing of short captions or long videos."""
    assert train(*EXACT).exit_code == 0
    given = ["--teacher", f"{folder}/teacher", "--latents", f"{folder}/latents", "--weights", f"{tmp_path}/out"]
    words = ["modes", "dmd_4", "--any-step", *EXACT, *given, "--out", f"{tmp_path}/dmd_4_seed0_any_step.csv"]
    done = CliRunner().invoke(app, [*words, "--scale", "turning"])
    assert done.exit_code == 0, done.output
    frame = read_measurements(tmp_path / "dmd_4_seed0_any_step.csv")
    ways = set(frame[["prompts", "solver", "nfe"]].itertuples(index=False, name=None))
    assert ways == {("extended", solver, nfe) for solver in ("euler", "cm") for nfe in (1, 4)}
    done = CliRunner().invoke(app, [*words, "--scale", "smoke"])
    assert "scale smoke: any_step is missing, which --any-step needs" in str(done.exception)


def test_a_window_of_a_long_video_is_a_clip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut from the latents of a long video, and encoded anew from its frames."""
    monkeypatch.setenv("SALT_ROOT", str(folder))
    codec = load_assets(folder / "teacher", load_scale("turning")).codec
    video = torch.rand(2, 3, 17, 24, 24, generator=torch.Generator().manual_seed(0))
    windows = study.cut(codec.encode(video), 3, codec)
    assert len(windows) == 2
    torch.testing.assert_close(windows[1], codec.encode(video[:, :, 8:]))


@pytest.mark.parametrize("scale", ["tiny_i2v", "smoke_i2v", "paper"])
def test_scales_without_modes_refuse_it(scale: str) -> None:
    with pytest.raises(SaltError, match=rf"teacher=exact, but the world of scale {scale} cannot name its modes"):
        load_experiment("dmd_4", scale, {"objectives.dmd.teacher": "exact"})
