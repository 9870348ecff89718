"""Sampling to disk: the right numbers, the right files, resumable, never a mixture of two models."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from salt.data.prompts import OwnPrompt, prompts_hash, report_prompts
from salt.errors import SaltError
from salt.evaluation.cells import cells_of
from salt.evaluation.groundtruth.folder import score_folder
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.sampling.solvers import Draw, Network, generate, initial_noise, renoise_of
from salt.evaluation.sampling.sources import Item, RealClips, Sampled
from salt.evaluation.sampling.videos import sample_cells
from salt.evaluation.scorers import scorer_of
from salt.evaluation.video import read_mp4
from salt.flow.grid import time_grid
from support.fields import LATENT, Letters, Pictures, Plain, network, small
from support.media import flip_a_bit

SCALE = small(
    prompts=3, seeds=(0, 5), nfe=(2,), short_nfe=(2,), solvers=("euler", "cm"), batch_size=2, teacher_nfe=2
).scale
CELLS = cells_of("sc_dmd", "SC-DMD", SCALE, 1)
WORLD, PROMPTS = SCALE.world, report_prompts(SCALE.world, 3)
FILES = {f"{cell.name}/p000{p}/{seed}.mp4" for cell in CELLS for p in range(3) for seed in (0, 5)}


def scorer(scale):
    return scorer_of(scale, TrainingLength(scale.evaluation))


def wavy(x_t, t, caption):
    return torch.sin(3 * x_t) * t + caption


def source(field=wavy):
    return Sampled(network(field), 3.0, LATENT)


def sample(out, field=wavy, weights="a", cells=CELLS, scale=SCALE):
    return sample_cells(cells, source(field), Pictures(WORLD), scorer(scale), out, {"generator": weights}, "0123abc")


def contents(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.mp4")}


class Interrupts:
    """A field that stops the program at one of its calls."""

    def __init__(self, call):
        self.left = call

    def __call__(self, x_t, t, caption):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return wavy(x_t, t, caption)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    out = tmp_path_factory.mktemp("videos") / "sc_dmd" / "seed1"
    sample(out)
    return out


# ------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_batches_do_not_matter(cell):
    mix = torch.randn(LATENT[0], LATENT[0], generator=torch.Generator().manual_seed(0))

    def field(x_t, t, caption):
        return torch.einsum("bcthw,cd->bdthw", x_t, mix) + t * caption

    items = [Item(prompt, seed) for seed in (0, 5) for prompt in PROMPTS][:4]
    (together,) = source(field).parts(cell, items)
    alone = torch.cat([next(source(field).parts(cell, [item])) for item in items])
    assert together.shape == (4, *LATENT)
    assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert len({tuple(x.flatten()[:3].tolist()) for x in together}) == 4


def test_noise_is_a_function_of_seed_and_prompt_alone():
    draws = [Draw(seed, prompt) for seed in (0, 5) for prompt in (0, 1)]
    together = initial_noise(draws, LATENT)
    assert torch.equal(together, torch.cat([initial_noise([draw], LATENT) for draw in draws]))
    steps = torch.stack([renoise_of(draws)(i, together) for i in (0, 1)])
    assert torch.equal(steps[1, 2:], renoise_of(draws[2:])(1, together[2:]))
    everything = torch.cat([together, *steps]).flatten(1)
    correlations = torch.corrcoef(everything).fill_diagonal_(0)
    assert len(everything) == 12
    assert correlations.abs().max() < 0.5  # 96 numbers each: five standard deviations


def test_all_ways_start_from_the_same_noise():
    seen = []

    def field(x_t, t, caption):
        if bool((t == 1).all()):
            seen.append(x_t)
        return 0.1 * x_t

    for cell in [*CELLS, *cells_of("dmd_4", "DMD", small(nfe=(8,)).scale, 0)]:
        next(source(field).parts(cell, [Item(PROMPTS[1], 5)]))
    assert len(seen) == 6
    assert all(torch.equal(x, seen[0]) for x in seen)


def test_cm_renoises_every_step_anew():
    seen = []

    def field(x_t, t, caption):
        seen.append(x_t / t)
        return x_t / t  # x_0 is 0, so a state is t times its noise

    cell = cells_of("sc_dmd", "SC-DMD", small(nfe=(4,), solvers=("cm",)).scale, 0)[0]
    next(source(field).parts(cell, [Item(PROMPTS[0], 0)]))
    draws = [Draw(0, 0)]
    expected = [initial_noise(draws, LATENT), *(renoise_of(draws)(i, seen[0]) for i in range(3))]
    for x, noise in zip(seen, expected, strict=True):
        assert_close(x, noise)


def test_generate_is_euler_or_cm():
    """Eq. (5): two Euler steps of v = x by hand; the consistency solver of v = x / t ends at 0 for any noise."""
    noise, grid = torch.ones(1, *LATENT), time_grid(2, 3.0)
    assert grid == (1.0, 0.75)
    assert_close(generate(lambda x, t: x, noise, grid, "euler", None), (1 - 0.25) * (1 - 0.75) * noise)
    zero = generate(lambda x, t: x / t.view(-1, 1, 1, 1, 1), noise, grid, "cm", lambda i, like: 7 * like)
    assert_close(zero, 0 * noise)
    with pytest.raises(SaltError, match="solver=none: accepted: euler, cm"):
        generate(lambda x, t: x, noise, grid, "none", None)


def test_guidance_costs_two_calls_and_extrapolates():
    calls = []

    def model(x_t, t, text):
        calls.append(text)
        return x_t * text[:, :1, 1:, None, None]  # 1 with a caption, 0 without

    x_t, t = torch.ones(2, *LATENT), torch.ones(2)
    guided = Network(model, Letters(), 3.0).velocity(["a ring", "a cross"])
    assert_close(guided(x_t, t), 3 * x_t)
    assert [len(text) for text in calls] == [2, 2]
    assert_close(
        Network(model, Letters(), None).velocity(["a ring", ""])(x_t, t)[:, 0, 0, 0, 0], torch.tensor([1.0, 0])
    )
    assert len(calls) == 3


# --------------------------------------------------------------------------------------------------- files
def test_layout_and_manifest(sampled):
    assert set(contents(sampled)) == FILES
    assert {p.name for p in sampled.rglob("*") if p.is_file() and p.suffix != ".mp4"} == {
        "manifest.json",
        "videos.sha256",
        "made_from.json",
        "prompts.json",
    }
    video = read_mp4(sampled / "extended_cm_2/p0001/5.mp4")
    side = WORLD.size * WORLD.video_scale
    assert video.shape == (WORLD.frames, side, side, 3)
    manifest = json.loads((sampled / "manifest.json").read_text())
    assert manifest["cells"] == ["extended_euler_2", "extended_cm_2", "short_cm_2"]
    assert (manifest["videos"], manifest["sampling_seeds"], manifest["commit"]) == (18, [0, 5], "0123abc")
    assert manifest["protocol"] == scorer(SCALE).protocol()
    assert (manifest["weights"], manifest["shift"], manifest["cfg_weight"]) == ({"generator": "a"}, 3.0, None)
    assert (manifest["experiment"], manifest["seed"], manifest["scale"]) == ("sc_dmd", 1, "smoke")


def test_videos_show_the_latents(sampled):
    item = Item(PROMPTS[2], 5)
    (latents,) = source().parts(CELLS[1], [item])
    picture, k = Pictures(WORLD).decode(latents)[0].permute(1, 2, 3, 0), WORLD.video_scale
    expected = picture.repeat_interleave(k, 1).repeat_interleave(k, 2)
    error = read_mp4(item.path(sampled / "extended_cm_2")) / 255 - expected.numpy()
    assert np.abs(error.mean(axis=(1, 2))).max() < 0.01
    assert np.sqrt((error**2).mean()) < 0.1  # colour is subsampled


def test_what_the_prompts_are_is_written_beside_the_videos(sampled):
    written = json.loads((sampled / "prompts.json").read_text())
    assert (
        written["hash"] == prompts_hash(PROMPTS) == json.loads((sampled / "manifest.json").read_text())["prompts_hash"]
    )
    assert [(row["id"], row["extended"]) for row in written["prompts"]] == [(p.id, p.extended) for p in PROMPTS]


def test_own_captions_take_the_place_of_the_prompts(sampled, tmp_path):
    """With the captions of the report prompts, the very same videos under other names."""
    own = [OwnPrompt(f"own000{p.index}", p.index, p.extended) for p in PROMPTS]
    cells = [cell for cell in CELLS if cell.prompts == "extended"]
    sample_cells(cells, source(), Pictures(WORLD), scorer(SCALE), tmp_path, {}, None, own)
    videos, known = contents(tmp_path), contents(sampled)
    assert len(videos) == len(cells) * 3 * 2
    assert all(video == known[name.replace("own", "p")] for name, video in videos.items())
    assert json.loads((tmp_path / "manifest.json").read_text())["prompts_hash"] == prompts_hash(own)
    assert json.loads((tmp_path / "prompts.json").read_text())["prompts"][0]["caption"] == PROMPTS[0].extended


def test_videos_of_other_captions_are_never_kept(tmp_path):
    for caption in ("a red square", "a blue ring"):
        own = [OwnPrompt("own0000", 0, caption)]
        sample_cells(CELLS[:1], source(), Pictures(WORLD), scorer(SCALE), tmp_path / "one", {}, None, own)
    sample_cells(CELLS[:1], source(), Pictures(WORLD), scorer(SCALE), tmp_path / "other", {}, None, own)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_short_captions_reach_the_network(sampled):
    assert contents(sampled / "short_cm_2") != contents(sampled / "extended_cm_2")


@pytest.mark.parametrize("call", [1, 4, 9])
def test_the_same_call_again_resumes(sampled, tmp_path, call):
    """An interrupted run has no manifest; the next one keeps its videos and ends like the unbroken one."""
    with pytest.raises(KeyboardInterrupt):
        sample(tmp_path, Interrupts(call))
    assert not (tmp_path / "manifest.json").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert len(before) == (call - 1) // 2 * 2  # two calls make a batch of two
    sample(tmp_path)
    assert contents(tmp_path) == contents(sampled)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "manifest.json").read_bytes() == (sampled / "manifest.json").read_bytes()


@pytest.mark.parametrize("call", [2, 3, 6])
def test_a_resumed_sampling_is_byte_for_byte_an_unbroken_one(tmp_path, call):
    """A batch is computed whole, since the rounding of a sample depends on what it is computed with: here, much."""

    def field(x_t, t, caption):
        return torch.sin(3 * x_t) * t + caption + len(x_t) * x_t.mean()

    sample(tmp_path / "whole", field)
    for kept in range(2):  # one of two videos of a batch has its name, as after a kill between two renames
        sample(tmp_path / "broken", field)
        (tmp_path / "broken" / "manifest.json").unlink()
        for number, path in enumerate(sorted((tmp_path / "broken").rglob("*.mp4"))):
            if number % call == kept:
                path.unlink()
        sample(tmp_path / "broken", field)
        assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
        for name in ("manifest.json", "extended_cm_2/made_from.json"):
            assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_bit_that_changed_is_seen(sampled, tmp_path):
    """Decoders show such a video, with other frames: it is made again, here as in a folder of an older version."""
    shutil.copytree(sampled, tmp_path / "v")
    flip_a_bit(tmp_path / "v" / "extended_cm_2/p0001/5.mp4")
    with (tmp_path / "v" / "extended_cm_2" / "videos.sha256").open("a") as file:
        file.write("0123 cut off by a kill")
    sample(tmp_path / "v")
    assert contents(tmp_path / "v") == contents(sampled)
    known = json.loads((tmp_path / "v" / "manifest.json").read_text())["files"]
    assert known == {name: hashlib.sha256(body).hexdigest() for name, body in contents(sampled).items()}
    for path in (tmp_path / "v").rglob("videos.sha256"):
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "v").rglob("*.mp4")}
    sample(tmp_path / "v")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert json.loads((tmp_path / "v" / "manifest.json").read_text())["files"] == known


def test_sha256sum_reads_what_is_written_down(sampled):
    done = subprocess.run(["sha256sum", "--check", "--strict", "videos.sha256"], cwd=sampled / "short_cm_2")
    assert done.returncode == 0


def test_broken_files_are_made_again(sampled, tmp_path):
    sample(tmp_path)
    broken = tmp_path / "extended_cm_2/p0000/0.mp4"
    broken.write_bytes(broken.read_bytes()[:500])
    (tmp_path / "short_cm_2/p0002/5.mp4").unlink()
    sample(tmp_path)
    assert contents(tmp_path) == contents(sampled)


def test_videos_of_other_weights_are_never_kept(sampled, tmp_path):
    def other(x_t, t, caption):
        return 2 * x_t + caption

    sample(tmp_path, other, weights="b")
    with pytest.raises(KeyboardInterrupt):
        sample(tmp_path, Interrupts(4))
    assert not (tmp_path / "manifest.json").exists()
    sample(tmp_path)
    assert contents(tmp_path) == contents(sampled)
    assert json.loads((tmp_path / "manifest.json").read_text())["weights"] == {"generator": "a"}


def test_videos_of_another_protocol_are_never_kept(tmp_path):
    scale = small(**SCALE.evaluation.model_dump() | {"prompts": 2, "seeds": (5,)}).scale
    sample(tmp_path)
    sample(tmp_path, scale=scale)
    assert set(contents(tmp_path)) == {f"{cell.name}/p000{p}/5.mp4" for cell in CELLS for p in range(2)}


def test_nan_is_refused_by_name(tmp_path):
    def field(x_t, t, caption):
        poisoned = caption == Letters().encode([PROMPTS[1].extended])[0, 0, 0]
        return torch.where(poisoned, torch.nan, x_t)

    with pytest.raises(
        SaltError, match=r"sc_dmd seed 1, cell extended_euler_2: latents of prompt p0001, .* seed 0, hold"
    ):
        sample(tmp_path, field)
    assert contents(tmp_path) == {}
    assert not (tmp_path / "manifest.json").exists()


def test_real_clips_show_what_the_prompts_say(tmp_path):
    """Through a codec without loss, clips of the prompts score (nearly) full marks; seeds are different futures."""
    scale = small(prompts=6, seeds=(0, 1), batch_size=5).scale
    cells = cells_of("real", "Real", scale, 0)
    sample_cells(cells, RealClips(Plain(), WORLD), Plain(), scorer(scale), tmp_path, {}, None)
    prompts = report_prompts(WORLD, 6)
    scores = score_folder(tmp_path / "extended_none_0", prompts, "extended", (0, 1), WORLD, "p")
    assert scores.scores["semantic"] > 98
    assert contents(tmp_path / "extended_none_0") == contents(tmp_path / "short_none_0")
    videos = contents(tmp_path / "extended_none_0")
    assert any(videos[f"{p.id}/0.mp4"] != videos[f"{p.id}/1.mp4"] for p in prompts)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_in_the_way_of_a_cell_is_named_and_left_alone(tmp_path, kind):
    (tmp_path / "mine").mkdir()
    place = tmp_path / "videos" / CELLS[0].name
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "mine")
    with pytest.raises(
        SaltError, match=f"{CELLS[0].name}: a {kind}.* is in the way of a cell's videos; accepted: a folder"
    ):
        sample_cells(CELLS, source(), Pictures(WORLD), scorer(SCALE), tmp_path / "videos", {}, None)
    assert place.is_symlink() == (kind == "link")
    assert not list((tmp_path / "mine").iterdir())
