"""The codec is causal, keeps its scale, learns, and is read with suspicion."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from salt.config.scale import Codec
from salt.config.world import World
from salt.data.clips import ClipSource, as_tensor
from salt.data.world import STEPS, Content, Scene, Sprite, render
from salt.errors import SaltError
from salt.models.codec import (
    AT_ONCE,
    CUES,
    TinyCodec,
    fit_codec,
    load_codec,
    motion_vectors,
    save_codec,
    surroundings,
)

SOURCE = ClipSource(World(size=32, frames=9), "train", 1)
SMALL = Codec(width=16, blocks=1, steps=150, batch_size=2)


@pytest.fixture(scope="module")
def video() -> Tensor:
    """24 clips, `(24, 3, 9, 32, 32)`."""
    return SOURCE.videos(range(24))


@pytest.fixture(scope="module")
def codec(video: Tensor) -> TinyCodec:
    """Fitted, and with a decoder that corrects something."""
    return fitted(video)[0]


def fitted(video: Tensor, config: Codec = SMALL) -> tuple[TinyCodec, list[float]]:
    """A trained codec and the loss of each step."""
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = TinyCodec(config)
        fit_codec(
            codec, lambda step: video[step % 12 * 2 :][:2] if step else video, 0, lambda _, loss: losses.append(loss)
        )
    return codec.requires_grad_(False), losses


def linear(video: Tensor, **changes: float) -> TinyCodec:
    """A codec whose linear part alone is fitted."""
    codec = TinyCodec(SMALL.model_copy(update=changes))
    codec.fit_linear(video)
    return codec.eval().requires_grad_(False)


def pictures(codec: TinyCodec, video: Tensor) -> Tensor:
    """The latents without their cues."""
    return codec.encode(video)[:, :-CUES]


# ------------------------------------------------------------------------------------ shapes and time
@pytest.mark.parametrize(("frames", "size", "stride"), [(1, 32, 4), (9, 32, 4), (17, 24, 4), (5, 64, 8)])
def test_latent_shape_is_that_of_the_latents(frames: int, size: int, stride: int) -> None:
    codec = TinyCodec(SMALL.model_copy(update={"stride": stride, "channels": 5}))
    video = torch.rand(2, 3, frames, size, size)
    latents = codec.encode(video)
    assert latents.shape == (2, 5, 1 + (frames - 1) // 4, size // stride, size // stride)
    assert codec.decode(latents).shape == video.shape


def test_latents_and_frames_of_a_prefix_are_a_prefix(codec: TinyCodec, video: Tensor) -> None:
    latents = codec.encode(video)
    decoded = codec.decode(latents)
    for k in (0, 1):
        torch.testing.assert_close(codec.encode(video[:, :, : 1 + 4 * k]), latents[:, :, : 1 + k])
        torch.testing.assert_close(codec.decode(latents[:, :, : 1 + k]), decoded[:, :, : 1 + 4 * k], rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 2), (2, 1)])
def test_decoding_in_chunks_is_decoding_at_once(codec: TinyCodec, video: Tensor, sizes: tuple[int, ...]) -> None:
    latents = codec.encode(video)
    chunks = latents.split(sizes, dim=2)
    stream = codec.stream()
    parts = [stream(chunk) for chunk in chunks]
    torch.testing.assert_close(torch.cat(parts, dim=2), codec.decode(latents), rtol=0, atol=1e-5)


def test_clips_of_a_batch_do_not_touch_each_other(codec: TinyCodec, video: Tensor) -> None:
    latents = codec.encode(video)
    torch.testing.assert_close(codec.encode(video[5:6]), latents[5:6])
    torch.testing.assert_close(codec.decode(latents[5:6]), codec.decode(latents)[5:6], rtol=0, atol=1e-5)


def test_pictures_are_of_every_fourth_frame_only(codec: TinyCodec, video: Tensor) -> None:
    others = video.clone()
    others[:, :, [1, 2, 3, 5, 6, 7]] = 0.5
    assert torch.equal(codec.encode(others)[:, :-CUES], codec.encode(video)[:, :-CUES])
    assert not torch.equal(codec.encode(others), codec.encode(video))


@pytest.mark.parametrize("speed", [1, 2])
@pytest.mark.parametrize("direction", STEPS)
def test_motion_vectors_are_the_scenes_around_its_objects_and_zero_elsewhere(direction: str, speed: int) -> None:
    content = Content((Sprite("cross", "red"), Sprite("ring", "blue")), direction, "black", "left of")
    scene = Scene(content, ((11, 19), (27 if direction in ("up", "down") else 19, 11)), speed)
    motion = motion_vectors(as_tensor(render(scene, World(frames=5))[None]), 4)
    assert not motion[:, :, 0].any(), "the first frame has no past"
    moving = motion[0, :, 1].flatten(1).T
    truth = torch.tensor(STEPS[direction], dtype=torch.float) * speed
    there = moving.any(1)
    assert 8 <= there.sum() < 48
    assert (moving[there] == truth).float().mean() > 0.8  # some blocks hold less than a corner
    for x, y in scene.tracks(5)[-1]:
        assert torch.equal(motion[0, :, 1, y // 4, x // 4], truth)


@pytest.mark.parametrize("axis", [0, 1])
def test_surroundings_point_from_each_object_to_the_other(axis: int) -> None:
    content = Content((Sprite("ring", "red"), Sprite("square", "blue")), "up", "white", "above" if axis else "left of")
    starts = ((11, 11), (11, 19)) if axis else ((11, 11), (19, 11))
    towards = surroundings(as_tensor(render(Scene(content, starts, 1), World(frames=1))[None]), 4)[0, :, 0]
    assert (towards[:, 5:, 5:] == 0).all(), "there is nothing"
    cells = [(slice(None), slice(y // 4, y // 4 + 2), slice(x // 4, x // 4 + 2)) for x, y in np.array(starts) - 3]
    first, second = [towards[place].mean((1, 2)) for place in cells]
    assert first[axis] > 0.2
    assert second[axis] < -0.2
    assert abs(first[1 - axis]) < 0.1 * first[axis]
    alone = render(Scene(Content(content.sprites[1:], "up", "white"), starts[:1], 1), World(frames=1))
    assert surroundings(as_tensor(alone[None]), 4).mean((2, 3, 4)).abs().max() < 1e-6


def test_motion_does_not_depend_on_the_other_videos_of_a_batch(video: Tensor) -> None:
    many = torch.cat([video, video.flip(4), video.flip(3)]).repeat(3, 1, 1, 1, 1)
    assert len(many) > AT_ONCE
    assert torch.equal(motion_vectors(many, 4), torch.cat([motion_vectors(one[None], 4) for one in many]))


def test_what_stands_still_has_no_motion(video: Tensor) -> None:
    assert not motion_vectors(video[:, :, :1].expand(-1, -1, 9, -1, -1), 4).any()


def test_frames_are_in_range_whatever_the_latents(codec: TinyCodec) -> None:
    decoded = codec.decode(50 * torch.randn(2, 12, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert (decoded.min(), decoded.max()) == (0, 1)


# -------------------------------------------------------------------------------------- linear part
@pytest.mark.parametrize("whitening", [0.0, 0.5, 1.0])
def test_latents_have_mean_square_one(video: Tensor, whitening: float) -> None:
    latents = pictures(linear(video, whitening=whitening), video)
    assert latents.square().mean().item() == pytest.approx(1, abs=1e-3)
    assert latents.mean().item() == pytest.approx(0, abs=1e-3)
    fresh = pictures(linear(video, whitening=whitening), SOURCE.videos(range(100, 148)))
    assert fresh.square().mean().item() == pytest.approx(1, abs=0.4)


def test_whitening_goes_from_principal_variances_to_equal_ones(video: Tensor) -> None:
    """Against numpy's singular values of the same patches, cut out by hand."""
    keys = video[:, :, ::4].transpose(1, 2).flatten(0, 1)
    cut = keys.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2).double().numpy()
    variances = np.linalg.svd(cut - cut.mean(0), compute_uv=False)[:8] ** 2 / len(cut)
    for whitening, expected in ((0.0, variances), (0.5, variances**0.5), (1.0, np.ones(8))):
        found = pictures(linear(video, whitening=whitening), video).square().mean((0, 2, 3, 4)).numpy()
        np.testing.assert_allclose(found, expected / expected.mean(), rtol=2e-3)


