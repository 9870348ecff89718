"""`salt caches`: what the cache does to one causal student, on `diagnosed_prompts`; the measurements are `caches`'.

All start from the noise that the captions' videos start from, by the main solver, with K of `evaluation.nfe` steps a
chunk. Tidy records, `nfe` being K, means over captions:

* `QUALITY@cache{k}`: of the last chunk's frames, behind a cache of chunks of k evaluations. QUALITY is `objects`
  (frames that show exactly the caption's objects) or `imaging_quality`, both 0 to 1.
* `QUALITY@chunk{i}`: of the frames of chunk i, all chunks made alike.
* `mismatch@chunk{i}`: Eq. (16) on chunk i under its cache, mean over the intervals of T^(K).
* `seam_across`, `seam_within`: mean absolute change of a pixel from chunk to chunk, and from frame to frame within a
  chunk, 0 to 1; with solver "none" and nfe 0, of real clips of the captions' contents through the codec, which may
  change more where a latent frame begins.

Qualities and real clips need the ground truth of the captions. Where VBench scores there is none: both are left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.data.clips import as_uint8
from salt.data.prompts import Prompt, prompts_hash
from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.cells import NO_SOLVER, RECORD_COLUMNS, shared_columns
from salt.evaluation.diagnostics.caches import ChunkedSampling, cache_matrix, endpoint_mismatch, seam
from salt.evaluation.diagnostics.defect import Quantity
from salt.evaluation.groundtruth import scorer as groundtruth
from salt.evaluation.groundtruth.long import FRAMES_OF_A_LATENT
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.sampling.solvers import initial_noise, renoise_of
from salt.evaluation.sampling.sources import Item, RealClips
from salt.evaluation.scorer import digest, low_precision, size_of_vae
from salt.evaluation.scorers import diagnosed_prompts, scorer_of
from salt.evaluation.video import upscale
from salt.models.protocol import CausalModel, Codec, TextEncoder

VERSION = 1
"""Raise it when a definition changes; part of the protocol."""
Measured = Iterator[tuple[Quantity, NDArray[np.float64]]]
"""One value for each video of a batch, `(B,)`."""


@dataclass(frozen=True)
class DecodedChunks:
    """What is seen of a batch's latents once they are decoded, chunk by chunk."""

    codec: Codec
    scale: Scale
    prompts: Sequence[AnyPrompt]
    chunk: int

    @property
    def truth(self) -> bool:
        """Whether it is known what the captions' videos must show."""
        return scorer_of(self.scale, TrainingLength(self.scale.evaluation)).truth

    def qualities(self, latents: Tensor) -> dict[str, NDArray[np.float64]]:
        """Of every chunk, each `(B, n)`, from `(B, C, T, H, W)`."""
        videos, side = as_uint8(self.codec.decode(latents).cpu()), self.scale.video_scale
        scored = [
            groundtruth.score_frames(upscale(video, side), prompt, "extended", self.scale.world)
            for video, prompt in zip(videos, cast(Sequence[Prompt], self.prompts), strict=True)
        ]
        first = [chunk_start(frame) for frame in range(0, latents.shape[2] + 1, self.chunk)]
        return {
            name: np.array([[one[name][a:b].mean() for a, b in pairwise(first)] for one in scored])
            for name in scored[0]
        }

    def seams(self, latents: Tensor, solver: str, nfe: int) -> Measured:
        """Change across and within chunks."""
        found = seam(self.codec.decode(latents), latents.shape[2], self.chunk)
        for name, values in found._asdict().items():
            yield Quantity(f"seam_{name}", solver, nfe), values.double().cpu().numpy()


def chunk_start(latent_frame: int) -> int:
    """The video frame with which a latent frame begins."""
    return 0 if latent_frame == 0 else 1 + FRAMES_OF_A_LATENT * (latent_frame - 1)


def caches_protocol(scale: Scale) -> str:
    """12 hexadecimal digits of all that decides these measurements besides the student."""
    world, evaluation = scale.world, scale.evaluation
    decides = {
        "version": [VERSION, groundtruth.VERSION],
        "prompts": prompts_hash(diagnosed_prompts(scale)),
        "seed": evaluation.seeds[0],
        "clip": [world.size, world.frames],
        "steps": [evaluation.main_solver, sorted(evaluation.nfe)],
    }
    return digest(decides | size_of_vae(scale) | low_precision(evaluation))


