"""A scale of released networks in Wan's original layout: they are converted, and compute what Wan's own do."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from salt.cli.doctor import weights as look
from salt.config.load import load_scale
from salt.config.scale import Text
from salt.models import original
from salt.models.names import to_original
from salt.models.text import build_text_encoder, save_text_encoder
from salt.stages.shared.assets import load_assets
from support.backbones import MINI
from support.chain import Salt, refused
from support.original_nets import T5, VAE, Clip, scrambled

WORDS = ["a", "ball", "cat", "red", "snow"]
BACKBONE = MINI | {"in_channels": 36, "out_channels": 16, "image_dim": 32, "added_kv_proj_dim": 32}
TEXT = {"tokens": 8, "d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 32}
SCALE = {
    "meaningful": False,
    "assets": "Wan-AI/Wan-small-Diffusers",  # the hub's names: the original is Wan-AI/Wan-small
    "teacher": "linked",
    "world": {"frames": 5},
    "data": {"captions": "captions.jsonl", "clips": 4},
    "vae": {"height": 32, "width": 48},
    "text": TEXT,
    "first_frame": {"tokens": 10},
    "backbone": BACKBONE,
    "larger": {"assets": "Wan-AI/Wan-large-Diffusers", "backbone": BACKBONE | {"num_layers": 3}},
    "evaluation": {"prompts": 2, "vbench": {"suite": "i2v", "prompt_list_hash": None, "extended_list": None}},
    "defaults": {
        "grid": {"shift": 5.0},
        "train": {"iterations": 1, "batch_size": 2, "optimiser": {"lr": 1e-4}, "checkpoint_every": 1},
    },
}


def save_original(weights: dict[str, torch.Tensor], folder: Path, shards: int) -> None:
    """A transformer as Wan's repositories hold it."""
    folder.mkdir(parents=True)
    named = {to_original(name): value.contiguous() for name, value in weights.items()}
    stem = "diffusion_pytorch_model"
    files = [f"{stem}-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    files = files if shards > 1 else [f"{stem}.safetensors"]
    place = {name: files[i % shards] for i, name in enumerate(named)}
    for file in files:
        save_file({name: value for name, value in named.items() if place[name] == file}, folder / file)
    if shards > 1:
        (folder / f"{stem}.safetensors.index.json").write_text(json.dumps({"weight_map": place}))
    (folder / "config.json").write_text('{"_class_name": "WanModel"}')  # Wan's own, of another format


@pytest.fixture
def released(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.nn.Module]:
    """The networks, which lie below SALT_WEIGHTS as they are downloaded, and a scale `original` that names them."""
    (root / "experiments" / "scales" / "original.yaml").write_text(yaml.safe_dump(SCALE))
    monkeypatch.setenv("SALT_ROOT", str(root))
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path / "weights"))
    torch.manual_seed(0)
    networks = {
        "transformer": WanTransformer3DModel(**BACKBONE),
        "larger": WanTransformer3DModel(**BACKBONE | {"num_layers": 3}),
        "text_encoder": scrambled(T5(words=len(WORDS) + 3, dim=32, inner=32, heads=2, layers=2)).bfloat16(),
        "vae": scrambled(VAE(width=4)),
        "image_encoder": scrambled(Clip(dim=32, inner=48, patch=4, grid=3)),
    }
    folder = tmp_path / "weights" / "Wan-AI" / "Wan-small"
    save_original(networks["transformer"].state_dict(), folder, shards=1)
    save_original(networks["larger"].state_dict(), folder.with_name("Wan-large"), shards=2)
    for part in ("text_encoder", "vae", "image_encoder"):
        torch.save(networks[part].state_dict(), folder / getattr(original, part.upper()))
    save_text_encoder(*build_text_encoder(Text(**TEXT), WORDS, 0), tmp_path / "made")
    (folder / "google").mkdir()
    (tmp_path / "made" / "tokenizer").rename(folder / original.TOKENIZER)
    return networks


def words(tmp_path: Path) -> list[object]:
    return ["teacher", "--scale", "original", "--run-dir", tmp_path / "run", "--out", tmp_path / "out"]


