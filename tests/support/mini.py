"""A small scale of released networks in diffusers' format: its file, its networks, a video. What tests of it share."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from salt.config.scale import Text
from salt.evaluation.video import write_mp4
from salt.models.text import build_text_encoder, save_text_encoder
from support.backbones import MINI

CAPTIONS = ["a red ball", "a cat on a roof", "rain", "two dogs", "a red kite", "snow"]
SCALE = {
    "meaningful": False,
    "assets": "Wan-mini",
    "teacher": "linked",
    "training_seeds": 1,
    "world": {"frames": 9},
    "data": {"captions": "data/captions.jsonl", "clips": 4},
    "vae": {"height": 32, "width": 48, "channels": 4},
    "text": {"tokens": 8, "d_model": 32, "precision": "bfloat16", "negative": "snow"},
    "backbone": MINI,
    "larger": {"assets": "Wan-large", "backbone": MINI | {"num_layers": 3}},
    "evaluation": {
        "prompts": 2,
        "batch_size": 2,
        "nfe": [2],
        "short_nfe": [2],
        "teacher_nfe": 4,
        "defect_samples": 2,
        "precision": "bfloat16",
        "vbench": {"prompt_list_hash": None, "extended_list": None},
    },
    "defaults": {
        "grid": {"shift": 5.0},
        "objectives": {"dmd": {"cfg_weight": 3.0}},
        "train": {
            "iterations": 1,
            "batch_size": 2,
            "optimiser": {"lr": 1e-4},
            "critic": {"ratio": 1, "optimiser": {"lr": 1e-4}},
            "checkpoint_every": 1,
        },
    },
}


def make_pipeline(folder: Path, backbone: dict[str, Any]) -> None:
    """Transformer, autoencoder, text encoder and tokenizer, as `SCALE` says."""
    torch.manual_seed(0)
    WanTransformer3DModel(**backbone).save_pretrained(folder / "transformer", max_shard_size="40KB")
    AutoencoderKLWan(
        base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.1] * 4, latents_std=[2.0] * 4
    ).save_pretrained(folder / "vae")
    words = sorted({word for caption in CAPTIONS for word in caption.split()})
    model, tokenizer = build_text_encoder(Text(d_model=32, num_heads=2, d_ff=32, tokens=8), words, 0)
    save_text_encoder(model, tokenizer, folder)


def make_video(path: Path) -> None:
    """12 grey frames, each lighter than the one before."""
    grey = np.arange(12, dtype=np.uint8)[:, None, None, None] * 20
    write_mp4(path, np.broadcast_to(grey, (12, 64, 64, 3)).copy(), 16)
