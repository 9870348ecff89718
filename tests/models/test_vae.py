"""Wan's autoencoder: at its real size without numbers, and small against diffusers' own decoding."""

import json

import pytest
import torch
from diffusers import AutoencoderKLWan

from salt.errors import SaltError
from salt.models.vae import WanVAE, load_vae


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vae")
    small = dict(
        base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.5, -0.5, 0.0, 1.0], latents_std=[2.0, 1.0, 0.5, 1.0]
    )
    AutoencoderKLWan(**small).save_pretrained(path)
    return path


def test_encode_and_decode_are_diffusers_in_other_units(folder):
    ours, theirs = load_vae(folder), AutoencoderKLWan.from_pretrained(folder)
    video = torch.rand(2, 3, 9, 16, 24)
    latents = ours.encode(video)
    assert latents.shape == (2, 4, 3, 2, 3)
    expected = theirs.encode(2 * video - 1).latent_dist.mode()
    mean, std = torch.tensor([0.5, -0.5, 0.0, 1.0]), torch.tensor([2.0, 1.0, 0.5, 1.0])
    torch.testing.assert_close(latents * std.view(-1, 1, 1, 1) + mean.view(-1, 1, 1, 1), expected)
    decoded = theirs.decode(expected).sample / 2 + 0.5
    assert decoded.shape == video.shape
    torch.testing.assert_close(ours.decode(latents), decoded, rtol=0, atol=1e-5)


@pytest.mark.parametrize("parts", [(1, 1, 1, 1, 1), (2, 3), (3, 1, 1)])
def test_a_stream_decodes_what_decode_does(folder, parts):
    ours = load_vae(folder)
    latents = torch.randn(1, 4, 5, 2, 3)
    stream, other = ours.stream(), ours.stream()
    decoded = []
    for part in latents.split(parts, dim=2):
        decoded.append(stream(part))
        other(torch.randn_like(part))  # streams do not meet
    assert decoded[0].shape[2] == 4 * parts[0] - 3
    assert decoded[1].shape[2] == 4 * parts[1]
    torch.testing.assert_close(torch.cat(decoded, dim=2), ours.decode(latents), rtol=0, atol=1e-5)


def test_it_computes_in_bfloat16_and_answers_in_float32(folder):
    low, high = load_vae(folder, torch.bfloat16), load_vae(folder)
    latents = low.encode(torch.rand(1, 3, 5, 16, 16))
    assert latents.dtype is low.decode(latents).dtype is torch.float32
    torch.testing.assert_close(low.decode(latents), high.decode(latents), rtol=0, atol=0.05)


def test_the_real_one_has_the_published_size():
    """Wan2.1_VAE: 126,892,531 parameters, 8 x 8 x 4, 16 channels."""
    with torch.device("meta"):
        vae = AutoencoderKLWan()
        assert sum(parameter.numel() for parameter in vae.parameters()) == 126_892_531
        assert vae.encode(torch.empty(1, 3, 9, 480, 832)).latent_dist.mode().shape == (1, 16, 3, 60, 104)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "_class_name='AutoencoderKL', but AutoencoderKLWan is expected"),
        ({"patch_size": 2}, "patch_size=2; null is expected"),
        ({"latents_mean": None}, "latents_mean=None; z_dim=4 numbers are expected"),
        ({"latents_mean": [0.0] * 3}, "z_dim=4 numbers are expected"),
        ({"latents_std": [1.0, 1.0, 0.0, 1.0]}, "z_dim=4 positive numbers are expected"),
        ({"latents_std": [1.0, 1.0, float("nan"), 1.0]}, "z_dim=4 positive numbers are expected"),
        ({"z_dim": 8}, "z_dim=8 numbers are expected"),
        ({"base_dim": 2**20}, "numbers, but .* are stored"),
    ],
)
def test_another_autoencoder_is_refused(folder, tmp_path, change, message):
    config = json.loads((folder / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = "diffusion_pytorch_model.safetensors"
    (tmp_path / weights).write_bytes((folder / weights).read_bytes())
    with pytest.raises(SaltError, match=message):
        load_vae(tmp_path)


def test_a_module_moves_its_constants(folder):
    assert {name for name, _ in WanVAE(AutoencoderKLWan.from_pretrained(folder)).named_buffers()} >= {"mean", "std"}
