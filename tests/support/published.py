"""Inputs, and what other repositories' published code made of them (`tests/parity/README.md`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from salt.models.causal import CausalWan

FOLDER = Path(__file__).parents[1] / "parity"
VALUES, GRADIENTS = 1e-4, 5e-5
"""How far networks may be apart; gradients by `apart`. Times are embedded in float32 here, in float64 there."""
CHUNK = 3
WAN = {
    "num_layers": 2,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "ffn_dim": 32,
    "patch_size": (1, 2, 2),
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 8,
    "freq_dim": 16,
    "rope_max_seq_len": 1024,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
}
"""The transformer of every file that has weights."""


def published(name: str) -> dict[str, Any]:
    """The entries of a file: tensors in float64, numbers, and by a weight's name the weights and their gradients."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as stored:
        raw = {key: stored[key] for key in stored.files}
    names, shapes = raw.pop("names", None), raw.pop("shapes", None)
    entries: dict[str, Any] = {}
    for key, value in raw.items():
        if names is not None and (key == "weights" or key.startswith("grad")):
            entries[key] = _by_weight(torch.from_numpy(value).double(), names, shapes)
        elif value.ndim == 0:
            entries[key] = value.item()
        else:
            tensor = torch.from_numpy(value)
            entries[key] = tensor.double() if tensor.is_floating_point() else tensor
    return entries


def _by_weight(flat: Tensor, names: np.ndarray, shapes: np.ndarray) -> dict[str, Tensor]:
    sizes = [[int(side) for side in shape if side] for shape in shapes]
    parts = flat.split([int(np.prod(size, dtype=int)) for size in sizes])
    return {str(name): part.view(size) for name, part, size in zip(names, parts, sizes, strict=True)}


def causal_wan(weights: Mapping[str, Tensor]) -> CausalWan:
    """Our causal network with these weights, in float64."""
    transformer = WanTransformer3DModel(**WAN).double()
    transformer.load_state_dict(dict(weights))
    return CausalWan(transformer, CHUNK).eval()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    """Of the transformer, by the weight's name."""
    found = {}
    for name, weight in network.transformer.named_parameters():
        found[name] = torch.zeros_like(weight) if weight.grad is None else weight.grad
    return found


def apart(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """|a - b| / |b| over all weights together."""
    assert ours.keys() == theirs.keys()
    difference = sum(float((ours[name] - theirs[name]).square().sum()) for name in theirs)
    return (difference / sum(float(value.square().sum()) for value in theirs.values())) ** 0.5
