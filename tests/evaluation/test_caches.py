"""Diagnostics of the cache: closed-form students whose every number is known, and a small network."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.errors import SaltError
from salt.evaluation.diagnostics.caches import ChunkedSampling, cache_matrix, endpoint_mismatch, seam
from salt.evaluation.sampling.solvers import generate
from salt.flow.grid import time_grid
from salt.rollout import roll
from support.causal_nets import ALL, CLOSE, causal, clip, prompt

SHIFT = 3.0
KS = (2, 4, 8)


@dataclass
class Past:
    """Chunks kept as they are; the context is their list."""

    chunks: list[Tensor] = field(default_factory=list)

    @property
    def start(self) -> int:
        return sum(chunk.shape[2] for chunk in self.chunks)

    def context(self) -> list[Tensor]:
        return list(self.chunks)


@dataclass
class Closed:
    """A causal student with a closed-form velocity: (x_t, t, chunks before) -> v."""

    velocity: Callable[[Tensor, Tensor, list[Tensor]], Tensor]
    chunk: int = 1

    def open_memory(self, *arguments: Any) -> Past:
        return Past()

    def step(self, x_t: Tensor, t: Tensor, text: Tensor, context: list[Tensor], exits: None = None) -> Tensor:
        return self.velocity(x_t, t.view(-1, 1, 1, 1, 1), context)

    def remember(self, memory: Past, x_0: Tensor, text: Tensor, exits: None = None) -> None:
        memory.chunks.append(x_0)

    def switch(self, memory: Past, text: Tensor) -> None:
        raise AssertionError("no diagnostic changes the prompt")

    def __call__(self, *arguments: Any) -> Tensor:
        raise AssertionError("no diagnostic runs a whole clip")


def renoise(i: int, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(100 + i), dtype=like.dtype)


def rollout(model: Any, frames: int = 3, solver: str = "cm", policy: Memory = ALL) -> ChunkedSampling:
    return ChunkedSampling(model, policy, prompt(2), clip(frames, batch=2), solver, SHIFT, renoise)


# ---------------------------------------------------------------------------------------------- cache_matrix
@pytest.mark.parametrize("solver", ["euler", "cm"])
@pytest.mark.parametrize("policy", [ALL, Memory(window=1, sink=1)], ids=["all", "window and sink"])
def test_with_one_k_the_matrix_holds_the_ordinary_rollout(solver: str, policy: Memory) -> None:
    model = causal(chunk=1)
    asked = rollout(model, solver=solver, policy=policy)
    matrix = cache_matrix(asked, KS)
    assert set(matrix) == set(product(KS, KS))
    for k in KS:
        chunks = roll(
            model, asked.memory(), lambda _: asked.text, asked.noise.split(1, dim=2),
            lambda v, x, at, k=k: generate(
                v, x, time_grid(k, SHIFT), solver, lambda i, like: renoise(i, asked.noise)[:, :, at : at + 1]
            ),
        )  # fmt: skip
        with torch.no_grad():
            assert torch.allclose(matrix[k, k], torch.cat(list(chunks), dim=2), **CLOSE)


def test_the_cache_alone_decides_all_but_the_last_chunk_and_matters_for_the_last() -> None:
    matrix = cache_matrix(rollout(causal(chunk=1)), KS)
    for k_cache, k in product(KS, KS):
        assert torch.equal(matrix[k_cache, k][:, :, :-1], matrix[k_cache, k_cache][:, :, :-1])
    last = {pair: latents[:, :, -1] for pair, latents in matrix.items()}
    gaps = [(last[2, k] - last[8, k]).abs().max() for k in KS] + [(last[k, 2] - last[k, 8]).abs().max() for k in KS]
    assert min(gaps) > 1e-4, "neither the cache nor K may be without effect"


def test_a_student_blind_to_its_past_has_equal_rows() -> None:
    matrix = cache_matrix(rollout(Closed(lambda x_t, t, past: t * x_t)), KS)
    for k_cache, k in product(KS, KS):
        assert torch.equal(matrix[k_cache, k][:, :, -1], matrix[k, k][:, :, -1])


def test_a_copying_student_hands_the_quality_of_its_cache_on() -> None:
    """The first chunk ends at 1 / K, K being the calls that it took; every later one copies the one before."""
    calls = [0]

    def velocity(x_t: Tensor, t: Tensor, past: list[Tensor]) -> Tensor:
        calls[0] = 1 if bool((t == 1).all()) else calls[0] + 1
        return (x_t - (past[-1] if past else torch.full_like(x_t, 1 / calls[0]))) / t

    for (k_cache, _), latents in cache_matrix(rollout(Closed(velocity)), KS).items():
        assert torch.allclose(latents, torch.full_like(latents, 1 / k_cache))


def test_one_chunk_has_no_cache() -> None:
    with pytest.raises(SaltError, match=r"1 latent frames with chunk=1 are one chunk.*accepted: two chunks or more"):
        cache_matrix(rollout(causal(chunk=1), frames=1), KS)


# ----------------------------------------------------------------------------------------- endpoint_mismatch
@pytest.mark.parametrize("solver", ["euler", "cm"])
def test_a_constant_field_composes_under_every_cache(solver: str) -> None:
    model = Closed(lambda x_t, t, past: torch.full_like(x_t, 1.0 + len(past)))
    defects = endpoint_mismatch(rollout(model, solver=solver), 4)
    assert defects.shape == (2, 3, 4)
    assert defects.max() < 1e-20


@pytest.mark.parametrize("solver", ["euler", "cm"])
def test_the_mismatch_is_the_closed_form_of_eq_16_in_every_chunk(solver: str) -> None:
    """Eq. (16): v = 1 + c t in chunk c, so x_1 - x_2 = (t_m - t_e) c (t_m - t_s) and x_1 - x_s = (t_e - t_s) v_s."""
    model = Closed(lambda x_t, t, past: (1 + len(past) * t).expand_as(x_t))
    found = endpoint_mismatch(rollout(model, solver=solver), 4)
    fine = (*time_grid(8, SHIFT), 0.0)
    for chunk in range(3):
        for i, (t_s, t_m, t_e) in enumerate(zip(fine[:-1:2], fine[1::2], fine[2::2], strict=True)):
            ratio = (t_m - t_e) * chunk * (t_m - t_s) / ((t_e - t_s) * (1 + chunk * t_s))
            assert torch.allclose(found[:, chunk, i], torch.full((2,), ratio**2, dtype=found.dtype), rtol=1e-6)


def test_a_network_is_measured_under_the_caches_of_its_own_rollout() -> None:
    """Chunks of two frames: the second one's defect changes with what the first left, its own noise being equal."""
    model = causal(chunk=2)
    asked = rollout(model, frames=4)
    defects = endpoint_mismatch(asked, 2)
    assert defects.shape == (2, 2, 2)
    assert bool((defects > 0).all())
    noise = torch.cat([-asked.noise[:, :, :2], asked.noise[:, :, 2:]], dim=2)
    other = endpoint_mismatch(ChunkedSampling(model, ALL, asked.text, noise, "cm", SHIFT, renoise), 2)
    assert not torch.allclose(defects[:, 1], other[:, 1], rtol=1e-3)


