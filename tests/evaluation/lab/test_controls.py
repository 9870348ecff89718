"""Controls whose answers are known."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from salt.config import load_scale
from salt.config.scale import Scale
from salt.data.exact import CausalTeacher
from salt.errors import SaltError
from salt.evaluation.lab import controls
from salt.evaluation.lab.controls import (
    DELTA,
    ExactCausal,
    analytic_controls,
    flow_to_data,
    gaussian_of,
    gaussian_w1,
    injected_field,
    injected_moments,
    injected_w1,
)
from salt.evaluation.lab.samples import CommonNoise, sample
from salt.evaluation.lab.truth import caption_truths, directions_of
from salt.flow.grid import time_grid
from salt.models.ensemble import LastChunk
from salt.stages import lab_truth
from support.exact_worlds import SHIFT, chain, exact

WORLD = exact().world


def scale_of(world: object, name: str = "lab") -> Scale:
    return load_scale(name).model_copy(update={"exact": world})


def means(records: pd.DataFrame, **cell: object) -> pd.Series:
    """sliced_w1 by nfe, over seeds."""
    for column, wanted in {"metric": "sliced_w1", **cell}.items():
        records = records[records[column] == wanted]
    return records.groupby("nfe")["value"].mean()


@pytest.fixture(scope="module")
def mixture() -> pd.DataFrame:
    return analytic_controls(scale_of(exact(samples=512, nfe=(1, 4, 16))), SHIFT, repeats=3, floors=6)


@pytest.fixture(scope="module")
def sequences() -> pd.DataFrame:
    world = chain(samples=512, nfe=(2, 8), cache=(2, 8))
    return analytic_controls(scale_of(world, "lab_chain"), SHIFT, repeats=2, floors=6)


def _quantile_map(x: Tensor, t: float) -> Tensor:
    """The exact flow map to 0 of the first coordinate: in one dimension it keeps quantiles."""
    weights, means, spread = (0.65, 0.35), (-1.0, 1.0), 0.15

    def cdf(z: Tensor, t: float) -> Tensor:
        deviation = ((1 - t) ** 2 * spread**2 + t**2) ** 0.5
        parts = zip(weights, means, strict=True)
        return sum(w * torch.special.ndtr((z - (1 - t) * m) / deviation) for w, m in parts)

    level, low, high = cdf(x, t), torch.full_like(x, -4), torch.full_like(x, 4)
    for _ in range(55):
        middle = (low + high) / 2
        below = cdf(middle, 0.0) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return low


@pytest.mark.parametrize("t", [1.0, 0.6, 0.2])
def test_the_exact_map_keeps_quantiles(t: float) -> None:
    """Given a caption the coordinates are independent, so that each flows by itself."""
    mixture = caption_truths(WORLD)[0].mixture
    generator = torch.Generator().manual_seed(0)
    data = torch.tensor([[-1.0, -0.5], [1.0, -0.5]]).double()[torch.arange(4000) % 2]
    x = (1 - t) * data + t * torch.randn(4000, 2, generator=generator, dtype=torch.float64)
    found = flow_to_data(mixture.posterior_mean, x, t)
    assert float((found[:, 0] - _quantile_map(x[:, 0], t)).abs().mean()) < 2e-4
    style = -0.5 + 0.25 / ((1 - t) ** 2 * 0.0625 + t**2) ** 0.5 * (x[:, 1] + 0.5 * (1 - t))
    torch.testing.assert_close(found[:, 1], style, atol=1e-4, rtol=1e-4)
    finer = flow_to_data(mixture.posterior_mean, x, t, steps=80)
    assert float((found - finer).abs().mean()) < 2e-4


def test_an_exact_map_does_not_degrade_with_steps(mixture: pd.DataFrame) -> None:
    found, floor = means(mixture, method="exact_map"), means(mixture, method="truth").loc[0]
    assert set(found.index) == {1, 4, 16}
    assert found.max() < 2 * floor
    assert found.loc[16] < 1.5 * found.loc[1]


def test_an_exact_teacher_improves_with_steps_and_its_posterior_mean_is_blurred(mixture: pd.DataFrame) -> None:
    euler = means(mixture, method="exact_teacher", solver="euler")
    assert euler.loc[1] > 2 * euler.loc[4] * 0.8 > 4 * euler.loc[16] * 0.8
    blurred = means(mixture, method="exact_teacher", solver="cm", metric="off_support")
    assert blurred.loc[1] == 1
    assert set(mixture[mixture.metric == "defect"].method) == {"exact_teacher"}


def test_an_injected_error_grows_with_steps_as_its_recursion_says(mixture: pd.DataFrame) -> None:
    found, closed = (means(mixture, method=name) for name in ("injected_error", "injected_error_closed_form"))
    assert closed.is_monotonic_increasing
    assert closed.loc[16] > 1.4 * closed.loc[1]
    assert (found - closed).abs().max() < 0.01
    assert set(mixture[mixture.method == "injected_error_closed_form"].seed) == {0, 1, 2}


def test_the_recursion_is_that_of_the_samplers_moments() -> None:
    gaussian, n = gaussian_of(WORLD), 40000
    for nfe in (1, 4, 8):
        noise = CommonNoise((0,), n, (2, 1, 1, 1))
        x = sample(injected_field(gaussian, 0.2), noise, nfe, "cm", SHIFT)[0].double()
        mean, deviation = injected_moments(gaussian, 0.2, time_grid(nfe, SHIFT))
        torch.testing.assert_close(x.mean(0), mean, atol=0.01, rtol=0)
        torch.testing.assert_close(x.std(0), deviation, atol=0.01, rtol=0.01)


def test_without_an_error_the_recursion_gives_the_truth() -> None:
    gaussian = gaussian_of(WORLD)
    for nfe in (1, 3, 16):
        assert injected_w1(gaussian, 0.0, time_grid(nfe, SHIFT), directions_of(8)) == pytest.approx(0, abs=1e-9)
    assert injected_w1(gaussian, DELTA, time_grid(4, SHIFT), directions_of(8)) > 0.01


def test_w1_of_gaussians_is_a_folded_normal() -> None:
    shift, stretch = torch.tensor([0.3, 0.0, 0.4]).double(), torch.tensor([0.2, -0.5, 0.0]).double()
    z = torch.special.ndtri((torch.arange(100_000).double() + 0.5) / 100_000)
    expected = (shift[:, None] + stretch[:, None] * z).abs().mean(1)
    torch.testing.assert_close(gaussian_w1(shift, stretch), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("first", [True, False])
def test_the_exact_causal_control_is_the_causal_teacher(first: bool) -> None:
    world = chain().world
    clip = torch.randn(20, 2, 2, 1, 1, generator=torch.Generator().manual_seed(1))
    t, text = torch.full((20,), 0.3), torch.ones(20, 1, 1)
    expected = CausalTeacher(world)(clip, t, text, clip)
    memory = LastChunk(20, 2)
    model, place = ExactCausal(world), 0 if first else 1
    if not first:
        model.remember(memory, clip[:, :, :1], text)
    found = model.step(clip[:, :, place : place + 1], t, text, memory.context())
    torch.testing.assert_close(found, expected[:, :, place : place + 1], atol=1e-5, rtol=1e-5)
    with pytest.raises(SaltError, match="a whole clip; accepted: chunk by chunk"):
        model(clip, t, text)


def test_an_exact_causal_map_drifts_with_neither_chunks_nor_caches(sequences: pd.DataFrame) -> None:
    exact_map = sequences[sequences.method == "exact_map"]
    floor = sequences[(sequences.method == "truth") & (sequences.metric == "sliced_w1")].groupby("chunk")["value"]
    found = exact_map[(exact_map.metric == "sliced_w1") & (exact_map.cache == 0)].groupby("chunk")["value"].mean()
    assert (found < 2 * floor.mean()).all()
    matrix = exact_map[(exact_map.metric == "sliced_w1") & (exact_map.cache > 0)]
    assert len(matrix) == 2 * 4
    assert matrix["value"].max() < 3 * floor.mean().loc[3]


def test_an_exact_causal_teacher_improves_with_steps_and_drifts(sequences: pd.DataFrame) -> None:
    cell = {"method": "exact_teacher", "cache": 0, "metric": "radius"}
    radius = {chunk: means(sequences, chunk=chunk, **cell) for chunk in (2, 4)}
    assert radius[4].loc[8] > radius[4].loc[2]
    assert radius[4].loc[8] < radius[2].loc[8]


def test_the_stage_writes_both_worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"repeats": 1, "floors": 2}
    known = {"lab": scale_of(exact()), "lab_chain": scale_of(chain(), "lab_chain")}
    monkeypatch.setattr(lab_truth, "load_scale", known.__getitem__)
    monkeypatch.setattr(
        lab_truth, "analytic_controls", lambda lab, shift: controls.analytic_controls(lab, shift, **few)
    )
    lab_truth.run("lab", tmp_path / "controls.csv")
    records = pd.read_csv(tmp_path / "controls.csv")
    assert {world: set(rows.method) for world, rows in records.groupby("world")} == {
        "mixture": {"exact_teacher", "exact_map", "injected_error", "injected_error_closed_form", "truth"},
        "chain": {"exact_teacher", "exact_map", "truth"},
    }
    assert records["value"].notna().all()


def test_a_scale_of_videos_has_no_controls() -> None:
    with pytest.raises(SaltError, match="scale tiny: its world cannot name its modes; accepted: a scale with `exact`"):
        analytic_controls(load_scale("tiny"), SHIFT)
