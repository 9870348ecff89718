"""The bank of the world's clips: what was shown before is not made again, and is the same."""

from pathlib import Path

import pytest
import torch

from salt.config import load_scale
from salt.data.clips import ClipSource
from salt.stages import latents
from salt.stages.latents import SEED, WorldClips
from salt.stages.shared.assets import Assets, load_assets

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def assets() -> Assets:
    return load_assets(ROOT / "assets" / "tiny", load_scale("tiny"))


def clips_of(assets: Assets) -> WorldClips:
    return WorldClips(assets, ClipSource(assets.scale.world, "train", SEED), "cpu")


@torch.no_grad()
def test_clips_are_the_same_whether_or_not_their_scenes_are_known(
    assets: Assets, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, clips = clips_of(assets)(0, 300), clips_of(assets)
    parts = [clips(start, start + 100) for start in (200, 0, 100)]
    assert torch.equal(torch.cat([parts[1][0], parts[2][0], parts[0][0]]), once[0])
    assert parts[1][1] + parts[2][1] + parts[0][1] == once[1]
    assert len(clips.known) < 300, "some of 300 clips show the same"
    monkeypatch.setattr(latents, "MOST_KNOWN", 0)
    forgetful = clips_of(assets)
    assert torch.equal(torch.cat([forgetful(start, start + 100)[0] for start in (0, 100, 200)]), once[0])
    assert not forgetful.known
