"""Long videos: their noise, their prompts chunk by chunk, files that grow, and memory that does not."""

import gc
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from salt.config.memory import Memory
from salt.config.scale import Long
from salt.data.prompts import OwnPrompt, report_prompts
from salt.errors import SaltError
from salt.evaluation.cells import ModelCell, long_cells
from salt.evaluation.lengths import BeyondTraining
from salt.evaluation.sampling.sources import Item
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.evaluation.sampling.videos import sample_cells
from salt.evaluation.scorers import scorer_of
from salt.evaluation.video import read_mp4
from salt.flow.grid import time_grid
from salt.flow.transport import cm_sample
from salt.rollout.autoregressive import bind_context
from salt.streams import Streams
from support.causal_nets import causal
from support.fields import small

LATENT, SEED = (2, 3, 4, 4), 5
RELATIVE = Memory(window=2, sink=1, positions="relative")
PROMPTS = report_prompts(small().scale.world, 4)
ONE, TWO = Item(PROMPTS[1], SEED), Item(PROMPTS[2], 0)


def cell(solver: str = "cm", nfe: int = 2) -> ModelCell:
    return ModelCell("self_forcing", "long", solver, nfe, "Self Forcing", "smoke", 0)


class Words:
    """A caption's embedding `(1, 3, 4)`, from its letters."""

    def encode(self, captions):
        return torch.stack([self.of(caption) for caption in captions])

    @staticmethod
    def of(caption: str) -> Tensor:
        return torch.randn(3, 4, generator=torch.Generator().manual_seed(sum(map(ord, caption))))


class Notes:
    """A causal model with v = x_t / t, whose states are t times their noise, and which notes what is asked of it."""

    chunk = 1

    def __init__(self) -> None:
        self.steps, self.remembered, self.switched = [], [], []

    def __call__(self, x_t, t, text, clean=None):
        raise AssertionError("no whole clip is made here")

    def open_memory(self, policy, batch, height, width, capacity_frames=None):
        memory = SimpleNamespace(start=0)
        memory.context = lambda: SimpleNamespace(start=memory.start)
        return memory

    def step(self, x_t, t, text, context, exits=None):
        v = x_t / t.view(-1, 1, 1, 1, 1)
        self.steps.append((context.start, v, text))
        return v

    def remember(self, memory, x_0, text, exits=None):
        self.remembered.append((memory.start, text))
        memory.start += self.chunk

    def switch(self, memory, text):
        self.switched.append((memory.start, text))


def source(model, memory=RELATIVE, length=3):
    return SampledByChunk(model, Words(), memory, 3.0, LATENT, length)


def video(model, items, memory=RELATIVE, length=3, solver="cm"):
    with torch.no_grad():
        return torch.cat(list(source(model, memory, length).parts(cell(solver), items)), dim=2)


# --------------------------------------------------------------------------------------------------- noise
def test_noise_is_keyed_by_block_and_cut_into_chunks():
    model = Notes()
    video(model, [ONE, TWO])
    assert len(model.steps) == 9 * 2
    for purpose, number, first in (("noise", 0, 1), ("renoise", 1, 1 << 16)):
        for frame in range(9):
            block, place = divmod(frame, 3)
            start, noise, _ = model.steps[2 * frame + number]
            fresh = [
                Streams(item.seed).normal(f"sampling/{purpose}", first * block, [item.prompt.index], LATENT)
                for item in (ONE, TWO)
            ]
            assert start == frame
            assert_close(noise, torch.cat(fresh)[:, :, place : place + 1])


@pytest.mark.parametrize("solver", ["euler", "cm"])
@pytest.mark.parametrize("memory", [Memory(), RELATIVE])
def test_a_long_video_begins_as_the_short_one(memory, solver):
    model = causal(1).float()
    long, short = (video(model, [ONE, TWO], memory, length, solver) for length in (3, 1))
    assert long.shape == (2, 2, 9, 4, 4)
    assert torch.equal(long[:, :, :3], short)
    assert not torch.allclose(long[:, :, 3:6], short, atol=0.1)