@torch.no_grad()
def test_an_original_pipeline_becomes_assets(salt: Salt, released: dict[str, torch.nn.Module], tmp_path: Path) -> None:
    answer = salt(*words(tmp_path))
    assert answer.code == 0, answer.err
    out, folder = tmp_path / "out", tmp_path / "weights" / "Wan-AI" / "Wan-small"
    known = json.loads((out / "provenance.json").read_text())
    assert known["linked"] == {"tokenizer": str(folder / "google" / "umt5-xxl")}
    assert known["converted"] == {
        "transformer": str(folder),
        "text_encoder": str(folder / "models_t5_umt5-xxl-enc-bf16.pth"),
        "vae": str(folder / "Wan2.1_VAE.pth"),
        "larger": str(folder.with_name("Wan-large")),
        "image_encoder": str(folder / "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"),
        "image_processor": str(folder / "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"),
    }
    assert {name.split("/")[0] for name in known["files"]} == {*known["linked"], *known["converted"]}
    assert all((out / name).is_symlink() == name.startswith("tokenizer/") for name in known["files"])

    assets = load_assets(out, load_scale("original"))
    for network, expected in ((assets.teacher(), "transformer"), (assets.larger(), "larger")):
        weights = released[expected].state_dict()
        assert network.transformer.state_dict().keys() == weights.keys()
        assert all(torch.equal(value, weights[name]) for name, value in network.transformer.state_dict().items())
    stored = load_file(out / "text_encoder" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}, "no larger than it was"
    ids = assets.text_encoder.tokenizer("a red cat", return_tensors="pt").input_ids
    expected = released["text_encoder"].float()(ids, torch.ones_like(ids))
    embedded = assets.text_encoder.encode(["a red cat"])
    torch.testing.assert_close(embedded[:, : ids.shape[1]], expected, rtol=1e-5, atol=1e-5)
    video = torch.rand(1, 3, 5, 32, 48)
    mean, std = (torch.tensor(assets.codec.vae.config[f"latents_{name}"]).view(-1, 1, 1, 1) for name in ("mean", "std"))
    expected = (released["vae"].encode(2 * video - 1) - mean) / std
    torch.testing.assert_close(assets.codec.encode(video), expected, rtol=1e-5, atol=1e-5)
    assert assets.image_encoder is not None
    picture = torch.rand(1, 3, 20, 30)
    pixels = assets.image_encoder.processor(
        images=[(255 * picture[0]).round().byte()], return_tensors="pt"
    ).pixel_values
    assert pixels.shape == (1, 3, 12, 12), "the whole picture, as Wan's own code shows it"
    torch.testing.assert_close(
        assets.image_encoder.encode(picture), released["image_encoder"].visual(pixels), rtol=1e-5, atol=1e-5
    )


def test_a_part_may_be_in_diffusers_format(salt: Salt, released: dict[str, torch.nn.Module], tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "Wan-AI"
    released["transformer"].save_pretrained(folder / "Wan-small-Diffusers" / "transformer")
    (line, *_) = look("original")
    assert line[0] == "ok"
    assert "7 released networks" in line[2]
    assert "converts 5 from Wan's original layout" in line[2]
    answer = salt(*words(tmp_path))
    assert answer.code == 0, answer.err
    known = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert known["linked"]["transformer"] == str(folder / "Wan-small-Diffusers" / "transformer")
    assert set(known["converted"]) == {"text_encoder", "vae", "larger", "image_encoder", "image_processor"}


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (original.TEXT_ENCODER, "text_encoder: there is no config.json, nor models_t5_umt5-xxl-enc-bf16.pth in"),
        (original.IMAGE_ENCODER, "image_encoder: there is no config.json, nor models_clip_open-clip"),
        (original.VAE, "vae: there is no config.json, nor Wan2.1_VAE.pth in"),
        (f"{original.TOKENIZER}/tokenizer_config.json", "tokenizer: there is no tokenizer_config.json, nor google"),
        ("diffusion_pytorch_model.safetensors", "transformer: there is no config.json, nor diffusion_pytorch_model*"),
    ],
)
def test_a_missing_file_is_reported_with_its_place(
    salt: Salt, released: dict[str, torch.nn.Module], tmp_path: Path, file: str, message: str
) -> None:
    folder = tmp_path / "weights" / "Wan-AI"
    (folder / "Wan-small" / file).unlink()
    refused(
        salt, words(tmp_path), folder / "Wan-small-Diffusers", message, folder / "Wan-small;", "docs/paper_scale.md"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "vae", "image_encoder", "tokenizer"])
def test_a_configuration_alone_is_no_part(
    salt: Salt, released: dict[str, torch.nn.Module], tmp_path: Path, part: str
) -> None:
    """Of a download that was broken off; the original layout beside it is whole, and taken."""
    folder = tmp_path / "weights" / "Wan-AI" / "Wan-small-Diffusers" / part
    folder.mkdir(parents=True)
    (folder / ("tokenizer_config.json" if part == "tokenizer" else "config.json")).write_text("{}")
    answer = salt(*words(tmp_path))
    assert answer.code == 0, answer.err
    known = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert part in known["converted"] or known["linked"]["tokenizer"].endswith("google/umt5-xxl")
    (tmp_path / "weights" / "Wan-AI" / "Wan-small" / original.TEXT_ENCODER).unlink()
    lacking = r"*.safetensors" if part == "text_encoder" else "config.json"
    refused(salt, words(tmp_path), f"text_encoder: there is no {lacking}, nor")


def test_a_damaged_file_leaves_nothing_behind(salt: Salt, released: dict[str, torch.nn.Module], tmp_path: Path) -> None:
    file = tmp_path / "weights" / "Wan-AI" / "Wan-small" / original.VAE
    file.write_bytes(file.read_bytes()[:-500])
    refused(salt, words(tmp_path), f"{file}: whole weights are expected")
    weights = released["vae"].state_dict()
    torch.save(weights | {"conv2.bias": weights["conv2.bias"] / 0}, file)
    refused(salt, words(tmp_path), f"{file}: weights 'conv2.bias' hold NaN or infinity")
    assert {path.name for path in tmp_path.iterdir()} <= {"weights", "made", "run"}
