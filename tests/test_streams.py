"""Random streams: named, split-proof, and the same for ever."""

import numpy as np
import pytest
import torch

from salt.streams import Streams

SAMPLES = [5, 0, 2**40, 17]


@pytest.mark.parametrize("draw", ["normal", "uniform", "integers"])
def test_draws_do_not_depend_on_how_samples_are_grouped(draw: str) -> None:
    argument = 1000 if draw == "integers" else (2, 3)
    together = getattr(Streams(1), draw)("noise", 4, SAMPLES, argument)
    torch.manual_seed(0)
    apart = torch.cat([getattr(Streams(1), draw)("noise", 4, [sample], argument) for sample in SAMPLES])
    assert torch.equal(together, apart)
    assert together.shape[0] == len(SAMPLES)


def test_every_part_of_the_name_matters() -> None:
    names = [(1, "a", 0, 0), (2, "a", 0, 0), (1, "b", 0, 0), (1, "a", 1, 0), (1, "a", 0, 1), (1 + 2**32, "a", 0, 0)]
    draws = [Streams(seed).normal(purpose, step, [sample], (8,)) for seed, purpose, step, sample in names]
    for i, first in enumerate(draws):
        assert not any(torch.equal(first, other) for other in draws[:i])


def test_the_numbers_of_a_name_are_the_same_for_ever() -> None:
    """A changed hash would silently change every result: these are the numbers of the first release."""
    streams = Streams(0)
    assert streams.integers("index", 3, [0, 1, 2, 3], 1000).tolist() == [393, 400, 927, 929]
    assert streams.uniform("t", 0, [7, 8]).tolist() == pytest.approx([0.4708247, 0.5264629])
    assert streams.normal("eps", 1, [2], (3,)).tolist() == [pytest.approx([0.4145448, -0.4623419, 2.0991812])]


def test_kinds_of_integers_name_the_same_stream() -> None:
    assert torch.equal(Streams(0).uniform("t", 1, [3]), Streams(0).uniform("t", np.int64(1), [np.int64(3)]))


def test_distributions() -> None:
    samples = range(4000)
    normal = Streams(0).normal("n", 0, samples, (4,))
    uniform = Streams(0).uniform("u", 0, samples)
    integers = Streams(0).integers("i", 0, samples, 8)
    assert normal.dtype is uniform.dtype is torch.float32
    assert normal.mean().abs() < 0.03
    assert (normal.std() - 1).abs() < 0.03
    assert torch.corrcoef(normal.T).fill_diagonal_(0).abs().max() < 0.06
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert (uniform.mean() - 0.5).abs() < 0.02
    counts = integers.bincount(minlength=8)
    assert len(counts) == 8
    assert (counts - 500).abs().max() < 110
