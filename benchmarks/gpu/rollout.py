"""Seconds of every chunk of an autoregressive student, with random weights, with and without decoding.

    python benchmarks/gpu/rollout.py --scale paper --nfe 4 2 1
    python benchmarks/gpu/rollout.py --scale paper --compile default --attention cudnn --no-decode

Every chunk is `nfe` evaluations under the memory and a clean one that is remembered (the cache pass). Frames are those
of the video, four for a latent one; a chunk of 3 latent frames is 12. Published for 1.3B at 832 x 480 and 4 steps:
Self-Forcing 17.0 frames a second and 0.69 s to the first chunk on one H100 (arXiv 2506.08009, Tab. 1), LongLive 20.7
(arXiv 2509.22622), both with decoding. The share of the ceiling is that of a large matrix product in the same run.
"""

import argparse
import contextlib
import time
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from ceiling import finish, matmul_ceiling, told
from diffusers import AutoencoderKLWan
from torch.nn.attention import SDPBackend, sdpa_kernel

from salt.config import load_experiment
from salt.flow.grid import time_grid
from salt.flow.transport import euler_sample
from salt.models.attention import compile_blocks
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


COMPILE: dict[str, dict[str, Any]] = {
    "default": {},
    "max-autotune-no-cudagraphs": {"mode": "max-autotune-no-cudagraphs"},
    "eager": {"backend": "eager"},  # graphs alone, without compiling them
}


@torch.no_grad()
def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What each number of steps takes."""
    experiment = load_experiment(options.experiment, options.scale)
    scale, device, dtype = experiment.scale, options.device, getattr(torch, options.precision)
    assert experiment.causal is not None
    chunk, policy = experiment.causal.chunk, experiment.causal.memory
    with torch.device(device):
        transformer: Any = build_wan(scale.backbone, 0).transformer.eval()
    kept = tuple(transformer._keep_in_fp32_modules)  # as diffusers loads Wan
    for name, weights in transformer.named_parameters():
        if not any(part in name for part in kept):
            weights.data = weights.data.to(dtype)
    model = CausalWan(transformer, chunk, policy)
    if options.fuse:
        transformer.fuse_qkv_projections()
    if options.compile != "none":
        compile_blocks(transformer, **COMPILE[options.compile])
    channels, frames, height, width = scale.latent_shape
    text = torch.randn(1, scale.text.tokens, scale.backbone.text_dim, device=device, dtype=dtype)
    decoder = decoder_of(channels, scale.vae is not None).to(device, dtype) if options.decode else None

    def decode(latents: torch.Tensor) -> None:
        if decoder is not None:
            decoder.decode(latents.to(dtype))

    def video(nfe: int) -> list[float]:
        """Seconds of each chunk."""
        grid = time_grid(nfe, experiment.grid.warp)
        memory = model.open_memory(policy, 1, height, width, frames)
        noise = torch.randn(1, channels, frames, height, width, device=device, dtype=dtype)
        chunks = roll(
            model,
            memory,
            lambda start: text,
            noise.split(chunk, dim=2),
            lambda velocity, x, start: euler_sample(velocity, x, grid),
        )
        finish(device)
        reached = [time.perf_counter()]
        for made in chunks:
            decode(made)
            finish(device)
            reached.append(time.perf_counter())
        return [after - before for before, after in pairwise(reached)]

    ceiling = matmul_ceiling(device, dtype)
    found: dict[str, Any] = {
        "experiment": experiment.name,
        "scale": scale.name,
        "chunk": [chunk, height, width],
        "frames_of_a_chunk": 4 * chunk,
        "attention": options.attention,
        "compile": options.compile,
        "fused": options.fuse,
        "decoded": options.decode,
        "ceiling_tflops": ceiling / 1e12,
        "steps": {},
    }
    backends = ATTENTION[options.attention]
    for nfe in options.nfe:
        attention = sdpa_kernel(backends) if backends else contextlib.nullcontext()
        with attention, torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            begun = time.perf_counter()
            video(nfe)  # compiles, and fills the caches of the libraries
            warm = time.perf_counter() - begun
            best = min((video(nfe) for _ in range(options.rounds)), key=sum)
        seconds = sum(best)
        found["steps"][nfe] = {
            "warm_up_s": warm,
            "first_chunk_s": best[0],
            "chunk_s": median(best[1:] or best),
            "last_chunk_s": best[-1],
            "frames_per_s": (1 + 4 * (frames - 1)) / seconds,
            "share_of_ceiling": None if options.decode else cost.video(experiment, nfe) / seconds / ceiling,
        }
    if {2, 4} <= found["steps"].keys():
        two, four = (found["steps"][nfe]["chunk_s"] for nfe in (2, 4))
        found["evaluation_s"] = (four - two) / 2
        found["cache_pass_and_decoding_s"] = two - (four - two)
    if device.startswith("cuda"):
        found["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
    return found


def decoder_of(channels: int, real: bool) -> Any:
    """Wan's autoencoder with random weights; a thin one for scales that have another."""
    sizes: dict[str, Any] = {} if real else {"base_dim": 8, "num_res_blocks": 1}
    unit = [0.0] * channels, [1.0] * channels
    return AutoencoderKLWan(z_dim=channels, latents_mean=unit[0], latents_std=unit[1], **sizes).eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="self_forcing")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--nfe", type=int, nargs="+", default=[4, 2, 1])
    parser.add_argument("--compile", default="none", choices=["none", *COMPILE])
    parser.add_argument("--fuse", action="store_true", help="queries, keys and values in one product")
    parser.add_argument("--attention", default="auto", choices=list(ATTENTION))
    parser.add_argument("--decode", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--rounds", type=int, default=3)
    told(measure, parser)
