"""Small causal networks, what they are fed, and how close two ways to the same result must be."""

import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.models.causal import CausalWan
from salt.models.memory import KVMemory
from salt.models.wan import build_wan
from support.backbones import backbone

SIDE = 4
TEXT = 4
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
ALL = Memory()
PLAIN = backbone(patch_size=(1, 2, 2), rope_max_seq_len=64)


def causal(
    chunk: int, memory: Memory = ALL, patch: tuple[int, int, int] = (1, 2, 2), rope: int = 64, seed: int = 0
) -> CausalWan:
    """A network in float64 (Wan's normalisation stays in float32) whose blocks do much."""
    transformer = build_wan(backbone(patch_size=patch, rope_max_seq_len=rope), seed).transformer
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.mul_(2)
    return CausalWan(transformer.double(), chunk, memory)


def clip(frames: int, batch: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 2, frames, SIDE, SIDE, generator=generator, dtype=torch.float64)


def prompt(batch: int = 1, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, TEXT, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def times(value: float, batch: int = 1) -> Tensor:
    return torch.full((batch,), value, dtype=torch.float64)


def fill(model: CausalWan, memory: KVMemory, x_0: Tensor, text: Tensor) -> KVMemory:
    for chunk in x_0.split(model.chunk, dim=2):
        model.remember(memory, chunk, text)
    return memory


def opened(model: CausalWan, policy: Memory, frames: int, batch: int = 1) -> KVMemory:
    return model.open_memory(policy, batch, SIDE, SIDE, frames)
