"""Wan's original layout: networks saved by its own code, converted here to diffusers' and transformers' own formats.

The layout is that of Wan-AI/Wan2.1-T2V-1.3B: the transformer in safetensors, the others as state dicts of `torch.save`.
Names and shapes are those of Wan-Video/Wan2.1, `wan/modules/{t5,vae,clip}.py`; those of the transformer are in
`salt.models.names`.
Weights keep their dtypes. diffusers and transformers take seconds to import, so each function imports them itself.
"""

import re
from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from salt.config.backbone import Backbone
from salt.config.scale import Text
from salt.errors import SaltError
from salt.models.released import fill, released_weights
from salt.models.text import silent_transformers, umt5_config
from salt.models.wan import save_wan, silent_diffusers, wan_of

TRANSFORMER = "diffusion_pytorch_model*.safetensors"
TEXT_ENCODER = "models_t5_umt5-xxl-enc-bf16.pth"
TOKENIZER = "google/umt5-xxl"
VAE = "Wan2.1_VAE.pth"
IMAGE_ENCODER = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"

VIT_H = {"num_hidden_layers": 32, "num_attention_heads": 16}
SHARD = "5GB"
"""Largest shard that is written: each is held in memory twice."""

Value = TypeVar("Value")

# Names of modules; # stands for the first number in a name.
_UMT5 = {
    "token_embedding": "shared",
    "blocks.#.norm1": "encoder.block.#.layer.0.layer_norm",
    **{f"blocks.#.attn.{part}": f"encoder.block.#.layer.0.SelfAttention.{part}" for part in "qkvo"},
    "blocks.#.pos_embedding.embedding": "encoder.block.#.layer.0.SelfAttention.relative_attention_bias",
    "blocks.#.norm2": "encoder.block.#.layer.1.layer_norm",
    "blocks.#.ffn.gate.0": "encoder.block.#.layer.1.DenseReluDense.wi_0",  # GELU comes after it
    "blocks.#.ffn.fc1": "encoder.block.#.layer.1.DenseReluDense.wi_1",
    "blocks.#.ffn.fc2": "encoder.block.#.layer.1.DenseReluDense.wo",
    "norm": "encoder.final_layer_norm",
}
_CLIP = {
    "visual.patch_embedding": "embeddings.patch_embedding",
    "visual.pre_norm": "pre_layrnorm",
    "visual.transformer.#.norm1": "encoder.layers.#.layer_norm1",
    "visual.transformer.#.attn.to_qkv": "encoder.layers.#.self_attn.qkv_proj",  # split below
    "visual.transformer.#.attn.proj": "encoder.layers.#.self_attn.out_proj",
    "visual.transformer.#.norm2": "encoder.layers.#.layer_norm2",
    "visual.transformer.#.mlp.0": "encoder.layers.#.mlp.fc1",
    "visual.transformer.#.mlp.2": "encoder.layers.#.mlp.fc2",
    "visual.post_norm": "post_layernorm",
}
_NOT_VISION = re.compile(r"textual\..*|log_scale|visual\.head")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


# ------------------------------------------------------------------------------------------------ names
def to_umt5(weights: Mapping[str, Value]) -> dict[str, Value]:
    """Weights of Wan's `T5Encoder` (`wan/modules/t5.py`), under the names of transformers' `UMT5EncoderModel`.

    Other names stay as they are.
    """
    found = {_renamed(name, _UMT5): value for name, value in weights.items()}
    if "shared.weight" in found:
        found["encoder.embed_tokens.weight"] = found["shared.weight"]  # one table, two names
    return found


def to_vae(weights: Mapping[str, Value]) -> dict[str, Value]:
    """Weights of Wan's `WanVAE_` (`wan/modules/vae.py`), under the names of `AutoencoderKLWan`.

    diffusers' own converter renames them; other names stay as they are.
    """
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    found: dict[str, Value] = convert_wan_vae_to_diffusers(weights)
    return found


