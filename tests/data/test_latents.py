"""The bank gives every clip once an epoch with its own caption, and is read with suspicion."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from salt.data import latents
from salt.data.latents import LatentBank, write_bank
from salt.errors import SaltError

SHAPE = (2, 1, 2, 2)
CLIPS = 11


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


def write(path: Path, clips: int = CLIPS) -> Path:
    """A bank where every number of clip i is i + 0.1, in chunks of up to four clips."""

    def chunk(first: int, size: int) -> tuple[Tensor, list[str]]:
        numbers = range(first, first + size)
        values = torch.tensor([i + 0.1 for i in numbers]).view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)
        return values, [caption_of(i) for i in numbers]

    write_bank(
        path, clips, SHAPE, (chunk(i, min(4, clips - i)) for i in range(0, clips, 4)), {"codec": "abc", "world": "def"}
    )
    return path


@pytest.fixture
def bank(tmp_path: Path) -> LatentBank:
    return LatentBank(write(tmp_path / "bank.safetensors"), Words(), seed=5)


def shown(bank: LatentBank, samples: Sequence[int]) -> list[int]:
    """The clips that these samples get."""
    return bank.batch(samples).x_0[:, 0, 0, 0, 0].floor().int().tolist()


def test_every_clip_comes_back_with_its_caption(bank: LatentBank) -> None:
    batch = bank.batch(range(CLIPS))
    clips = batch.x_0.flatten(1).mean(1).floor().int().tolist()
    assert sorted(clips) == list(range(CLIPS))
    expected = torch.tensor([i + 0.1 for i in clips]).view(-1, 1, 1, 1, 1).expand(-1, *SHAPE)
    torch.testing.assert_close(batch.x_0, expected, rtol=1e-3, atol=0)  # what float16 leaves
    assert batch.text.flatten().tolist() == [len(caption_of(i)) for i in clips]
    assert batch.empty_text.tolist() == [[[0.0]]]
    assert batch.samples == tuple(range(CLIPS))
    assert batch.x_0.dtype == torch.float32


def test_captions_are_embedded_once(tmp_path: Path) -> None:
    words = Words()
    bank = LatentBank(write(tmp_path / "bank"), words, seed=0)
    bank.batch(range(30))
    assert words.asked == [["x", "xx", "xxx"], [""]]


def test_the_file_holds_half_precision_and_what_it_was_made_from(tmp_path: Path) -> None:
    path = write(tmp_path / "deep" / "folder" / "bank.safetensors")
    with safe_open(path, "pt") as file:
        assert file.get_tensor("latents").dtype == torch.float16
        assert file.get_tensor("latents").shape == (CLIPS, *SHAPE)
        assert json.loads(file.metadata()["bank"]) == {
            "about": {"codec": "abc", "world": "def"},
            "captions": ["x", "xx", "xxx"],
        }
    assert LatentBank(path, Words(), 0).about == {"codec": "abc", "world": "def"}
    assert {path.read_bytes()} == {write(tmp_path / f"again{i}").read_bytes() for i in range(5)}


# --------------------------------------------------------------------------------------------- order
def test_every_epoch_shows_every_clip_once_in_an_order_of_its_own(bank: LatentBank) -> None:
    epochs = [shown(bank, range(CLIPS * epoch, CLIPS * (epoch + 1))) for epoch in range(5)]
    assert all(sorted(epoch) == list(range(CLIPS)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5


def test_the_clip_of_a_sample_depends_on_its_number_and_the_seed_alone(bank: LatentBank, tmp_path: Path) -> None:
    samples = range(3, 40)
    whole = shown(bank, samples)
    assert whole == [
        clip for start in (3, 10, 17, 24, 31, 38) for clip in shown(bank, range(start, min(start + 7, 40)))
    ]
    assert whole[::-1] == shown(bank, samples[::-1])
    path = tmp_path / "bank.safetensors"
    assert whole == shown(LatentBank(path, Words(), 5), samples)
    assert whole != shown(LatentBank(path, Words(), 6), samples)


# --------------------------------------------------------------------------------------- broken files
def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no bank at all\nin two lines")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def other_tensors(path: Path) -> None:
    save_file({"weights": torch.zeros(3)}, path, metadata={"bank": '{"about": {}, "captions": []}'})


def without_captions(path: Path) -> None:
    save_file({"latents": torch.zeros(3), "caption": torch.zeros(3)}, path)


def not_a_number(path: Path) -> None:
    poison(path, float("nan"))


def infinite(path: Path) -> None:
    poison(path, float("inf"))


def poison(path: Path, value: float) -> None:
    with safe_open(path, "pt") as file:
        about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["latents"][7, 1, 0, 1, 1] = value
    save_file(tensors, path, metadata=about)


def no_clips(path: Path) -> None:
    write(path, clips=0)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        cut,
        cut_header,
        empty,
        text,
        folder,
        other_tensors,
        without_captions,
        not_a_number,
        infinite,
        no_clips,
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = write(tmp_path / "bank.safetensors")
    spoil(path)
    with pytest.raises(SaltError, match=r"bank\.safetensors: .*`salt latents`") as told:
        LatentBank(path, Words(), 0)
    assert "\n" not in str(told.value)


# ------------------------------------------------------------------------------------------- writing
def test_a_killed_writer_leaves_nothing_under_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bank.safetensors"

    def die_half_way(tensors: dict[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, target, metadata)
        cut(target)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(latents, "save_file", die_half_way)
    child = os.fork()
    if not child:
        write(path)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [left.name for left in tmp_path.iterdir()] == [".bank.safetensors.tmp"]
    monkeypatch.undo()
    assert len(LatentBank(write(path), Words(), 0).latents) == CLIPS
    assert [left.name for left in tmp_path.iterdir()] == ["bank.safetensors"]


def test_a_failed_writer_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "bank.safetensors")
    before = path.read_bytes()

    def fails(tensors: dict[str, Tensor], target: Path, metadata: dict[str, str]) -> None:
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(latents, "save_file", fails)
    with pytest.raises(OSError, match="disk full"):
        write(path)
    assert path.read_bytes() == before
    assert [left.name for left in tmp_path.iterdir()] == ["bank.safetensors"]


@pytest.mark.parametrize("clips", [CLIPS - 1, CLIPS + 1])
def test_a_wrong_number_of_clips_is_never_written(tmp_path: Path, clips: int) -> None:
    chunk = torch.zeros(CLIPS, *SHAPE), [caption_of(i) for i in range(CLIPS)]
    with pytest.raises((ValueError, RuntimeError)):
        write_bank(tmp_path / "bank", clips, SHAPE, [chunk], {})
    assert not list(tmp_path.iterdir())