@torch.no_grad()
def measure_caches(
    model: CausalModel,
    text_encoder: TextEncoder,
    codec: Codec,
    experiment: Experiment,
    seed: int,
    latent_shape: Sequence[int],
    device: str = "cpu",
) -> pd.DataFrame:
    """Measure one causal student on `diagnosed_prompts` (extended) and the first sampling seed.

    Args:
        model: on `device`, as `codec` is.
        text_encoder: gives embeddings on any device.
        codec: draws the videos.
        experiment: the student's: its memory, its grid and its scale.
        seed: the training seed, for the records.
        latent_shape: `(C, T, H, W)`.
        device: where latents are computed.

    Returns:
        Columns `RECORD_COLUMNS`.

    Raises:
        SaltError: a student that makes its videos whole, or latents that are not finite.
    """
    causal, scale = experiment.causal, experiment.scale
    if causal is None:
        raise SaltError(f"{experiment.name}: makes its videos whole, without a cache; accepted: a causal student")
    evaluation = scale.evaluation
    prompts = diagnosed_prompts(scale)
    measured: dict[Quantity, list[NDArray[np.float64]]] = {}
    for start in tqdm(range(0, len(prompts), evaluation.batch_size), unit="batch", dynamic_ncols=True, disable=None):
        batch = prompts[start : start + evaluation.batch_size]
        items = [Item(prompt, evaluation.seeds[0]) for prompt in batch]
        draws = [item.draw() for item in items]
        rollout = ChunkedSampling(
            model,
            causal.memory,
            text_encoder.encode([prompt.extended for prompt in batch]).to(device),
            initial_noise(draws, latent_shape).to(device),
            evaluation.main_solver,
            experiment.grid.warp,
            renoise_of(draws),
        )
        decoded = DecodedChunks(codec, scale, batch, causal.chunk)
        found = list(_of_batch(rollout, decoded, evaluation.nfe))
        if decoded.truth:
            found += decoded.seams(RealClips(codec, scale.world, device).clips(items), NO_SOLVER, 0)
        for key, values in found:
            if not np.isfinite(values).all():
                raise SaltError(
                    f"{experiment.name} seed {seed}: {key.metric} at nfe={key.nfe} of prompt "
                    f"{batch[int(np.argmin(np.isfinite(values)))].id} is NaN or infinity; accepted: finite latents. "
                    "The weights are broken: train again"
                )
            measured.setdefault(key, []).append(values)
    return _records({key: np.concatenate(parts) for key, parts in measured.items()}, experiment, seed)


def _of_batch(rollout: ChunkedSampling, decoded: DecodedChunks, nfes: Sequence[int]) -> Measured:
    # without qualities only what is made alike is looked at
    asked = [nfes] if decoded.truth else [(k,) for k in nfes]
    for (k_cache, k), latents in chain.from_iterable(cache_matrix(rollout, steps).items() for steps in asked):
        for name, values in decoded.qualities(latents).items() if decoded.truth else ():
            yield Quantity(f"{name}@cache{k_cache}", rollout.solver, k), values[:, -1]
            if k == k_cache:
                for i, of_chunk in enumerate(values.T):
                    yield Quantity(f"{name}@chunk{i}", rollout.solver, k), of_chunk
        if k == k_cache:
            yield from decoded.seams(latents, rollout.solver, k)
    for k in nfes:
        for i, defects in enumerate(endpoint_mismatch(rollout, k).mean(2).double().cpu().numpy().T):
            yield Quantity(f"mismatch@chunk{i}", rollout.solver, k), defects


def _records(samples: dict[Quantity, NDArray[np.float64]], experiment: Experiment, seed: int) -> pd.DataFrame:
    fixed = shared_columns(experiment, seed, caches_protocol(experiment.scale))
    rows = [
        fixed | key._asdict() | {"value": float(values.mean()), "n": len(values)} for key, values in samples.items()
    ]
    return pd.DataFrame(rows, columns=list(RECORD_COLUMNS))
