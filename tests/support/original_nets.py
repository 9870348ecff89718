"""Wan's own text encoder, image encoder and autoencoder, after Wan-Video/Wan2.1, wan/modules/{t5,clip,vae}.py.

The same names of weights and the same function, written anew and briefly: whole sequences, nothing cached.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS, LAYERS = 16, 32  # of ViT-H


def scrambled(network: nn.Module, seed: int = 0) -> nn.Module:
    """With numbers in all its weights: none is 0 or 1 or like another, whatever it was built with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(1 + 0.2 * noise if value.std(correction=0) == 0 else value + 0.2 * value.std() * noise)
    return network.eval()


# ------------------------------------------------------------------------------------------------ t5.py
class RMS(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


def bucket(distance: int) -> int:
    """32 buckets: 16 to each side, 8 of them of one distance, the others growing by a factor of 2 in two, to 128."""
    side, far = 16 * (distance > 0), abs(distance)
    return side + (far if far < 8 else min(15, 7 + (far**2 // 64).bit_length()))


class T5Block(nn.Module):
    def __init__(self, dim: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = RMS(dim), RMS(dim)
        self.attn = nn.ModuleDict({part: nn.Linear(dim, dim, bias=False) for part in "qkvo"})
        self.ffn = nn.ModuleDict(
            {
                "gate": nn.Sequential(nn.Linear(dim, inner, bias=False), nn.GELU("tanh")),
                "fc1": nn.Linear(dim, inner, bias=False),
                "fc2": nn.Linear(inner, dim, bias=False),
            }
        )
        self.pos_embedding = nn.ModuleDict({"embedding": nn.Embedding(32, heads)})

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normed, places = self.norm1(x), range(x.shape[1])
        q, k, v = (self.attn[part](normed).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in "qkv")
        near = torch.tensor([[bucket(there - here) for there in places] for here in places])
        scores = q @ k.mT + self.pos_embedding["embedding"](near).permute(2, 0, 1)
        scores = scores.masked_fill(mask[:, None, None] == 0, float("-inf"))
        x = x + self.attn["o"]((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        normed = self.norm2(x)
        return x + self.ffn["fc2"](self.ffn["fc1"](normed) * self.ffn["gate"](normed))


class T5(nn.Module):
    """`T5Encoder`: ids and mask `(B, L)` -> `(B, L, D)`."""

    def __init__(self, words: int, dim: int, inner: int, heads: int, layers: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(words, dim)
        self.blocks = nn.ModuleList(T5Block(dim, inner, heads) for _ in range(layers))
        self.norm = RMS(dim)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.token_embedding(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)


# ------------------------------------------------------------------------------------------------ clip.py
class ClipBlock(nn.Module):
    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.ModuleDict({"to_qkv": nn.Linear(dim, 3 * dim), "proj": nn.Linear(dim, dim)})
        self.mlp = nn.Sequential(nn.Linear(dim, inner), nn.GELU(), nn.Linear(inner, dim))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.attn["to_qkv"](self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        x = x + self.attn["proj"]((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Tower(nn.Module):
    """`VisionTransformer` with `use_31_block`: images `(B, 3, H, W)` -> what goes into the last block."""

    def __init__(self, dim: int, inner: int, patch: int, grid: int) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, dim, patch, stride=patch, bias=False)
        self.cls_embedding = nn.Parameter(torch.randn(1, 1, dim))
        self.pos_embedding = nn.Parameter(torch.randn(1, 1 + grid**2, dim))
        self.pre_norm, self.post_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.transformer = nn.Sequential(*(ClipBlock(dim, inner) for _ in range(LAYERS)))
        self.head = nn.Parameter(torch.randn(dim, 8))

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embedding(images).flatten(2).mT
        x = torch.cat([self.cls_embedding.expand(len(x), -1, -1), x], dim=1)
        return self.transformer[:-1](self.pre_norm(x + self.pos_embedding))


class Clip(nn.Module):
    """`XLMRobertaCLIP`, with a word of its text tower."""

    def __init__(self, dim: int, inner: int, patch: int, grid: int) -> None:
        super().__init__()
        self.visual = Tower(dim, inner, patch, grid)
        self.textual = nn.ModuleDict({"token_embedding": nn.Embedding(4, 8)})
        self.log_scale = nn.Parameter(torch.ones([]))


# ------------------------------------------------------------------------------------------------ vae.py
class Causal(nn.Conv3d):
    def forward(self, x: Tensor) -> Tensor:
        t, h, w = self.kernel_size
        return super().forward(functional.pad(x, (w // 2, w // 2, h // 2, h // 2, t - 1, 0)))


class Norm(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * x / x.pow(2).mean(1, keepdim=True).sqrt()


class Residual(nn.Module):
    def __init__(self, given: int, out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *(Norm(given, 1, 1, 1), nn.SiLU(), Causal(given, out, 3)),
            *(Norm(out, 1, 1, 1), nn.SiLU(), nn.Dropout(0.0), Causal(out, out, 3)),
        )
        self.shortcut = nn.Identity() if given == out else Causal(given, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(x)


class Attention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.to_qkv, self.proj = Norm(dim, 1, 1), nn.Conv2d(dim, 3 * dim, 1), nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + frame_by_frame(self.frame, x)

    def frame(self, x: Tensor) -> Tensor:
        q, k, v = self.to_qkv(self.norm(x)).flatten(2).mT.chunk(3, dim=-1)
        seen = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.proj(seen.mT.unflatten(2, x.shape[2:]))


def frame_by_frame(function, x: Tensor) -> Tensor:
    return torch.stack([function(frame) for frame in x.unbind(2)], dim=2)


class Down(nn.Module):
    """Half the height and width; with `time` also half of the frames after the first."""

    def __init__(self, dim: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(dim, dim, 3, stride=2))
        self.time_conv = nn.Conv3d(dim, dim, (3, 1, 1), stride=(2, 1, 1)) if time else None

    def forward(self, x: Tensor) -> Tensor:
        x = frame_by_frame(self.resample, x)
        return x if self.time_conv is None else torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)


class Up(nn.Module):
    """Twice the height and width; with `time` also two frames for each after the first."""

    def __init__(self, dim: int, time: bool) -> None:
        super().__init__()
        self.resample = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(dim, dim // 2, 3, padding=1))
        self.time_conv = Causal(dim, 2 * dim, (3, 1, 1)) if time else None

    def forward(self, x: Tensor) -> Tensor:
        if self.time_conv is not None:
            pairs = self.time_conv(x[:, :, 1:]).unflatten(1, (2, -1))
            x = torch.cat([x[:, :, :1], pairs.movedim(1, 3).flatten(2, 3)], dim=2)
        return frame_by_frame(self.resample, x)


def middle(dim: int) -> nn.Sequential:
    return nn.Sequential(Residual(dim, dim), Attention(dim), Residual(dim, dim))


class Coder(nn.Module):
    """`Encoder3d` or `Decoder3d`: the middle comes last or first."""

    def __init__(
        self, kind: str, given: int, widths: list[int], blocks: int, times: tuple[bool, ...], out: int
    ) -> None:
        super().__init__()
        self.conv1 = Causal(given, widths[0], 3)
        layers: list[nn.Module] = []
        for level, (before, width) in enumerate(pairwise(widths)):
            halved = before // 2 if kind == "up" and level else before
            layers += [Residual(halved if i == 0 else width, width) for i in range(blocks)]
            if level < 3:
                layers.append((Up if kind == "up" else Down)(width, times[level]))
        setattr(self, f"{kind}samples", nn.Sequential(*layers))
        self.middle = middle(widths[0 if kind == "up" else -1])
        self.head = nn.Sequential(Norm(widths[-1], 1, 1, 1), nn.SiLU(), Causal(widths[-1], out, 3))
        self.order = ("middle", "upsamples") if kind == "up" else ("downsamples", "middle")

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for part in self.order:
            x = getattr(self, part)(x)
        return self.head(x)


class VAE(nn.Module):
    """`WanVAE_`: videos `(B, 3, 1 + 4 k, 8 h, 8 w)` in [-1, 1] to and from latents `(B, C, 1 + k, h, w)`."""

    def __init__(self, width: int, channels: int = 16) -> None:
        super().__init__()
        down, up = ([width * times for times in widths] for widths in ((1, 1, 2, 4, 4), (4, 4, 4, 2, 1)))
        self.encoder = Coder("down", 3, down, 2, (False, True, True), 2 * channels)
        self.decoder = Coder("up", channels, up, 3, (True, True, False), 3)
        self.conv1, self.conv2 = Causal(2 * channels, 2 * channels, 1), Causal(channels, channels, 1)

    def encode(self, video: Tensor) -> Tensor:
        return self.conv1(self.encoder(video)).chunk(2, dim=1)[0]

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(self.conv2(latents)).clamp(-1, 1)