@pytest.mark.parametrize("whitening", [0.0, 1.0])
def test_with_all_components_the_key_frames_are_exact_before_training(video: Tensor, whitening: float) -> None:
    """And those between are their straight mixtures."""
    codec = linear(video, channels=48 + CUES, whitening=whitening)
    decoded = codec.decode(codec.encode(video))
    torch.testing.assert_close(decoded[:, :, ::4], video[:, :, ::4], rtol=0, atol=1e-3)
    mixture = 0.75 * video[:, :, 4] + 0.25 * video[:, :, 8]
    torch.testing.assert_close(decoded[:, :, 5], mixture, rtol=0, atol=1e-3)


# ----------------------------------------------------------------------------------------- training
def test_training_lowers_the_loss_and_is_reproducible(codec: TinyCodec, video: Tensor) -> None:
    again, losses = fitted(video)
    assert len(losses) == SMALL.steps
    assert np.mean(losses[-12:]) < 0.7 * np.mean(losses[:12])
    assert all(torch.equal(a, b) for a, b in zip(codec.parameters(), again.parameters(), strict=True))
    untrained = linear(video)
    errors = [(c.decode(c.encode(video)) - video).square().mean().item() for c in (again, untrained)]
    assert errors[0] < 0.6 * errors[1]
    assert not again.training


