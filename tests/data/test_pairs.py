"""A store of trajectories survives being killed anywhere, and is read with suspicion."""

import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from salt.data import store as store_module
from salt.data.pairs import About, PairBank, write_pairs
from salt.errors import SaltError

TOTAL, SHARD_SIZE = 11, 4
SHARDS = ["shard_00000.safetensors", "shard_00001.safetensors", "shard_00002.safetensors"]
SHAPE = (3, 2, 1, 2, 2)
ABOUT = About(
    kind="bidirectional",
    teacher="abc",
    codec="def",
    text="ghi",
    precision="float32",
    source="012",
    seed=7,
    solver_steps=24,
    shift=5.0,
    cfg_weight=3.0,
    times=(1.0, 5 / 7, 0.0),
)


class Words:
    """Embeds a caption as its length, in one token, and counts the calls."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, captions: Sequence[str]) -> Tensor:
        self.asked.append(list(captions))
        return torch.tensor([float(len(text)) for text in captions]).view(-1, 1, 1)


def caption_of(pair: int) -> str:
    """Captions repeat: pairs 0, 3, 6, 9 share one."""
    return "x" * (1 + pair % 3)


def make(start: int, stop: int) -> tuple[Tensor, list[str]]:
    """Every number of trajectory i is i + 0.1, plus 100 for each state."""
    numbers = torch.arange(start, stop).view(-1, 1, 1, 1, 1, 1) + 100 * torch.arange(SHAPE[0]).view(-1, 1, 1, 1, 1)
    return (numbers + 0.1).expand(-1, *SHAPE), [caption_of(i) for i in range(start, stop)]


def write(
    folder: Path, make: store_module.Make = make, about: About = ABOUT, total: int = TOTAL, size: int = SHARD_SIZE
):
    write_pairs(folder, about, total, size, make)
    return folder


def read(folder: Path, seed: int = 5, **expect: object) -> PairBank:
    return PairBank(folder, Words(), seed, expect)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs")


# --------------------------------------------------------------------------------------------- round trip
def test_every_trajectory_comes_back_with_its_caption(store: Path) -> None:
    batch = read(store).batch(range(TOTAL))
    used = batch.states[:, 0, 0, 0, 0, 0].floor().int().tolist()
    assert sorted(used) == list(range(TOTAL))
    expected = torch.cat([make(i, i + 1)[0] for i in used])
    torch.testing.assert_close(batch.states, expected, rtol=1e-3, atol=0)  # what float16 leaves
    assert batch.states.dtype == torch.float32
    assert batch.text.flatten().tolist() == [len(caption_of(i)) for i in used]
    assert batch.empty_text.tolist() == [[[0.0]]]
    assert batch.samples == tuple(range(TOTAL))
    moved = batch.to("cpu")
    assert all(torch.equal(getattr(moved, name), getattr(batch, name)) for name in ("states", "text", "empty_text"))
    assert moved.samples == batch.samples


def test_captions_are_embedded_once(store: Path) -> None:
    words = Words()
    bank = PairBank(store, words, 0, {})
    bank.batch(range(30))
    assert words.asked == [[""], ["x", "xx", "xxx"]]


def test_the_files_hold_half_precision_and_what_they_are(store: Path) -> None:
    assert sorted(content(store)) == ["index.json", "progress.json", *SHARDS]
    with safe_open(store / SHARDS[2], "pt") as file:
        assert file.get_tensor("latents").dtype == torch.float16
        assert file.get_tensor("latents").shape == (3, *SHAPE)
        assert json.loads(file.metadata()["captions"]) == ["xxx", "x", "xx"]
    assert read(store).about == ABOUT
    index = json.loads((store / "index.json").read_text())
    assert (index["total"], index["shard_size"], list(index["shards"])) == (TOTAL, SHARD_SIZE, SHARDS)


def test_every_epoch_shows_every_trajectory_once_in_an_order_of_its_own(store: Path) -> None:
    bank = read(store)
    epochs = [bank.batch(range(TOTAL * i, TOTAL * (i + 1))).states[:, 0, 0, 0, 0, 0].floor().tolist() for i in range(4)]
    assert all(sorted(epoch) == list(range(TOTAL)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    other = read(store, seed=6).batch(range(TOTAL)).states[:, 0, 0, 0, 0, 0].floor().tolist()
    assert other != epochs[0]


@pytest.mark.parametrize("size", [1, 3, TOTAL, 100])
def test_batches_do_not_depend_on_the_shards(store: Path, tmp_path: Path, size: int) -> None:
    one, other = (read(folder).batch(range(3, 25)) for folder in (store, write(tmp_path / "other", size=size)))
    assert torch.equal(one.states, other.states)
    assert torch.equal(one.text, other.text)


# ------------------------------------------------------------------------------------------------ resuming
class Killer:
    """Calls a function, and kills this process at the n-th call: before it, or after it."""

    def __init__(self, function: Callable[..., object], calls: int, after: bool) -> None:
        self.function, self.calls, self.after = function, calls, after

    def __call__(self, *args: object, **kwargs: object) -> object:
        self.calls -= 1
        if not self.calls and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = self.function(*args, **kwargs)
        if not self.calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


@pytest.mark.parametrize("calls", [1, 2, 3])
@pytest.mark.parametrize(
    ("name", "after"),
    [("make", False), ("save_file", False), ("save_file", True), ("sha256", False), ("write_text", False)],
)
def test_a_killed_writer_goes_on_to_the_same_bytes(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: bool, calls: int
) -> None:
    """Killed before a shard, before and after it lies under its temporary name, and before the index names it."""
    folder, asked = tmp_path / "killed", []

    def counted(start: int, stop: int) -> tuple[Tensor, list[str]]:
        asked.append(start)
        return make(start, stop)

    child = os.fork()
    if not child:
        if name == "make":
            write(folder, Killer(make, calls, after))
        monkeypatch.setattr(store_module, name, Killer(getattr(store_module, name), calls, after))
        write(folder)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    with pytest.raises(SaltError):
        read(folder)
    write(folder, counted)
    assert asked == [SHARD_SIZE * i for i in range(calls - 1, len(SHARDS))]
    assert content(folder) == content(store)


def test_a_finished_store_is_left_alone(store: Path) -> None:
    times = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}

    def never(start: int, stop: int) -> tuple[Tensor, list[str]]:
        raise AssertionError((start, stop))

    write(store, never)
    now = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    assert {name for name in now if now[name] != times[name]} <= {"index.json"}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip_a_bit, Path.unlink])
def test_a_broken_shard_is_refused_and_made_anew(store: Path, damage: Callable[[Path], None]) -> None:
    before = content(store)
    damage(store / SHARDS[1])
    key = {cut: "bytes is ", flip_a_bit: "sha256 is ", Path.unlink: "the shard is missing"}[damage]
    with pytest.raises(SaltError, match=rf"shard_00001\.safetensors: {key}.*`salt ode-pairs`") as caught:
        read(store)
    assert "\n" not in str(caught.value)
    write(store)
    assert content(store) == before
    assert len(read(store).batch(range(TOTAL)).samples) == TOTAL


def test_several_writers_share_the_work(store: Path, tmp_path: Path) -> None:
    folder, asked = tmp_path / "shared", []

    def counted(start: int, stop: int) -> tuple[Tensor, list[str]]:
        asked.append(start // SHARD_SIZE)
        return make(start, stop)

    for i in (1, 0):
        write_pairs(folder, ABOUT, TOTAL, SHARD_SIZE, counted, (i, 2))
        with pytest.raises(SaltError, match=r"index\.json: cannot be read"):
            read(folder)
    assert asked == [1, 0, 2]
    write(folder, counted)
    assert asked == [1, 0, 2], "nothing is made twice"
    names = [*SHARDS, "index.json"]
    assert {name: (folder / name).read_bytes() for name in names} == {name: content(store)[name] for name in names}


def test_who_finishes_makes_what_a_lost_writer_left_out(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    write_pairs(folder, ABOUT, TOTAL, SHARD_SIZE, make, (0, 2))
    cut(folder / SHARDS[2])
    write(folder)
    names = [*SHARDS, "index.json"]
    assert {name: (folder / name).read_bytes() for name in names} == {name: content(store)[name] for name in names}


def test_a_shard_that_was_made_again_stays_as_it_is(store: Path, tmp_path: Path) -> None:
    """Another device gives other bytes: what lies there counts, not what an earlier writer noted."""
    folder = tmp_path / "shared"
    write_pairs(folder, ABOUT, TOTAL, SHARD_SIZE, make, (0, 2))
    write_pairs(folder, ABOUT, TOTAL, SHARD_SIZE, make, (1, 2))
    (folder / SHARDS[2]).unlink()
    asked = []

    def elsewhere(start: int, stop: int) -> tuple[Tensor, list[str]]:
        asked.append(start)
        states, captions = make(start, stop)
        return states + 1, captions

    write(folder, elsewhere)
    first = content(folder)
    write(folder, elsewhere)
    assert asked == [2 * SHARD_SIZE]
    assert content(folder) == first


# ------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("key", "other"),
    [("kind", "causal"), ("teacher", "xyz"), ("cfg_weight", 5.0), ("times", (1.0, 0.5, 0.0)), ("source", "345")],
)
def test_pairs_of_another_kind_are_neither_continued_nor_read(store: Path, key: str, other: object) -> None:
    before, own = content(store), ABOUT.model_dump()[key]
    expected = re.escape(f".json: {key} is {own!r}; accepted: {other!r}; ")
    with pytest.raises(SaltError, match=expected + "give another folder"):
        write(store, about=ABOUT.model_copy(update={key: other}))
    with pytest.raises(SaltError, match=expected + "make such a folder"):
        read(store, codec="def", **{key: other})
    assert read(store, codec="def", **{key: own}).about == ABOUT
    assert content(store) == before


@pytest.mark.parametrize(("key", "other"), [("total", TOTAL + 1), ("size", 5)])
def test_another_number_is_refused(store: Path, key: str, other: int) -> None:
    with pytest.raises(SaltError, match=rf"progress\.json: \w+ is {TOTAL if key == 'total' else SHARD_SIZE}; accepted"):
        write(store, **{key: other})


def test_an_unfinished_store_is_not_read(tmp_path: Path) -> None:
    def stops(start: int, stop: int) -> tuple[Tensor, list[str]]:
        if start:
            raise RuntimeError("out of memory")
        return make(start, stop)

    with pytest.raises(RuntimeError, match="out of memory"):
        write(tmp_path, stops)
    assert sorted(content(tmp_path)) == ["progress.json", SHARDS[0]]
    with pytest.raises(SaltError, match=r"index\.json: cannot be read: No such file or directory; accepted: an index"):
        read(tmp_path)
    write(tmp_path)
    assert content(tmp_path) == content(write(tmp_path.with_name("whole")))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -7e4])
def test_states_that_are_not_finite_are_never_written(tmp_path: Path, bad: float) -> None:
    """-7e4 is finite, but not in float16."""

    def makes(start: int, stop: int) -> tuple[Tensor, list[str]]:
        states, captions = make(start, stop)
        return torch.where(states.floor() == 206, bad, states), captions

    with pytest.raises(SaltError, match=r"shard_00001\.safetensors: latents hold NaN, or numbers too large"):
        write(tmp_path, makes)
    assert sorted(content(tmp_path)) == ["progress.json", SHARDS[0]]


@pytest.mark.parametrize("axis", ["pairs", "states", "captions"])
def test_a_wrong_number_of_anything_is_a_bug(tmp_path: Path, axis: str) -> None:
    def makes(start: int, stop: int) -> tuple[Tensor, list[str]]:
        states, captions = make(start, stop)
        return {
            "pairs": (states[1:], captions[1:]),
            "states": (states[:, 1:], captions),
            "captions": (states, captions[1:]),
        }[axis]

    with pytest.raises(ValueError, match="captions came"):
        write(tmp_path, makes)
    assert not content(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "no index", "[]", "{}", '{"about": {}, "total": 1, "shard_size": 1, "shards": {}}']
)
def test_a_broken_index_is_reported_in_one_line(store: Path, text: str) -> None:
    for use, name in ((read, "index.json"), (write, "progress.json")):
        (store / name).write_text(text)
        with pytest.raises(SaltError, match=rf"{name}: .*accepted: an index written by `salt ode-pairs`") as caught:
            use(store)
        assert "\n" not in str(caught.value)


def test_a_missing_store_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SaltError, match=r"index\.json: cannot be read: No such file or directory; accepted: an index"):
        read(tmp_path / "nowhere")
