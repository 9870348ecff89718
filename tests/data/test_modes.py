"""The modes of the world are its clips: numbered, weighted, and in the latents that the codec gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from salt.config.world import World
from salt.data.clips import as_tensor
from salt.data.mode_bank import ModeBank
from salt.data.modes import WorldModes, captions_of
from salt.data.world import caption, futures, render, sample_scene, split_of
from salt.errors import SaltError
from support.turning import WORLD, HashedText, codec, modes

ROUNDED = 0.05
"""What rounding pixels to whole numbers changes of a latent."""


def test_latents_of_a_mode_are_those_of_its_clip() -> None:
    """Pictures up to the rounding of pixels; cues exactly, in all colours and styles."""
    named, factored = modes()
    rng = np.random.default_rng(0)
    for _ in range(120):
        content = int(rng.integers(len(named.contents)))
        future = int(rng.integers(int(named.bounds[content + 1] - named.bounds[content])))
        z = rng.standard_normal(3)
        scene = replace(named.scene(content, future), style=(8 * z[0], 6 * z[1], 6 * z[2]))
        encoded = codec().encode(as_tensor(render(scene, WORLD)[None]))
        made = factored.states(named.bounds[content][None] + future, torch.from_numpy(z)[None]).float()
        assert (made - encoded)[:, :-4].abs().max() < ROUNDED
        assert torch.equal(made[:, -4:], encoded[:, -4:])


def test_every_clip_is_a_mode_as_often_as_its_weight_says() -> None:
    named, _ = modes()
    content = 7
    lanes, likely = futures(named.contents[content], WORLD)
    scenes = [named.scene(content, future) for future in range(len(lanes) * len(likely))]
    number = {scene: i for i, scene in enumerate(scenes)}
    assert len(number) == len(scenes)
    rng, drawn = np.random.default_rng(1), 4000
    found = np.zeros(len(scenes))
    for _ in range(drawn):
        found[number[replace(sample_scene(named.contents[content], WORLD, rng), style=(0.0, 0.0, 0.0))]] += 1
    begin, end = int(named.bounds[content]), int(named.bounds[content + 1])
    weights = named.log_weights[begin:end].exp().numpy()
    assert weights.sum() == pytest.approx(1)
    assert ((found - drawn * weights) ** 2 / (drawn * weights)).sum() < len(scenes) + 4 * (2 * len(scenes)) ** 0.5


def test_captions_leave_open_what_they_do_not_state() -> None:
    named, _ = modes()
    captions = captions_of(named, HashedText())
    assert len(set(captions.names)) == len(captions.names)
    of = dict(zip(captions.names, zip(captions.contents, captions.log_shares, strict=True), strict=True))
    contents, shares = of["a ring moving sideways"]
    assert {named.contents[i].sprites[0].shape for i in contents} == {"ring"}
    assert len(contents) == 15  # colours times backgrounds
    assert shares.exp().tolist() == pytest.approx([1 / 15] * 15)
    contents, shares = of[""]
    pairs = torch.tensor([len(named.contents[i].sprites) == 2 for i in contents])
    assert len(contents) == len(named.contents)
    assert float(shares.exp()[pairs].sum()) == pytest.approx(WORLD.pair_share)
    for name, (_, log_shares) in of.items():
        assert float(log_shares.exp().sum()) == pytest.approx(1), name


def test_a_world_without_pairs_leaves_none_open() -> None:
    named = WorldModes(WORLD.model_copy(update={"pair_share": 0.0}))
    captions = captions_of(named, HashedText())
    assert all(len(named.contents[i].sprites) == 1 for i in captions.contents[captions.names.index("")])


def test_a_world_that_cannot_name_its_modes_is_refused() -> None:
    with pytest.raises(SaltError, match="turn=none: the world cannot name its modes"):
        WorldModes(World())


# ------------------------------------------------------------------------------------------------- bank
def bank(seed: int = 0, **changes: bool) -> ModeBank:
    return ModeBank(*modes(), HashedText(), seed, **changes)


def test_a_batch_depends_on_numbers_and_seed_alone() -> None:
    whole, parts = bank().batch([4, 5, 6]), [bank().batch([number]) for number in (4, 5, 6)]
    assert torch.equal(whole.x_0, torch.cat([part.x_0 for part in parts]))
    assert torch.equal(whole.text, torch.cat([part.text for part in parts]))
    assert not torch.equal(whole.x_0, bank(seed=1).batch([4, 5, 6]).x_0)


def test_clips_are_of_the_training_split_and_show_their_caption() -> None:
    made = bank()
    drawn = [made._draw(0, number) for number in range(300)]
    assert all(split_of(one.content) == "train" for one in drawn)
    stated = [one for one in drawn if one.caption == caption(one.content)]
    assert 0.6 < len(stated) / len(drawn) < 0.9
    for one in drawn:
        content = int(torch.searchsorted(made.modes.bounds, one.mode, right=True)) - 1
        assert made.modes.contents[content] == one.content
    assert torch.stack([one.style for one in drawn]).std(0).tolist() == pytest.approx([1, 1, 1], abs=0.15)


def test_prompts_that_change_are_other_clips_captions() -> None:
    batch = bank(before=True).batch(range(6))
    assert batch.text_before is not None
    assert batch.text_before.shape == batch.text.shape
    assert not torch.equal(batch.text_before, batch.text)
    assert bank().batch([0]).text_before is None


def test_numbered_clips_are_the_same_for_every_seed() -> None:
    x_0, captions = bank(0).clips(2, 5)
    again, same = bank(9).clips(2, 5)
    assert torch.equal(x_0, again)
    assert captions == same
    assert len(bank()) == WORLD.clips