def test_training_leaves_the_encoder_alone(codec: TinyCodec, video: Tensor) -> None:
    torch.testing.assert_close(codec.encode(video), linear(video).encode(video))


def test_a_loss_that_is_not_finite_is_refused(video: Tensor) -> None:
    with pytest.raises(SaltError, match=r"codec training: loss is (nan|inf) at step \d+: lower codec\.lr"):
        fitted(video, SMALL.model_copy(update={"lr": 1e30}))


# ------------------------------------------------------------------------------------------- files
def test_a_saved_codec_comes_back_frozen(codec: TinyCodec, video: Tensor, tmp_path: Path) -> None:
    save_codec(codec, tmp_path / "codec")
    loaded = load_codec(tmp_path / "codec")
    assert loaded.config == codec.config
    latents = codec.encode(video)
    assert torch.equal(loaded.encode(video), latents)
    assert torch.equal(loaded.decode(latents), codec.decode(latents))
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def cut_weights(folder: Path) -> None:
    path = folder / "codec.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def no_weights(folder: Path) -> None:
    (folder / "codec.safetensors").unlink()


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def another_shape(folder: Path) -> None:
    (folder / "config.json").write_text(SMALL.model_copy(update={"channels": 6}).model_dump_json())


def misspelt_key(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"chanels": 8}))


def poisoned(folder: Path) -> None:
    change(folder, lambda tensors: tensors["encoding"].fill_(torch.inf))


def one_too_few(folder: Path) -> None:
    change(folder, lambda tensors: tensors.pop("mean"))


def change(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "codec.safetensors")
    edit(tensors)
    save_file(tensors, folder / "codec.safetensors")


@pytest.mark.parametrize(
    "damage",
    [cut_weights, no_weights, no_config, broken_config, another_shape, misspelt_key, poisoned, one_too_few],
)
def test_a_broken_folder_is_reported_in_one_line(
    codec: TinyCodec, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    save_codec(codec, tmp_path)
    damage(tmp_path)
    with pytest.raises(SaltError, match=str(tmp_path)) as caught:
        load_codec(tmp_path)
    assert "\n" not in str(caught.value)
