"""Frames per second beside diffusers' own causal models, at equal size: SkyReels-V2 and AnyFlow-FAR.

    python benchmarks/peers.py --chunks 8 --chunk 3 --nfe 4

All make the same number of latent frames, chunk by chunk, with K evaluations a chunk, with random weights of one width
and depth; only time is compared.

* ours: keys and values of the chunks before, and one clean run of each finished chunk.
* SkyReels-V2 (`SkyReelsV2Transformer3DModel`, diffusion forcing) has no such cache: every evaluation runs over all
  frames made so far, the finished ones at t = 0.
* AnyFlow-FAR (`AnyFlowFARPipeline`) caches, needs FlexAttention, and compresses chunks beyond the last three; its clean
  run is over all frames made so far.

The three take turns, round by round, so that a busy machine slows them alike; ratios are medians over the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import (
    AnyFlowFARPipeline,
    AnyFlowFARTransformer3DModel,
    AutoencoderKLWan,
    FlowMapEulerDiscreteScheduler,
    SkyReelsV2Transformer3DModel,
)

from salt.config import load_experiment
from salt.config.memory import Memory
from salt.models.causal import CausalWan
from salt.models.wan import build_wan

TOKENS = 16
"""Of a caption."""


class Ours:
    """Chunk by chunk through a cache of everything."""

    def __init__(self, size: dict, options: argparse.Namespace, shape: tuple[int, ...]) -> None:
        from salt.config.backbone import Backbone

        self.model = CausalWan(build_wan(Backbone(**size), 0).transformer, options.chunk)
        self.options, self.shape = options, shape

    def __call__(self, text: torch.Tensor) -> None:
        """Make one video."""
        batch, _, frames, height, width = self.shape
        memory = self.model.open_memory(Memory(), batch, height, width, frames)
        for noise in torch.randn(self.shape).split(self.options.chunk, dim=2):
            x = noise
            context = memory.context()
            for i in range(self.options.nfe):
                t = torch.full((batch,), 1 - i / self.options.nfe)
                x = x - self.model.step(x, t, text, context) / self.options.nfe
            self.model.remember(memory, x, text)


class SkyReels:
    """Every evaluation over all frames so far."""

    def __init__(self, size: dict, options: argparse.Namespace, shape: tuple[int, ...]) -> None:
        self.model = SkyReelsV2Transformer3DModel(**size, num_frame_per_block=options.chunk).eval()
        self.options, self.shape = options, shape

    def __call__(self, text: torch.Tensor) -> None:
        """Make one video."""
        chunk, nfe = self.options.chunk, self.options.nfe
        made = torch.randn(self.shape)[:, :, :0]
        for noise in torch.randn(self.shape).split(chunk, dim=2):
            x, past = noise, made.shape[2]
            for i in range(nfe):
                t = torch.zeros(len(x), past + chunk)
                t[:, past:] = 1000 * (1 - i / nfe)
                v = self.model(torch.cat([made, x], dim=2), t, text, enable_diffusion_forcing=True, return_dict=False)[
                    0
                ]
                x = x - v[:, :, past:] / nfe
            made = torch.cat([made, x], dim=2)


class AnyFlow:
    """Its own pipeline, down to latents."""

    def __init__(self, size: dict, options: argparse.Namespace, shape: tuple[int, ...]) -> None:
        self.partition = [options.chunk] * options.chunks
        transformer = AnyFlowFARTransformer3DModel(**size, chunk_partition=tuple(self.partition)).eval()
        vae = AutoencoderKLWan(base_dim=8, z_dim=shape[1], dim_mult=[1, 1, 1, 1], num_res_blocks=1)
        self.pipeline = AnyFlowFARPipeline(
            tokenizer=None,
            text_encoder=None,
            transformer=transformer,
            vae=vae,
            scheduler=FlowMapEulerDiscreteScheduler(),
        )
        self.pipeline.set_progress_bar_config(disable=True)
        self.options, self.shape = options, shape

    def __call__(self, text: torch.Tensor) -> None:
        """Make one video."""
        _, _, frames, height, width = self.shape
        self.pipeline(
            prompt_embeds=text,
            height=8 * height,
            width=8 * width,
            num_frames=1 + 4 * (frames - 1),
            latents=torch.randn(self.shape),
            num_inference_steps=self.options.nfe,
            chunk_partition=self.partition,
            output_type="latent",
        )


def main() -> None:
    """Print frames per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--chunks", type=int, default=8)
    parser.add_argument("--chunk", type=int, default=3)
    parser.add_argument("--nfe", type=int, default=4)
    parser.add_argument("--side", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load_experiment("self_forcing", options.scale).scale.backbone
    size = backbone.model_dump(
        include={
            *("num_layers", "num_attention_heads", "attention_head_dim", "ffn_dim"),
            *("in_channels", "out_channels", "text_dim", "freq_dim", "patch_size"),
        }
    )
    shape = (1, backbone.in_channels, options.chunk * options.chunks, options.side, options.side)
    text = torch.randn(1, TOKENS, backbone.text_dim)
    makers: dict[str, Callable[[torch.Tensor], None]] = {
        "ours, cached": Ours(size, options, shape),
        "SkyReels-V2, recomputed": SkyReels(size, options, shape),
        "AnyFlow-FAR, cached": AnyFlow(size, options, shape),
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for round_ in range(options.rounds + 1):
        for name, make in makers.items():
            began = time.perf_counter()
            with torch.no_grad():
                make(text)
            if round_:  # the first warms up
                seconds[name].append(time.perf_counter() - began)
    unit = seconds["ours, cached"]
    for name, found in seconds.items():
        ratio = statistics.median(mine / ours for mine, ours in zip(found, unit, strict=True))
        rate = shape[2] / statistics.median(found)
        print(f"{name}: {rate:.1f} latent frames a second, {ratio:.2f} times the seconds of ours")


if __name__ == "__main__":
    main()