# ------------------------------------------------------------------------------------------------------ seam
def scroll(frames: int) -> Tensor:
    """A random picture that moves one pixel a frame, round and round: every change is the same."""
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.stack([picture.roll(i, dims=-1) for i in range(frames)], dim=2)


@pytest.mark.parametrize(("latent_frames", "chunk"), [(3, 1), (6, 3), (6, 2)])
def test_even_motion_has_no_seam(latent_frames: int, chunk: int) -> None:
    found = seam(scroll(1 + 4 * (latent_frames - 1)), latent_frames, chunk)
    assert found.across.shape == found.within.shape == (2,)
    assert found.ratio == pytest.approx(1)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_a_jump_where_a_chunk_begins_is_a_seam(chunk: int) -> None:
    """Brightness rises by 0.01 a frame, by 0.03 where a chunk begins; latent frame k begins with frame 4 k - 3."""
    steps = torch.full((20,), 0.01, dtype=torch.float64)
    first = torch.arange(chunk, 6, chunk) * 4 - 3
    steps[first - 1] = 0.03
    light = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
    video = light.view(1, 1, -1, 1, 1).expand(2, 3, -1, 4, 4)
    assert seam(video, 6, chunk).ratio == pytest.approx(3)


def test_videos_are_averaged_before_the_ratio_is_taken() -> None:
    moving = scroll(9)
    still = moving[:, :, :1].expand_as(moving)
    assert seam(torch.cat([moving, still]), 3, 1).ratio == pytest.approx(1)
    assert torch.isnan(torch.tensor(seam(still, 3, 1).ratio))


@pytest.mark.parametrize(
    ("frames", "latent_frames", "chunk", "said"),
    [
        (8, 3, 1, r"8 frames of 3 latent ones; accepted: 1 \+ s \(3 - 1\)"),
        (9, 3, 3, "no seam"),
        (1, 1, 1, "no seam"),
        (3, 3, 1, "no two frames within a chunk"),
    ],
)
def test_videos_without_both_kinds_of_change_are_refused(
    frames: int, latent_frames: int, chunk: int, said: str
) -> None:
    with pytest.raises(SaltError, match=said):
        seam(scroll(frames), latent_frames, chunk)
