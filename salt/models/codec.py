"""The codec of the tiny scales: causal, with latents that are 4 times shorter than the video, as Wan's.

1 + 4 k frames become 1 + k latent frames. Latent frame k is a closed-form code of video frames 4 k - 4 ... 4 k. Its
first channels are the leading principal components of the patches of frame 4 k, partly whitened, of mean square 1.
Its last four hold what a single patch cannot, but the latents of a video VAE do, whose receptive field is wide in space
and time: how the picture moved since frame 4 k - 4 (block matching, as in MPEG), and on which side of an object others
lie. A learned decoder renders frames 4 k - 3 ... 4 k from latent frames k - 1 and k. It is trained on noised latents,
so it renders clean frames from slightly wrong latents, as a video VAE does. The latents of a video's first frames are
the first of its latents, so videos can be encoded and decoded as a stream.

Videos are `(B, 3, F, H, W)` in [0, 1]; latents `(B, C, T, H / stride, W / stride)` with T = 1 + (F - 1) / 4.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from salt.config.scale import Codec as CodecConfig
from salt.errors import SaltError
from salt.foreign import reason
from salt.models.finite import check_answer, check_finite, computing
from salt.models.stored import check_sizes
from salt.readers import read_json

STRIDE_T = 4
CUES = 4
"""The last channels: motion (x, y), 0 in the first latent frame, which has no past; surroundings (x, y)."""
REACH = 2
"""Largest motion looked for, in pixels a frame, along one axis."""
AROUND = 3
"""Cells to each side that `surroundings` takes into account."""
AT_ONCE = 8
"""Videos whose motion is looked for at once: what a core's own cache holds."""
CONTRAST = 0.08
"""A pixel stands out if it differs from the background by more than this, as a mean over colours in [0, 1]."""
MOVES = [(0, 0)] + [(r * x, r * y) for r in range(1, REACH + 1) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
WEIGHTS, CONFIG = "codec.safetensors", "config.json"


class ResBlock(nn.Module):
    """Two 3x3 convolutions and a skip connection; initialised to the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        last = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(B, width, h, w)` -> the same shape."""
        return x + self.layers(x)


class TinyCodec(nn.Module):
    """A closed-form encoder, and a decoder that corrects its linear inverse."""

    mean: Tensor
    encoding: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        patch, width = 3 * config.stride**2, config.width
        self.register_buffer("mean", torch.zeros(patch))
        self.register_buffer("encoding", torch.zeros(config.channels - CUES, patch))
        self.linear = nn.Conv2d(2 * config.channels, STRIDE_T * patch, 1)
        self.correction = nn.Sequential(
            nn.Conv2d(2 * config.channels, width, 3, padding=1),
            *(ResBlock(width) for _ in range(config.blocks)),
            nn.Conv2d(width, STRIDE_T * patch, 1),
            nn.SiLU(),
            nn.Conv2d(STRIDE_T * patch, STRIDE_T * patch, 1),
        )

    def fit_linear(self, video: Tensor) -> None:
        """Set the linear code and its inverse to the principal components of the patches of `(B, 3, F, H, W)`."""
        patches = functional.pixel_unshuffle(self._key_frames(video), self.config.stride)
        patches = patches.permute(0, 2, 3, 1).flatten(0, 2)
        mean = patches.mean(0)
        variance, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
        deviation = variance.flip(0)[: len(self.encoding)].clamp_min(1e-8).sqrt()
        vectors = vectors.flip(1)[:, : len(self.encoding)]
        kept = deviation ** (1 - self.config.whitening)
        scale = deviation / kept * kept.square().mean().sqrt()  # latents have mean square 1
        shares = torch.arange(1, STRIDE_T + 1) / STRIDE_T  # of the later latent in each of the four frames
        decoding = functional.pad(vectors * scale, (0, CUES))  # the cues do not enter the linear inverse
        inverse = torch.stack([torch.cat([(1 - s) * decoding, s * decoding], 1) for s in shares])
        last = self.correction[-1]
        with torch.no_grad():
            self.mean.copy_(mean)
            self.encoding.copy_((vectors / scale).T)
            self.linear.weight.copy_(inverse.flatten(0, 1)[..., None, None])
            self.linear.bias.copy_(mean.repeat(STRIDE_T))  # type: ignore[union-attr]
            last.weight.zero_()  # type: ignore[operator]
            last.bias.zero_()  # type: ignore[operator]

    def _key_frames(self, video: Tensor) -> Tensor:
        """Every fourth frame, `(B T, 3, H, W)`."""
        return video[:, :, ::STRIDE_T].transpose(1, 2).flatten(0, 1)

    # ------------------------------------------------------------------------------------------ protocol
    cues = CUES

    def code(self, frames: Tensor) -> Tensor:
        """The picture channels `(N, C - 4, h, w)` of frames `(N, 3, H, W)`, affine in their pixels; in their dtype."""
        centred = functional.pixel_unshuffle(frames, self.config.stride) - self.mean.to(frames)[:, None, None]
        return torch.einsum("nphw,cp->nchw", centred, self.encoding.to(frames))

    def encode(self, video: Tensor) -> Tensor:
        """Latents `(B, C, T, h, w)` of a video `(B, 3, F, H, W)`."""
        pictures = self.code(self._key_frames(video))
        motion = self.config.motion_scale * motion_vectors(video, self.config.stride)
        beside = self.config.surroundings_scale * surroundings(video, self.config.stride)
        return torch.cat([pictures.unflatten(0, (len(video), -1)).transpose(1, 2), motion, beside], dim=1)

    def begun(self, latents: Tensor) -> Tensor:
        """Latents from the middle of a video without the motion that led there, as a first latent frame has none."""
        begun = latents.clone()
        begun[:, -CUES : -CUES + 2, 0] = 0
        return begun

    def decode(self, latents: Tensor) -> Tensor:
        """Video `(B, 3, F, H, W)`, in [0, 1], of latents `(B, C, T, h, w)`."""
        return self.stream()(latents)

    def stream(self) -> Callable[[Tensor], Tensor]:
        """A function that decodes one batch of videos part by part; each looks back at one latent frame.

        The first latent frame is one video frame, every other is four.
        """
        before: Tensor | None = None

        def part_of_video(latents: Tensor) -> Tensor:
            nonlocal before
            video = self.render(latents, before)
            first, before = before is None, latents[:, :, -1:]
            return (video[:, :, STRIDE_T - 1 :] if first else video).clamp(0, 1)

        return part_of_video

    def render(self, latents: Tensor, context: Tensor | None = None) -> Tensor:
        """Four frames for each latent frame, `(B, 3, 4 T, H, W)`; without context, the first four are a still picture.

        `context` is the latent frame before the first, `(B, C, 1, h, w)`.
        """
        before = torch.cat([latents[:, :, :1] if context is None else context, latents[:, :, :-1]], dim=2)
        pairs = torch.cat([before, latents], dim=1).transpose(1, 2)
        flat = pairs.flatten(0, 1)
        frames = functional.pixel_shuffle(self.linear(flat) + self.correction(flat), self.config.stride)
        return frames.unflatten(0, pairs.shape[:2]).unflatten(2, (STRIDE_T, 3)).permute(0, 3, 1, 2, 4, 5).flatten(2, 3)


def motion_vectors(video: Tensor, stride: int) -> Tensor:
    """The motion among `MOVES` by which the previous frame predicts each frame best, in blocks of two strides.

    Args:
        video: `(B, 3, 1 + 4 k, H, W)`.
        stride: distance of neighbouring blocks, in pixels.

    Returns:
        `(B, 2, 1 + k, H / stride, W / stride)`, (x, y) in pixels a frame; 0 where nothing moves and in the first frame.
    """
    frames, height, width = video.shape[2:]
    if frames == 1:
        return video.new_zeros(len(video), 2, 1, height // stride, width // stride)
    best = torch.cat([_best_moves(some, stride) for some in video.split(AT_ONCE)])
    return functional.pad(video.new_tensor(MOVES)[best].permute(0, 4, 1, 2, 3), (0, 0, 0, 0, 1, 0))


def _best_moves(video: Tensor, stride: int) -> Tensor:
    """Which of `MOVES`, `(B, k, H / stride, W / stride)`.

    Colour by colour: most of the time it takes to encode clips goes into these differences, and half of it is saved
    where neighbours in memory are pixels and not colours.
    """
    height, width = video.shape[3:]
    planes = [colour.contiguous() for colour in video.unbind(1)]
    before = [functional.pad(plane[:, :-1], [REACH] * 4, mode="replicate") for plane in planes]
    errors = []
    for x, y in MOVES:
        moved = [plane[..., REACH - y : REACH - y + height, REACH - x : REACH - x + width] for plane in before]
        red, green, blue = ((now[:, 1:] - then).abs_() for now, then in zip(planes, moved, strict=True))
        error = red.add_(green).add_(blue).unflatten(1, (-1, STRIDE_T)).sum(2)
        errors.append(functional.avg_pool2d(error, 2 * stride, stride, stride // 2))
    errors[0] = errors[0] - 1e-4  # ties are resolved in favour of no motion
    return torch.stack(errors, dim=-1).argmin(-1)


def surroundings(video: Tensor, stride: int) -> Tensor:
    """For each cell of an object, on which side of it other cells of objects lie; in every fourth frame.

    Args:
        video: `(B, 3, 1 + 4 k, H, W)`; pixels that differ from a frame's median colour belong to an object.
        stride: side of a cell, in pixels.

    Returns:
        `(B, 2, 1 + k, H / stride, W / stride)`, (x, y): the covered cells within `AROUND`, weighted by distance (near
        ones most), those to the right minus those to the left, those below minus those above; 0 in the background.
    """
    frames = video[:, :, ::STRIDE_T].transpose(1, 2).flatten(0, 1)
    median = frames.flatten(2).median(2).values[..., None, None]
    stands_out = ((frames - median).abs().mean(1, keepdim=True) > CONTRAST).to(video)
    covered = functional.avg_pool2d(stands_out, stride)
    away = torch.arange(-AROUND, AROUND + 1).to(video)
    along, across = away * (-away.abs() / 2).exp(), (-((away / 1.5) ** 2)).exp()
    sideways = across[:, None] * along
    towards = functional.conv2d(covered, torch.stack([sideways, sideways.T])[:, None], padding=AROUND)
    return (towards * covered).unflatten(0, (len(video), -1)).transpose(1, 2)


def fit_codec(
    codec: TinyCodec,
    clips: Callable[[int], Tensor],
    seed: int,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train the codec in place.

    Args:
        codec: its config says for how many steps.
        clips: step -> videos `(B, 3, F, H, W)`; the encoder is fitted on `clips(0)`, which should hold many.
        seed: of the noise on the latents.
        progress: called with each step and its loss.
    """
    config = codec.config
    codec.fit_linear(clips(0))
    optimiser = torch.optim.AdamW(codec.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.lr, total_steps=config.steps + 1, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    codec.train()
    for step in range(1, config.steps + 1):
        video = clips(step)
        still = video[:, :, :1].expand(-1, -1, STRIDE_T - 1, -1, -1)
        latents = codec.encode(video)
        noised = latents + config.noise * torch.randn(latents.shape, generator=generator).to(latents)
        loss = functional.mse_loss(codec.render(noised), torch.cat([still, video], dim=2))
        if not torch.isfinite(loss):
            raise SaltError(f"codec training: loss is {loss.item()} at step {step}: lower codec.lr (now {config.lr})")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        progress(step, loss.item())
    codec.eval()


def save_codec(codec: TinyCodec, folder: Path) -> None:
    """Write `config.json` and `codec.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in codec.state_dict().items()}, folder / WEIGHTS)
    (folder / CONFIG).write_text(codec.config.model_dump_json(indent=2) + "\n")


def load_codec(folder: Path) -> TinyCodec:
    """Read what `save_codec` wrote, frozen and in evaluation mode.

    Raises:
        SaltError: a file is missing, truncated or at odds with its config, a weight is not finite, or one small video
            does not come through as numbers.
    """
    try:
        check_sizes(folder / CONFIG, lambda config: TinyCodec(CodecConfig(**config)), folder)
        codec = TinyCodec(CodecConfig(**read_json(folder / CONFIG)))
        codec.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:
        raise SaltError(f"{folder}: not a codec ({CONFIG} and {WEIGHTS} are expected): {reason(error)}") from error
    check_finite(codec.state_dict(), folder / WEIGHTS)
    codec.eval().requires_grad_(False)
    side = 2 * codec.config.stride
    video = torch.linspace(0, 1, 3 * 5 * side * side).view(1, 3, 5, side, side)
    with computing(folder):
        latents = codec.encode(video)
        check_answer(latents, (1, codec.config.channels, 2, 2, 2), folder, "latents")
        check_answer(codec.decode(latents), tuple(video.shape), folder, "videos")
    return codec