def to_clip_vision(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of Wan's `XLMRobertaCLIP` (`wan/modules/clip.py`), under the names of transformers' `CLIPVisionModel`.

    Only the vision tower is kept: Wan conditions on the input of its last block (`use_31_block`), `hidden_states[-2]`
    here. The text tower, the scale and the head are left out; other names stay as they are.
    """
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        own = _renamed(name, _CLIP)
        if name == "visual.cls_embedding":
            found["embeddings.class_embedding"] = value.flatten()
        elif name == "visual.pos_embedding":
            found["embeddings.position_embedding.weight"] = value.squeeze(0)
        elif ".qkv_proj." in own and value.dim():
            for part, third in zip("qkv", value.tensor_split(3), strict=True):
                found[own.replace(".qkv_proj.", f".{part}_proj.")] = third.clone()
        elif not _NOT_VISION.fullmatch(name):
            found[own] = value
    return found


def _renamed(name: str, table: Mapping[str, str]) -> str:
    module, _, kind = name.rpartition(".")
    found, number = table.get(_NUMBER.sub("#", module, count=1)), _NUMBER.search(module)
    return name if found is None else f"{found.replace('#', number[0] if number else '#')}.{kind}"


# ----------------------------------------------------------------------------------------------- networks
def write_transformer(source: Path, backbone: Backbone, folder: Path) -> None:
    """The transformer of a folder in the original layout, in diffusers' format.

    Raises:
        SaltError: here and below: the source is missing, damaged or holds more than tensors, or weights are missing,
            unexpected, of another shape, quantised or not finite.
    """
    save_wan(wan_of(released_weights(source)[0], backbone, source), folder)


def write_text_encoder(source: Path, text: Text, folder: Path) -> None:
    """UMT5 of a scale's shape, in transformers' format; the vocabulary is as large as the file's."""
    from transformers import UMT5EncoderModel

    weights, _ = released_weights(source)
    words, _ = _shape(weights, "token_embedding.weight", 2, source)
    with torch.device("meta"):
        network = UMT5EncoderModel(umt5_config(text, words))
    called = to_umt5({name: name for name in weights})
    fill(network, to_umt5(weights), source, "the scale's text encoder", called)
    with silent_transformers():
        network.save_pretrained(folder, max_shard_size=SHARD)


def write_vae(source: Path, folder: Path) -> None:
    """Wan 2.1's autoencoder, in diffusers' format; its width is the file's, its other sizes are diffusers' defaults."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    weights, _ = released_weights(source)
    width = _shape(weights, "encoder.conv1.weight", 5, source)[0]
    with torch.device("meta"):
        network: Any = AutoencoderKLWan(base_dim=width)
    called = to_vae({name: name for name in weights})
    fill(network, to_vae(weights), source, f"AutoencoderKLWan of width {width}", called)
    with silent_diffusers():
        network.save_pretrained(folder)


def write_image_encoder(source: Path, folder: Path) -> None:
    """The vision tower of CLIP, in transformers' format: as deep as ViT-H, as wide as the file says."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    weights, _ = released_weights(source)
    width, _, _, patch = _shape(weights, "visual.patch_embedding.weight", 4, source)
    if width % VIT_H["num_attention_heads"]:
        raise SaltError(
            f"{source}: width {width}; a multiple of ViT-H's {VIT_H['num_attention_heads']} heads is expected"
        )
    positions = _shape(weights, "visual.pos_embedding", 3, source)[1]
    config = CLIPVisionConfig(
        **VIT_H,
        hidden_size=width,
        intermediate_size=_shape(weights, "visual.transformer.0.mlp.0.weight", 2, source)[0],
        patch_size=patch,
        image_size=isqrt(positions - 1) * patch,  # one position is the class's
        hidden_act="gelu",
    )
    with torch.device("meta"):
        network: Any = CLIPVisionModel(config)
    fill(network, to_clip_vision(weights), source, "the vision tower of ViT-H")
    with silent_transformers():
        network.save_pretrained(folder, max_shard_size=SHARD)


def write_image_processor(source: Path, folder: Path) -> None:
    """CLIP's preprocessing as in Wan's own code: the whole picture, resized to the square that the tower takes."""
    from transformers import CLIPImageProcessor

    weights, _ = released_weights(source)
    patch = _shape(weights, "visual.patch_embedding.weight", 4, source)[3]
    side = isqrt(_shape(weights, "visual.pos_embedding", 3, source)[1] - 1) * patch
    with silent_transformers():  # it warns where torchvision is absent, and takes Pillow
        CLIPImageProcessor(size={"height": side, "width": side}, do_center_crop=False).save_pretrained(folder)


def _shape(weights: Mapping[str, Tensor], name: str, dimensions: int, source: Path) -> tuple[int, ...]:
    """The shape of weights that determine the size of the network."""
    if name not in weights:
        raise SaltError(f"{source}: missing weights {name!r}; a network of Wan's original layout is expected")
    shape = tuple(weights[name].shape)
    if len(shape) != dimensions:
        raise SaltError(f"{source}: weights {name!r} are {shape}; {dimensions} dimensions are expected")
    return shape
