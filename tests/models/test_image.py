"""First frames: how networks are conditioned on them, against diffusers' own image-to-video pipeline."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from salt.config.load import load_scale
from salt.errors import SaltError
from salt.models.image import load_image_encoder
from salt.models.protocol import FirstFrame
from salt.models.vae import WanVAE
from salt.models.wan import WanVelocity, build_wan, empty_wan, with_first_frame_channels
from support.backbones import MINI, backbone

HEIGHT, WIDTH, FRAMES = 32, 48, 9
BACKBONE = backbone(MINI, in_channels=12, image_dim=24, added_kv_proj_dim=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP vision tower and its processor."""
    path = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=7
    )
    CLIPVisionModel(config).save_pretrained(path / "image_encoder")
    CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=28).save_pretrained(path / "image_processor")
    return path


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> WanImageToVideoPipeline:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.5, -0.5, 0.0, 1.0], latents_std=[2.0, 1.0, 0.5, 1.0]
    )
    return WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        image_processor=CLIPImageProcessor.from_pretrained(folder / "image_processor"),
        image_encoder=CLIPVisionModel.from_pretrained(folder / "image_encoder"),
        transformer=WanTransformer3DModel(**BACKBONE.model_dump()),
    )


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def as_frames(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def test_the_condition_is_that_of_diffusers(pipeline: WanImageToVideoPipeline, picture: Image.Image) -> None:
    """Mask and latents of the frame followed by grey: what the pipeline puts beside the noise."""
    frames = as_frames(picture)
    grey = torch.full((1, 3, FRAMES - 1, HEIGHT, WIDTH), 0.5)
    codec = WanVAE(pipeline.vae)
    with torch.no_grad():
        ours = FirstFrame(codec.encode(torch.cat([frames[:, :, None], grey], dim=2))).channels()
        _, theirs = pipeline.prepare_latents(
            2 * frames - 1, 1, 4, HEIGHT, WIDTH, FRAMES, torch.float32, torch.device("cpu")
        )
    assert ours.shape == (1, 8, 3, 4, 6)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_features_are_those_of_diffusers(pipeline: WanImageToVideoPipeline, picture: Image.Image, folder: Path) -> None:
    encoder = load_image_encoder(folder)
    ours = encoder.encode(as_frames(picture))
    assert ours.shape == (1, *encoder.shape) == (1, 17, 24)
    torch.testing.assert_close(ours, pipeline.encode_image(picture, torch.device("cpu")), rtol=0, atol=1e-5)
    assert not torch.allclose(ours, encoder.encode(1 - as_frames(picture)))


def test_the_network_is_conditioned_on_both(
    pipeline: WanImageToVideoPipeline, picture: Image.Image, folder: Path
) -> None:
    x_t, t, text = torch.randn(1, 4, 3, 4, 6), torch.tensor([0.7]), torch.randn(1, 5, 32)
    image = FirstFrame(torch.randn(1, 4, 3, 4, 6), load_image_encoder(folder).encode(as_frames(picture)))
    network = WanVelocity(pipeline.transformer)
    with torch.no_grad():
        ours = network(x_t, t, text, image=image)
        theirs = pipeline.transformer(
            hidden_states=torch.cat([x_t, image.channels()], dim=1),
            timestep=700 * torch.ones(1),
            encoder_hidden_states=text,
            encoder_hidden_states_image=image.features,
            return_dict=False,
        )[0]
        other = network(x_t, t, text, image=FirstFrame(image.latents, 2 * image.features))
    torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(ours, other)


def test_a_text_to_video_network_starts_unchanged_and_can_learn_to_use_the_frame() -> None:
    plain = BACKBONE.model_copy(update={"in_channels": 4, "image_dim": None, "added_kv_proj_dim": None})
    wide = plain.model_copy(update={"in_channels": 12})
    before = build_wan(plain, 0)
    after = with_first_frame_channels(before, wide)
    x_t, t, text = torch.randn(2, 4, 3, 4, 6), torch.tensor([0.2, 0.9]), torch.randn(2, 5, 32)
    image = FirstFrame(torch.randn(2, 4, 3, 4, 6))
    torch.testing.assert_close(after(x_t, t, text, image=image), before(x_t, t, text))
    after(x_t, t, text, image=image).square().mean().backward()
    gradient = after.transformer.patch_embedding.weight.grad
    assert gradient[:, 4:].abs().sum() > 0, "so it can learn to"


def test_the_published_one_has_its_size() -> None:
    """Wan 2.1 I2V 14B and CLIP ViT-H/14: 257 tokens of 1,280."""
    scale = load_scale("paper_i2v")
    weights = empty_wan(scale.backbone).state_dict()
    assert sum(value.numel() for value in weights.values()) == 16_394_878_784
    assert weights["transformer.patch_embedding.weight"].shape == (5120, 36, 1, 2, 2)
    with torch.device("meta"):
        tower = CLIPVisionModel(
            CLIPVisionConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=16,
                image_size=224,
                patch_size=14,
            )
        )
    assert sum(value.numel() for value in tower.parameters()) == 630_766_080
    assert scale.first_frame.tokens == (224 // 14) ** 2 + 1


def process(folder: Path, **values: object) -> None:
    path = folder / "image_processor" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda at: (at / "image_encoder").rename(at / "other"), "there is no image_encoder/"),
        (lambda at: (at / "image_processor").rename(at / "other"), "there is no image_processor/"),
        (lambda at: (at / "image_encoder" / "model.safetensors").write_bytes(b"half"), "are expected"),
        (lambda at: change(at, lambda config: config.update(num_hidden_layers=4)), "missing weights"),
        (lambda at: change(at, lambda config: config.update(num_hidden_layers=2)), "unexpected weights"),
        (lambda at: change(at, lambda config: config.update(num_hidden_layers=10**9)), "num_hidden_layers=1000000000"),
        (lambda at: process(at, crop_size=14, size={"shortest_edge": 14}), r"\(1, 3, 14, 14\); \(1, 3, 28, 28\)"),
        (lambda at: process(at, size={"shortest_edge": 2**40}), "sides of 1 to 4096 pixels are expected"),
        (lambda at: process(at, image_mean=[]), "cannot compute a known input"),
    ],
)
def test_a_broken_image_encoder_is_reported(folder: Path, tmp_path: Path, damage, message: str) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "clip")
    damage(tmp_path / "clip")
    with pytest.raises(SaltError, match=message):
        load_image_encoder(tmp_path / "clip")


def change(folder: Path, how) -> None:
    path = folder / "image_encoder" / "config.json"
    config = json.loads(path.read_text())
    how(config)
    path.write_text(json.dumps(config))