def test_batches_do_not_matter():
    model = causal(3).float()
    together = video(model, [ONE, TWO], Memory(window=3, sink=3, positions="relative"))
    alone = [video(model, [item], Memory(window=3, sink=3, positions="relative")) for item in (ONE, TWO)]
    assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)


# ------------------------------------------------------------------------------------------------- prompts
def prompted(*captions: str) -> Item:
    return Item(OwnPrompt("own0000", 0, captions[0], captions[1:]), SEED)


@pytest.mark.parametrize(
    ("captions", "by_chunk"),
    [("A", "AAAAAAAAA"), ("ABC", "AAABBBCCC"), ("AB", "AAAAABBBB"), ("ABA", "AAABBBAAA"), ("ABCDEFGHI", "ABCDEFGHI")],
)
def test_a_switch_reaches_the_model_at_its_frame(captions, by_chunk):
    """Every chunk is made, and remembered, under its own caption; the memory is switched between the two."""
    model = Notes()
    video(model, [prompted(*captions)])

    def letters(texts):
        known = {letter: Words.of(letter) for letter in captions}
        return "".join(next(a for a, text in known.items() if torch.equal(text, given[0])) for given in texts)

    assert letters(text for _, _, text in model.steps[::2]) == letters(text for _, _, text in model.steps[1::2])
    assert letters(text for _, _, text in model.steps[::2]) == by_chunk
    assert letters(text for _, text in model.remembered) == by_chunk[:-1]
    changes = [i for i in range(1, 9) if by_chunk[i] != by_chunk[i - 1]]
    assert [start for start, _ in model.switched] == changes
    assert letters(text for _, text in model.switched) == "".join(by_chunk[i] for i in changes)


def test_recache_makes_the_past_anew_with_the_new_prompt():
    """After the switch a chunk sees the frames before as if they had been remembered under the new caption."""
    model, policy = causal(1).float(), Memory(window=8, on_switch="recache")
    got = video(model, [prompted("a", "b")], policy, length=2)
    kept = video(model, [prompted("a", "b")], Memory(window=8), length=2)
    assert torch.equal(got[:, :, :3], kept[:, :, :3])
    assert not torch.allclose(got[:, :, 3:], kept[:, :, 3:], atol=1e-3)
    memory, text = model.open_memory(policy, 1, 4, 4, 6), Words().encode(["b"])
    for start in range(3):
        model.remember(memory, got[:, :, start : start + 1], text)
    draw = Streams(SEED)
    noise = draw.normal("sampling/noise", 1, [0], LATENT)[:, :, :1]
    fresh = draw.normal("sampling/renoise", 1 << 16, [0], LATENT)[:, :, :1]
    with torch.no_grad():
        expected = cm_sample(bind_context(model, memory, text), noise, time_grid(2, 3.0), lambda i, like: fresh)
    assert_close(got[:, :, 3:4], expected, rtol=1e-4, atol=1e-4)


# -------------------------------------------------------------------------------------------------- memory
def test_nothing_alive_grows_with_the_video():
    """From the frame on at which the memory is full, every chunk leaves as many numbers alive as the one before."""
    alive = []
    gc.collect()
    gc.freeze()  # what is there already costs no time below
    with torch.no_grad():
        for part in source(causal(1).float(), RELATIVE, 8).parts(cell(), [ONE]):
            assert part.shape == (1, 2, 1, 4, 4)
            gc.collect()
            alive.append(sum(x.numel() for x in gc.get_objects() if type(x) is Tensor))
    gc.unfreeze()
    blocks = np.reshape(alive, (8, 3))  # within a block, noise is used up
    assert blocks[0, 0] != blocks[1, 0]
    assert (blocks[2:] == blocks[2]).all()


