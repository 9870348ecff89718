"""Heads that make logits of the features of a network: how a discriminator looks at noised samples.

Symbols: features of each block `(B, T, S, D)`, S = h w tokens in each latent frame; logits `(B, n)`, high for data.
A head has one part for each block, in `blocks`, so that it is split over processes like a transformer.
"""

from collections.abc import Sequence
from math import gcd, isqrt
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from salt.config.adversarial import Head
from salt.models.ensemble import MemberLinear
from salt.models.protocol import Ensemble, FeatureModel

GROUPS = 32
"""Of GroupNorm, in published heads; the largest common divisor with the width."""
SLOPE = 0.2
"""Of LeakyReLU below 0."""


class Attention(nn.Module):
    """A learned query attends to the tokens of a block: `(B, T, S, D)` -> `(B, D)`."""

    def __init__(self, features: int, heads: int, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(1, 1, features))
        self.before, self.after = nn.LayerNorm(features), nn.LayerNorm(features)
        self.attention = nn.MultiheadAttention(features, heads, batch_first=True)
        self.feed_forward = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, features))

    def forward(self, tokens: Tensor, height: int) -> Tensor:
        """Where tokens lie does not matter."""
        seen = self.before(tokens.flatten(1, 2))
        query = self.query.expand(len(seen), -1, -1)
        register = query + self.attention(query, seen, seen, need_weights=False)[0]
        return (register + self.feed_forward(self.after(register)))[:, 0]


class Convolution(nn.Module):
    """Convolutions over the tokens of a block at several scales: `(B, T, S, D)` -> `(B, scales * width)`."""

    def __init__(self, features: int, width: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AvgPool3d((1, scale, scale), ceil_mode=True) for scale in scales)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv3d(features, width, 1),
                nn.GroupNorm(gcd(GROUPS, width), width),
                nn.LeakyReLU(SLOPE),
                nn.Conv3d(width, width, 3, padding=1),
                nn.GroupNorm(gcd(GROUPS, width), width),
                nn.LeakyReLU(SLOPE),
            )
            for _ in scales
        )

    def forward(self, tokens: Tensor, height: int) -> Tensor:
        """`height`: h of the tokens' places."""
        clip = tokens.unflatten(2, (height, -1)).movedim(-1, 1)
        seen = [layers(pool(clip)) for pool, layers in zip(self.pools, self.layers, strict=True)]
        return torch.cat([each.mean((2, 3, 4)) for each in seen], dim=1)


class Tokens(nn.Module):
    """A logit of every token of a block: `(B, T, S, D)` -> `(B, T S)`."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first, self.second = self._layer(features), self._layer(features)
        self.out = nn.Conv1d(features, 1, 1)

    @staticmethod
    def _layer(features: int) -> nn.Module:
        norm = nn.GroupNorm(gcd(GROUPS, features), features)
        return nn.Sequential(nn.Conv1d(features, features, 1), norm, nn.LeakyReLU(SLOPE))

    def forward(self, tokens: Tensor, height: int) -> Tensor:
        """Where tokens lie does not matter."""
        first = self.first(tokens.flatten(1, 2).transpose(1, 2))
        return self.out(first + self.second(first))[:, 0]


class Mean(nn.Module):
    """The mean token of a block: `(B, T, S, D)` -> `(B, D)`."""

    def forward(self, tokens: Tensor, height: int) -> Tensor:
        """Where tokens lie does not matter."""
        return tokens.mean((1, 2))


class Discriminator(nn.Module):
    """From the features of blocks to logits."""

    def __init__(self, blocks: Sequence[nn.Module], joined: nn.Module) -> None:
        super().__init__()
        self.blocks, self.joined = nn.ModuleList(blocks), joined

    def forward(self, features: Sequence[Tensor], height: int) -> Tensor:
        """`(B, T, S, D)` of each block, their tokens on `height` rows -> `(B, n)`."""
        seen = [block(tokens, height) for block, tokens in zip(self.blocks, features, strict=True)]
        return self.joined(torch.cat(seen, dim=1))


class MemberDiscriminator(nn.Module):
    """The perceptrons of an ensemble's members, on all features of a sample."""

    def __init__(self, members: int, features: int, width: int) -> None:
        super().__init__()
        self.members = members
        self.hidden, self.out = MemberLinear(members, features, width), MemberLinear(members, width, 1)

    def forward(self, features: Sequence[Tensor], height: int) -> Tensor:
        """`(E * B, T, S, D)` -> `(E * B, 1)`."""
        joined = torch.cat([each.flatten(1) for each in features], dim=1).unflatten(0, (self.members, -1))
        return self.out(silu(self.hidden(joined))).flatten(0, 1)


def build_discriminator(config: Head, network: FeatureModel, blocks: int, seeds: Sequence[int]) -> nn.Module:
    """A head with random weights; they depend on the seeds alone, and torch's random state is untouched.

    Args:
        config: which one.
        network: what it looks through.
        blocks: how many of its blocks.
        seeds: one; of an ensemble, each member's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds[0])
        if isinstance(network, Ensemble):
            return _of_members(config, network, blocks, seeds)
        features = network.width
        match config.kind:
            case "attention":
                return Discriminator(
                    [Attention(features, network.heads, config.width) for _ in range(blocks)],
                    nn.Sequential(nn.LayerNorm(blocks * features), *_perceptron(blocks * features, config.width)),
                )
            case "convolution":
                parts = [Convolution(features, config.width, config.scales) for _ in range(blocks)]
                return Discriminator(
                    parts, nn.Sequential(*_perceptron(blocks * len(config.scales) * config.width, config.width))
                )
            case "tokens":
                return Discriminator([Tokens(features) for _ in range(blocks)], nn.Identity())
            case "perceptron":
                return Discriminator(
                    [Mean() for _ in range(blocks)], nn.Sequential(*_perceptron(blocks * features, config.width))
                )
            case _:
                assert_never(config.kind)


def rows(tokens: int, height: int, width: int) -> int:
    """Rows of `tokens` that lie like the latents of `height` x `width` they are of."""
    return isqrt(tokens * height // width)


def _perceptron(inputs: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, 1)


def _of_members(config: Head, network: FeatureModel, blocks: int, seeds: Sequence[int]) -> nn.Module:
    head = MemberDiscriminator(len(seeds), blocks * network.width, config.width)
    for member, seed in enumerate(seeds):
        generator = torch.Generator().manual_seed(seed)
        for layer in (head.hidden, head.out):
            layer.initialise(member, generator)
    return head
