"""What a chunk of a long video costs from noise to file, and the peak of memory, as the video gets longer.

    python benchmarks/long.py --scale tiny --lengths 6 60

Every length (times the training length) has a process of its own, because a process's peak of memory never falls.
Chunks are denoised, decoded and appended to an MP4 as `salt sample --long` does. Weights are untrained: only shapes
matter.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from salt.config import load_experiment
from salt.evaluation.lengths import length_of
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.evaluation.sampling.videos import sample_cells
from salt.evaluation.scorers import scorer_of
from salt.models.causal import CausalWan
from salt.models.codec import TinyCodec
from salt.models.wan import build_wan

EXPERIMENT = "self_forcing"


class RandomText:
    """Embeddings of the scale's shape."""

    def __init__(self, tokens: int, width: int) -> None:
        self.shape = tokens, width

    def encode(self, captions: Sequence[str]) -> Tensor:
        """`(N, L, D)`."""
        return torch.randn(len(captions), *self.shape)


def measure(scale: str, length: int) -> None:
    """Make two videos in one batch, and print what a chunk cost."""
    torch.set_num_threads(1)
    changes = {"scale.evaluation.long.length": str(length), "scale.evaluation.long.prompts": "2"}
    experiment = load_experiment(EXPERIMENT, scale, changes)
    asked, scale_ = length_of(EXPERIMENT, experiment, long=True), experiment.scale
    codec = TinyCodec(scale_.codec).eval().requires_grad_(False)
    model = CausalWan(build_wan(scale_.backbone, 0).transformer.eval(), experiment.causal.chunk)
    text = RandomText(scale_.text.tokens, scale_.backbone.text_dim)
    shape = codec.latent_shape(scale_.world.frames, scale_.world.size)
    source = SampledByChunk(model, text, asked.memory(experiment.causal.memory), experiment.grid.warp, shape, length)
    cells = asked.cells(EXPERIMENT, experiment.title, scale_, 0, causal=True)
    start, chunks = time.perf_counter(), asked.chunks(experiment)
    with tempfile.TemporaryDirectory() as folder:
        sample_cells(cells, source, codec, scorer_of(scale_, asked), Path(folder), {}, None)
    each = (time.perf_counter() - start) / chunks
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"length {length}: {chunks} chunks, {1000 * each:.1f} ms a chunk, peak {peak:.1f} MB")


def main() -> None:
    """Every length in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", default="tiny")
    parser.add_argument("--lengths", type=int, nargs="+", default=[6, 60])
    options = parser.parse_args()
    if len(options.lengths) == 1:
        measure(options.scale, options.lengths[0])
        return
    for length in options.lengths:
        subprocess.run([sys.executable, __file__, "--scale", options.scale, "--lengths", str(length)], check=True)


if __name__ == "__main__":
    main()