class Streaming:
    """A codec that shows noise, and notes what it is given."""

    def __init__(self) -> None:
        self.given = []

    def stream(self):
        self.given.append([])
        return self.decode

    def decode(self, latents):
        parts = self.given[-1]
        parts.append(latents)
        frames = 4 * latents.shape[2] - (3 if len(parts) == 1 else 0)
        return torch.rand(len(latents), 3, frames, 32, 32)


class Watched:
    """Noise in parts, and what lies in the folder before each part."""

    def __init__(self, folder, parts: int, broken: int | None = None) -> None:
        self.folder, self.count, self.broken, self.seen, self.made = folder, parts, broken, [], []

    def parts(self, cell, items):
        for part in range(self.count):
            self.seen.append({path.name: path.stat().st_size for path in self.folder.rglob("*.mp4*")})
            x = torch.randn(len(items), *LATENT[:1], 1, *LATENT[2:])
            self.made.append(x)
            yield torch.full_like(x, torch.nan) if part == self.broken else x

    def settings(self):
        return {}


LONG = Long(length=2, memory=RELATIVE, nfe=(2, 4), prompts=2)
SCALE = small("self_forcing", long=LONG, batch_size=2).scale
CELLS = long_cells("self_forcing", "Self Forcing", SCALE, 0, LONG)
SCORER = scorer_of(SCALE, BeyondTraining(LONG))


def test_a_file_grows_and_gets_its_name_when_it_is_whole(tmp_path):
    watched, codec = Watched(tmp_path, 20), Streaming()
    sample_cells(CELLS[:1], watched, codec, SCORER, tmp_path, {}, None)
    assert all(seen.keys() <= {".0.mp4.tmp"} for seen in watched.seen)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.mp4*")} == {
        "long_cm_2/p0000/0.mp4",
        "long_cm_2/p0001/0.mp4",
    }
    sizes = [sum(seen.values()) for seen in watched.seen]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2, "the file must be on the disk long before its end"
    assert read_mp4(tmp_path / "long_cm_2/p0001/0.mp4").shape == (1 + 4 * 19, 256, 256, 3)


def test_the_parts_of_a_batch_go_through_one_stream(tmp_path):
    watched, codec = Watched(tmp_path, 3), Streaming()
    sample_cells(CELLS[:1], watched, codec, SCORER, tmp_path, {}, None)
    (parts,) = codec.given
    assert all(torch.equal(ours, made) for ours, made in zip(parts, watched.made, strict=True))


def test_a_broken_part_leaves_no_file(tmp_path):
    with pytest.raises(SaltError, match=r"cell long_cm_2: latents of prompt p0000, sampling seed 0, hold NaN"):
        sample_cells(CELLS, Watched(tmp_path, 3, broken=2), Streaming(), SCORER, tmp_path, {}, None)
    assert not list(tmp_path.rglob("*.mp4*"))
    assert not (tmp_path / "manifest.json").exists()


def test_long_cells_have_their_own_prompts_and_protocol(tmp_path):
    sample_cells(CELLS, Watched(tmp_path, 1), Streaming(), SCORER, tmp_path, {}, None)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["cells"] == ["long_cm_2", "long_cm_4"]
    assert manifest["videos"] == 4
    assert manifest["protocol"] == SCORER.protocol()


def test_a_batch_changes_its_prompts_at_once(tmp_path):
    batches = []

    class Noted(Watched):
        def parts(self, cell, items):
            batches.append([item.prompt.id for item in items])
            return super().parts(cell, items)

    own = [OwnPrompt(f"own{i}", i, "a", ("b",) * later) for i, later in enumerate([0, 1, 0, 1, 0, 2])]
    sample_cells(CELLS[:1], Noted(tmp_path, 1), Streaming(), SCORER, tmp_path, {}, None, own)
    assert batches == [["own0", "own2"], ["own4"], ["own1", "own3"], ["own5"]]
