"""The bank gives every clip once an epoch with its own caption; test_pairs.py has what a store survives."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from salt.data import store
from salt.data.latents import About, LatentBank, Shape, write_bank
from salt.errors import SaltError
from salt.models.protocol import FirstFrame

SHAPE = (2, 1, 2, 2)
CLIPS = 11
ABOUT = About(codec="abc", source="def")


class Words:
    """Embeds a caption as its length, in one token, and counts the calls."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, captions: Sequence[str]) -> Tensor:
        self.asked.append(list(captions))
        return torch.tensor([float(len(text)) for text in captions]).view(-1, 1, 1)


def caption_of(clip: int) -> str:
    """Captions repeat: clips 0, 3, 6, 9 share one."""
    return "x" * (1 + clip % 3)


def make(start: int, stop: int) -> tuple[Tensor, list[str]]:
    """Every number of clip i is i + 0.1."""
    values = torch.arange(start, stop).view(-1, 1, 1, 1, 1) + 0.1
    return values.expand(-1, *SHAPE), [caption_of(i) for i in range(start, stop)]


def write(folder: Path, shard_size: int = 4) -> Path:
    write_bank(folder, ABOUT, CLIPS, shard_size, make)
    return folder


def read(folder: Path, seed: int = 5, words: Words | None = None) -> LatentBank:
    return LatentBank(folder, words or Words(), seed, {"codec": "abc"}, Shape(SHAPE))


@pytest.fixture
def bank(tmp_path: Path) -> LatentBank:
    return read(write(tmp_path / "bank"))


def clips_of(bank: LatentBank, samples: Sequence[int]) -> list[int]:
    """The clips that these samples get."""
    return bank.batch(samples).x_0[:, 0, 0, 0, 0].floor().int().tolist()


def test_every_clip_comes_back_with_its_caption(bank: LatentBank) -> None:
    batch = bank.batch(range(CLIPS))
    clips = batch.x_0.flatten(1).mean(1).floor().int().tolist()
    assert sorted(clips) == list(range(CLIPS))
    expected = torch.tensor([i + 0.1 for i in clips]).view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)
    torch.testing.assert_close(batch.x_0, expected, rtol=1e-3, atol=0)  # what float16 leaves
    assert batch.text.flatten().tolist() == [len(caption_of(i)) for i in clips]
    assert batch.text_before is None
    assert batch.empty_text.tolist() == [[[0.0]]]
    assert batch.samples == tuple(range(CLIPS))
    assert batch.x_0.dtype == torch.float32


def test_another_caption_comes_before_where_it_is_asked_for(bank: LatentBank, tmp_path: Path) -> None:
    batch = LatentBank(tmp_path / "bank", Words(), 5, {}, Shape(SHAPE), before=True).batch(range(CLIPS))
    assert batch.text_before is not None
    expected = [len(caption_of((i + 1) % CLIPS)) for i in clips_of(bank, range(CLIPS))]
    assert batch.text_before.flatten().tolist() == expected


@pytest.mark.parametrize("features", [None, (3, 5)])
def test_first_frames_come_back_with_their_clips(tmp_path: Path, features: tuple[int, int] | None) -> None:
    """Of clip i the latents are i, those of its first frame -i, its features i / 2."""
    shape = Shape(SHAPE, features, first_frame=True)

    def make_counted(start: int, stop: int) -> tuple[Tensor, list[str]]:
        number = torch.arange(start, stop).float()
        x_0 = number.view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)
        seen = None if features is None else (number / 2).view(-1, 1, 1).expand(-1, *features)
        return shape.pack(x_0, FirstFrame(-x_0, seen)), [caption_of(i) for i in range(start, stop)]

    write_bank(tmp_path / "bank", ABOUT, CLIPS, 4, make_counted)
    bank = LatentBank(tmp_path / "bank", Words(), 5, {}, shape)
    batch = bank.batch(range(20))
    clips = batch.x_0[:, 0, 0, 0, 0]
    assert batch.image is not None
    assert batch.x_0.shape == batch.image.latents.shape == (20, *SHAPE)
    assert torch.equal(batch.image.latents, -batch.x_0)
    assert sorted(clips[:CLIPS].tolist()) == list(range(CLIPS))
    if features is None:
        assert batch.image.features is None
    else:
        assert batch.image.features is not None
        assert torch.equal(batch.image.features, (clips / 2).view(-1, 1, 1).expand(-1, *features))
    latents, _ = bank.clips(2, 5)
    assert latents[:, 0, 0, 0, 0].tolist() == [2, 3, 4]
    moved = batch.to("meta")
    assert moved.image is not None
    assert moved.image.latents.device.type == "meta"
    with pytest.raises(SaltError, match=r"latents .*; accepted: \(2, 1, 2, 2\)"):
        LatentBank(tmp_path / "bank", Words(), 5, {}, Shape(SHAPE))


def test_clips_come_in_their_own_order_too(bank: LatentBank) -> None:
    latents, captions = bank.clips(3, 9)
    assert latents[:, 0, 0, 0, 0].floor().int().tolist() == [3, 4, 5, 6, 7, 8]
    assert captions == [caption_of(i) for i in range(3, 9)]
    assert len(bank) == CLIPS


def test_captions_are_embedded_once_unless_they_are_very_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, words = write(tmp_path / "bank"), Words()
    whole = read(folder, words=words).batch(range(30))
    assert words.asked == [[""], ["x", "xx", "xxx"]]
    monkeypatch.setattr(store, "MOST_EMBEDDED", 3 * 4 - 1)
    bank, words = read(folder, words=words), words
    assert words.asked[2:] == [[""]]
    few = bank.batch(range(30))
    assert len(words.asked) == 4, "one call for the captions of the samples"
    assert torch.equal(few.text, whole.text)


@pytest.mark.parametrize("shard_size", [1, 3, CLIPS, 100])
def test_batches_do_not_depend_on_the_shards(bank: LatentBank, tmp_path: Path, shard_size: int) -> None:
    other = read(write(tmp_path / "other", shard_size))
    assert clips_of(other, range(3, 40)) == clips_of(bank, range(3, 40))


def test_every_epoch_shows_every_clip_once_in_an_order_of_its_own(bank: LatentBank) -> None:
    epochs = [clips_of(bank, range(CLIPS * epoch, CLIPS * (epoch + 1))) for epoch in range(5)]
    assert all(sorted(epoch) == list(range(CLIPS)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_the_clip_of_a_sample_depends_on_its_number_and_the_seed_alone(bank: LatentBank, tmp_path: Path) -> None:
    samples = range(3, 40)
    whole = clips_of(bank, samples)
    assert whole == [
        clip for start in (3, 10, 17, 24, 31, 38) for clip in clips_of(bank, range(start, min(start + 7, 40)))
    ]
    assert whole[::-1] == clips_of(bank, samples[::-1])
    assert whole == clips_of(read(tmp_path / "bank", 5), samples)
    assert whole != clips_of(read(tmp_path / "bank", 6), samples)


def test_clips_of_another_shape_or_codec_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "bank")
    with pytest.raises(SaltError, match=r"bank: latents \(2, 1, 2, 2\); accepted: \(2, 3, 2, 2\).*`salt latents`"):
        LatentBank(folder, Words(), 0, {}, Shape((2, 3, 2, 2)))
    with pytest.raises(SaltError, match=r"index\.json: codec is 'abc'; accepted: 'xyz'.*`salt latents`"):
        LatentBank(folder, Words(), 0, {"codec": "xyz"}, Shape(SHAPE))
