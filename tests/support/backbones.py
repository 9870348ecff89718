"""The small Wan networks of the tests: `build_wan(backbone(num_layers=1), seed)`, or `SMALL` in a scale's file."""

from typing import Any

from salt.config.backbone import Backbone

SMALL: dict[str, Any] = {
    "num_layers": 2,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "ffn_dim": 24,
    "patch_size": (1, 1, 1),
    "in_channels": 2,
    "out_channels": 2,
    "text_dim": 4,
    "freq_dim": 16,
    "rope_max_seq_len": 16,
}
MINI: dict[str, Any] = {
    "num_layers": 2,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "ffn_dim": 32,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 32,
    "freq_dim": 16,
    "rope_max_seq_len": 64,
}
"""Of the latents of a small autoencoder of diffusers, 4 channels, in patches of 2 x 2."""


def backbone(values: dict[str, Any] = SMALL, **changes: Any) -> Backbone:
    return Backbone(**values | changes)
