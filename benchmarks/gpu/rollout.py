"""Frames a second and time to the first frame of an autoregressive student, with random weights, without decoding.

    python benchmarks/gpu/rollout.py --scale paper --nfe 4 2 1
    python benchmarks/gpu/rollout.py --scale paper --compile default --attention cudnn

Every chunk is `nfe` evaluations under the memory and a clean one that is remembered. Frames are those of the video,
four for a latent one. Published for 1.3B at 832 x 480 and 4 steps: Self-Forcing 17.0 frames a second and 0.69 s to the
first chunk on one H100 (arXiv 2506.08009, Tab. 1), LongLive 20.7 (arXiv 2509.22622), both with decoding.
The share of the ceiling is that of a large matrix product in the same run.
"""

import argparse
import contextlib
import time
from typing import Any

import torch
from ceiling import finish, matmul_ceiling
from torch.nn.attention import SDPBackend, sdpa_kernel

from salt.config import load_experiment
from salt.flow.grid import time_grid
from salt.flow.transport import euler_sample
from salt.models.causal import CausalWan
from salt.models.wan import build_wan
from salt.planning import cost
from salt.rollout import roll

ATTENTION = {
    "auto": [],
    "flash": [SDPBackend.FLASH_ATTENTION],
    "cudnn": [SDPBackend.CUDNN_ATTENTION],
    "efficient": [SDPBackend.EFFICIENT_ATTENTION],
    "math": [SDPBackend.MATH],
}


@torch.no_grad()
def measure(options: argparse.Namespace) -> None:
    """Print a line for each number of steps."""
    experiment = load_experiment(options.experiment, options.scale)
    scale, device, dtype = experiment.scale, options.device, getattr(torch, options.precision)
    assert experiment.causal is not None
    chunk, policy = experiment.causal.chunk, experiment.causal.memory
    transformer: Any = build_wan(scale.backbone, 0).transformer.to(device).eval()
    kept = tuple(transformer._keep_in_fp32_modules)  # as diffusers loads Wan
    for name, weights in transformer.named_parameters():
        if not any(part in name for part in kept):
            weights.data = weights.data.to(dtype)
    model = CausalWan(transformer, chunk, policy)
    if options.fuse:
        transformer.fuse_qkv_projections()
    if options.compile != "none":
        for block in model.transformer.blocks:
            block.compile(mode=None if options.compile == "default" else options.compile, dynamic=False)
    channels, frames, height, width = scale.latent_shape
    text = torch.randn(1, scale.text.tokens, scale.backbone.text_dim, device=device, dtype=dtype)
    ceiling = matmul_ceiling(device, dtype)
    print(f"ceiling {ceiling / 1e12:.3g} TFLOP/s; {frames} latent frames of {height} x {width} in chunks of {chunk}")

    def video(nfe: int) -> list[float]:
        """Seconds until each chunk is there."""
        grid = time_grid(nfe, experiment.grid.shift)
        memory = model.open_memory(policy, 1, height, width, frames)
        noise = torch.randn(1, channels, frames, height, width, device=device, dtype=dtype)
        begun, reached = time.perf_counter(), []
        chunks = roll(
            model,
            memory,
            lambda start: text,
            noise.split(chunk, dim=2),
            lambda velocity, x, start: euler_sample(velocity, x, grid),
        )
        for _ in chunks:
            finish(device)
            reached.append(time.perf_counter() - begun)
        return reached

    backends = ATTENTION[options.attention]
    for nfe in options.nfe:
        attention = sdpa_kernel(backends) if backends else contextlib.nullcontext()
        with attention, torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            begun = time.perf_counter()
            video(nfe)  # compiles, and fills the caches of the libraries
            warm = time.perf_counter() - begun
            runs = [video(nfe) for _ in range(options.rounds)]
        best = min(runs, key=lambda run: run[-1])
        rate = cost.video(experiment, nfe) / best[-1]
        print(
            f"{nfe} steps: {(1 + 4 * (frames - 1)) / best[-1]:7.2f} frames a second, first chunk {best[0]:.3f} s, "
            f"later ones {(best[-1] - best[0]) / max(1, len(best) - 1):.3f} s, {rate / ceiling:.1%} of the ceiling; "
            f"the first video {warm:.1f} s"
        )
    if device.startswith("cuda"):
        print(f"peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="self_forcing")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--nfe", type=int, nargs="+", default=[4, 2, 1])
    parser.add_argument("--compile", default="none", choices=["none", "default", "max-autotune-no-cudagraphs"])
    parser.add_argument("--fuse", action="store_true", help="queries, keys and values in one product")
    parser.add_argument("--attention", default="auto", choices=list(ATTENTION))
    parser.add_argument("--rounds", type=int, default=3)
    measure(parser.parse_args())
