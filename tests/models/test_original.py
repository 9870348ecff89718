"""Wan's original layout: converted networks compute what its own do, and what is damaged or another's is refused."""

import os

import pytest
import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import load_file
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5EncoderModel

from salt.config.load import load_scale
from salt.config.scale import Text
from salt.errors import SaltError
from salt.models import original
from salt.models.original import to_clip_vision, to_umt5, to_vae
from salt.models.text import umt5_config
from support.original_nets import T5, VAE, Clip, scrambled

TEXT = Text(d_model=16, num_layers=2, num_heads=2, d_ff=24, tokens=8)
WRITE = {
    "umt5": lambda source, folder: original.write_text_encoder(source, TEXT, folder),
    "vae": original.write_vae,
    "clip": original.write_image_encoder,
}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def networks():
    """As Wan's own code builds them, small."""
    torch.manual_seed(0)
    built = {"umt5": T5(words=11, dim=16, inner=24, heads=2, layers=2), "vae": VAE(width=4)}
    return {name: scrambled(net) for name, net in (built | {"clip": Clip(dim=32, inner=48, patch=4, grid=3)}).items()}


def converted(network, kind, folder):
    """What a saved network becomes."""
    torch.save(network.state_dict(), folder / f"{kind}.pth")
    WRITE[kind](folder / f"{kind}.pth", folder / kind)
    classes = {"umt5": UMT5EncoderModel, "vae": AutoencoderKLWan, "clip": CLIPVisionModel}
    found, report = classes[kind].from_pretrained(folder / kind, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    return found.eval()


# -------------------------------------------------------------------------------------------- what they compute
@torch.no_grad()
def test_the_text_encoder_computes_the_same(networks, tmp_path):
    found = converted(networks["umt5"], "umt5", tmp_path)
    ids, mask = torch.randint(11, (2, 40)), torch.ones(2, 40, dtype=torch.long)  # distances beyond the exact buckets
    mask[1, 5:] = 0
    expected = networks["umt5"](ids, mask)
    assert (expected[0, :20] - networks["umt5"](ids[:, :20], mask[:, :20])[0]).abs().max() > 0.01, "far tokens count"
    torch.testing.assert_close(found(ids, attention_mask=mask).last_hidden_state, expected, **CLOSE)


@torch.no_grad()
def test_the_autoencoder_computes_the_same(networks, tmp_path):
    found = converted(networks["vae"], "vae", tmp_path)
    video = torch.rand(1, 3, 9, 16, 24) * 2 - 1
    latents = networks["vae"].encode(video)
    assert latents.shape == (1, 16, 3, 2, 3)
    torch.testing.assert_close(found.encode(video).latent_dist.mode(), latents, **CLOSE)
    noise = torch.randn(latents.shape)
    decoded = networks["vae"].decode(noise)
    assert decoded.shape == video.shape
    assert decoded.abs().median() < 0.9, "few values are clamped"
    torch.testing.assert_close(found.decode(noise).sample, decoded, **CLOSE)


@torch.no_grad()
def test_the_image_encoder_computes_the_same(networks, tmp_path):
    found = converted(networks["clip"], "clip", tmp_path)
    images = torch.randn(2, 3, 12, 12)
    states = found(images, output_hidden_states=True).hidden_states
    expected = networks["clip"].visual(images)
    assert len(states) == 33
    torch.testing.assert_close(states[-2], expected, **CLOSE)
    assert not torch.allclose(states[-1], expected, **CLOSE)


@pytest.mark.parametrize("kind", WRITE)
def test_dtypes_are_kept(networks, tmp_path, kind):
    weights = {name: value.bfloat16() for name, value in networks[kind].state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    WRITE[kind](tmp_path / "w.pth", tmp_path / "out")
    (file,) = (tmp_path / "out").glob("*.safetensors")
    assert {value.dtype for value in load_file(file).values()} == {torch.bfloat16}


# --------------------------------------------------------------------------------------------- the real sizes
def shapes(weights):
    return {name: tuple(value.shape) for name, value in weights.items()}


def real(kind):
    """Wan's own network and the one it becomes, without numbers, and how many parameters that has."""
    with torch.device("meta"):
        if kind == "umt5":  # umt5_xxl in wan/modules/t5.py
            wan = T5(words=256384, dim=4096, inner=10240, heads=64, layers=24)
            return wan, UMT5EncoderModel(umt5_config(load_scale("paper").text, 256384)), 5_680_910_336
        if kind == "vae":  # _video_vae in wan/modules/vae.py
            return VAE(width=96), AutoencoderKLWan(), 126_892_531
        wan = Clip(dim=1280, inner=5120, patch=14, grid=16)  # clip_xlm_roberta_vit_h_14 in wan/modules/clip.py
        sizes = dict(hidden_size=1280, intermediate_size=5120, patch_size=14, image_size=224)
        return wan, CLIPVisionModel(CLIPVisionConfig(**sizes, **original.VIT_H)), 630_766_080


@pytest.mark.parametrize(("kind", "translate"), [("umt5", to_umt5), ("vae", to_vae), ("clip", to_clip_vision)])
def test_the_real_ones_have_every_name_and_shape(kind, translate):
    wan, expected, parameters = real(kind)
    assert shapes(translate(wan.state_dict())) == shapes(expected.state_dict())
    assert sum(value.numel() for value in expected.parameters()) == parameters


@pytest.mark.parametrize(
    ("translate", "name", "expected"),
    [
        (to_umt5, "blocks.23.ffn.gate.0.weight", "encoder.block.23.layer.1.DenseReluDense.wi_0.weight"),
        (to_umt5, "norm.weight", "encoder.final_layer_norm.weight"),
        (to_vae, "decoder.upsamples.7.time_conv.bias", "decoder.up_blocks.1.upsamplers.0.time_conv.bias"),
        (to_clip_vision, "visual.transformer.31.mlp.2.bias", "encoder.layers.31.mlp.fc2.bias"),
        (to_clip_vision, "visual.pre_norm.weight", "pre_layrnorm.weight"),
        (to_clip_vision, "foreign.0.weight", "foreign.0.weight"),
    ],
)
def test_some_names_by_hand(translate, name, expected):
    assert list(translate({name: torch.ones(3)})) == [expected]


# ------------------------------------------------------------------------------------------------- mistakes
ONE = {  # of each: weights that do not say how large the network is
    "umt5": ("blocks.1.attn.q.weight", "encoder.block.1.layer.0.SelfAttention.q.weight"),
    "vae": ("encoder.head.2.bias", "encoder.conv_out.bias"),
    "clip": ("visual.transformer.3.mlp.2.bias", "encoder.layers.3.mlp.fc2.bias"),
}
SIZE = {"umt5": "token_embedding.weight", "vae": "encoder.conv1.weight", "clip": "visual.pos_embedding"}
CHANGES = {
    "missing": (lambda w, one: w.pop(one), r"missing weights '{own}' \(1 in all\)"),
    "unexpected": (lambda w, one: w.update({"blocks.7.extra": torch.ones(1)}), "unexpected weights 'blocks.7.extra'"),
    "misshapen": (lambda w, one: w.update({one: torch.ones(7)}), r"weights '({one}|{own})' are \(7,\), but .* has"),
    "not finite": (lambda w, one: w[one].fill_(float("inf")), "weights '({one}|{own})' hold NaN or infinity"),
    "quantised": (lambda w, one: w.update({one: w[one].to(torch.float8_e4m3fn)}), "'{one}' is torch.float8.*quantised"),
}


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("change", CHANGES)
def test_exactly_the_networks_weights_are_taken(networks, tmp_path, kind, change):
    weights = {name: value.clone() for name, value in networks[kind].state_dict().items()}
    damage, message = CHANGES[change]
    one, own = ONE[kind]
    damage(weights, one)
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(SaltError, match=message.format(one=one, own=own)) as caught:
        WRITE[kind](tmp_path / "w.pth", tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / 'w.pth'}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", WRITE)
def test_a_network_of_unknown_size_is_refused(networks, tmp_path, kind):
    weights = dict(networks[kind].state_dict())
    weights[SIZE[kind]] = weights[SIZE[kind]].flatten()
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(SaltError, match=rf"w\.pth: weights '{SIZE[kind]}' are \(\d+,\); \d dimensions are expected"):
        WRITE[kind](tmp_path / "w.pth", tmp_path / "out")
    del weights[SIZE[kind]]
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(SaltError, match=rf"w\.pth: missing weights '{SIZE[kind]}'"):
        WRITE[kind](tmp_path / "w.pth", tmp_path / "out")


def test_an_image_encoder_of_another_width_than_the_heads_is_refused(networks, tmp_path):
    weights = dict(networks["clip"].state_dict())
    weights["visual.patch_embedding.weight"] = weights["visual.patch_embedding.weight"][:30]
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(SaltError, match=r"w\.pth: width 30; a multiple of ViT-H's 16 heads is expected"):
        original.write_image_encoder(tmp_path / "w.pth", tmp_path / "out")


def test_a_text_encoder_of_another_depth_than_the_scales_is_refused(networks, tmp_path):
    torch.save(networks["umt5"].state_dict(), tmp_path / "w.pth")
    with pytest.raises(SaltError, match=r"unexpected weights 'blocks\.1\.attn\.k\.weight'.*the scale's text encoder"):
        original.write_text_encoder(tmp_path / "w.pth", TEXT.model_copy(update={"num_layers": 1}), tmp_path / "out")


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_hostile_pickle_is_refused_and_not_run(networks, tmp_path, kind, zipped):
    hostile = networks[kind].state_dict() | {"config": Hostile(tmp_path / "run")}
    torch.save(hostile, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(SaltError, match=r"w\.pth: refused: it holds more than tensors"):
        WRITE[kind](tmp_path / "w.pth", tmp_path / "out")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", WRITE)
def test_a_truncated_file_is_refused(networks, tmp_path, kind):
    torch.save(networks[kind].state_dict(), tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:-500])
    with pytest.raises(SaltError, match=r"w\.pth: whole weights are expected"):
        WRITE[kind](tmp_path / "w.pth", tmp_path / "out")
