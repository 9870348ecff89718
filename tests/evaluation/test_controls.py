"""Each control must move the dimensions it should, and no other."""

import pytest
import torch

from salt.config.world import World
from salt.data.prompts import report_prompts
from salt.evaluation.cells import RECORD_COLUMNS
from salt.evaluation.groundtruth.controls import real_clips, run_controls
from salt.evaluation.groundtruth.corruptions import CLEAR, CONTROLS, misses
from salt.evaluation.vbench.board import DIMENSIONS
from salt.evaluation.vbench.results import read_results

WORLD = World()


class NearlyExact:
    """A codec that loses a little: 3 units of noise, kept in a checked shape."""

    def encode(self, video):
        assert video.shape == (1, 3, WORLD.frames, WORLD.size, WORLD.size)
        assert video.dtype == torch.float32
        assert 0 <= video.min() <= video.max() <= 1
        return video

    def decode(self, latents):
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
        return (latents + 3 / 255 * noise).clamp(0, 1)

    def latent_shape(self, frames, size):
        return (3, frames, size, size)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    prompts = report_prompts(WORLD, 16)
    tidy, table = run_controls(prompts, WORLD, NearlyExact(), folder, scale="tiny", protocol="0123456789ab")
    return folder, tidy, table


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_moves_what_it_should_and_nothing_else(outcome, name):
    table = outcome[2]
    assert misses(name, table.loc[name], table.loc["real"]) == []


def test_a_control_that_does_something_else_is_found_out(outcome):
    table = outcome[2]
    assert misses("blur", table.loc["real"], table.loc["real"]) == list(CONTROLS["blur"].falls)
    assert set(misses("real", table.loc["noise"], table.loc["real"])) == set(CONTROLS["noise"].falls)


def test_the_codec_blurs_a_little_and_does_nothing_else(outcome):
    table = outcome[2]
    change = (table.loc["codec"] - table.loc["real"])[list(DIMENSIONS)].abs()
    assert change[["imaging_quality", "aesthetic_quality"]].max() <= 25
    assert change.drop(["imaging_quality", "aesthetic_quality"]).max() <= CLEAR


def test_real_clips_are_nearly_perfect_and_every_control_loses(outcome):
    table = outcome[2]
    assert table.loc["real", list(DIMENSIONS)].min() > 94
    for name, control in CONTROLS.items():
        if control.falls:
            assert table.loc[name, "total"] < table.loc["real", "total"] - 1, name


def test_pure_noise_is_at_the_bottom(outcome):
    table = outcome[2]
    assert table.loc["pure_noise", "total"] < 5
    assert table.loc["pure_noise", [n for n in DIMENSIONS if n != "temporal_flickering"]].max() < 1


def test_a_frozen_clip_loses_more_than_its_stillness_wins(outcome):
    table = outcome[2]
    assert table.loc["frozen", "temporal_flickering"] > table.loc["real", "temporal_flickering"]
    assert table.loc["frozen", "quality"] < table.loc["real", "quality"] - 15


def test_shuffled_frames_flicker_more(outcome):
    """An object of 7 x 7 pixels that lands elsewhere changes at most twice as many of the 32 x 32."""
    table = outcome[2]
    assert table.loc["shuffled", "temporal_flickering"] < table.loc["real", "temporal_flickering"] - 3


def test_a_wrong_caption_leaves_quality_as_it_is(outcome):
    table = outcome[2]
    assert table.loc["wrong_caption", "quality"] == pytest.approx(table.loc["real", "quality"])


def test_records_and_files(outcome):
    folder, tidy, table = outcome
    assert tuple(tidy.columns) == RECORD_COLUMNS
    assert set(tidy.experiment) == {f"control_{name}" for name in [*CONTROLS, "codec"]}
    assert set(table.index) == {*CONTROLS, "codec"}
    assert not tidy.duplicated(["experiment", "metric"]).any()
    for name in table.index:
        assert len(read_results(folder / name / "extended_none_0_eval_results.json").results) == 16


def test_clips_are_the_same_every_time():
    prompts = report_prompts(WORLD, 6)
    for one, other in zip(real_clips(prompts, WORLD), real_clips(prompts[:3], WORLD), strict=False):
        assert (one == other).all()
