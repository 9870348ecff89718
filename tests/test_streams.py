"""Random streams: named, split-proof, and the same for ever."""

import numpy as np
import pytest
import torch

from salt.draws import Rewound, generator
from salt.streams import MemberStreams, Streams

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


# ------------------------------------------------------------------------------------- of an ensemble
SEEDS = (3, 100, 2**40)


def test_a_rewound_generator_is_a_new_one() -> None:
    """Whatever was drawn before, and with which method: also what a generator keeps back of a word."""
    rewound = Rewound()
    for name in [(1, "a", 0, 0), (2, "b", 3, 2**40), (1, "a", 0, 0), (1, "a", 0, 1)]:
        for draw in ("standard_normal", "random"):
            for dtype in (np.float32, np.float64):
                numbers = getattr(rewound.to(*name), draw)(7, dtype=dtype)
                assert np.array_equal(numbers, getattr(generator(*name), draw)(7, dtype=dtype))
        assert rewound.to(*name).integers(10**6) == generator(*name).integers(10**6)
        rewound.to(*name).integers(3, dtype=np.uint32)


@pytest.mark.parametrize("draw", ["normal", "uniform", "integers"])
def test_a_member_draws_what_it_would_alone(draw: str) -> None:
    argument = 1000 if draw == "integers" else (2, 3)
    together = getattr(MemberStreams(SEEDS), draw)("noise", 4, [8, 9, 10, 11], argument)
    assert len(together) == len(SEEDS) * 4
    for member, seed in enumerate(SEEDS):
        alone = getattr(MemberStreams([seed]), draw)("noise", 4, [8, 9, 10, 11], argument)
        assert torch.equal(together[4 * member : 4 * (member + 1)], alone)


def test_a_block_is_one_draw_of_the_first_samples_stream() -> None:
    streams = MemberStreams([5])
    block = generator(5, "n", 2, 8)
    expected = torch.from_numpy(block.standard_normal((3, 2), dtype=np.float32))
    assert torch.equal(streams.normal("n", 2, [8, 9, 10], (2,)), expected)
    assert streams.normal("n", 2, range(8, 11), (2,)).dtype is torch.float32


def test_integers_are_the_floor_of_one_u_whatever_the_range() -> None:
    """So arms with other numbers of levels share what can be shared."""
    streams, samples = MemberStreams(SEEDS), range(64)
    u = torch.cat([torch.from_numpy(generator(seed, "i", 0, 0).random(64)) for seed in SEEDS])
    for high in (1, 2, 8, 16, 1000):
        integers = streams.integers("i", 0, samples, high)
        assert integers.dtype is torch.int64
        assert torch.equal(integers, (u * high).floor().long())
    assert torch.equal(streams.integers("i", 0, samples, 16) // 2, streams.integers("i", 0, samples, 8))


def test_every_part_of_a_members_name_matters() -> None:
    names = [(1, "a", 0, 0), (2, "a", 0, 0), (1, "b", 0, 0), (1, "a", 1, 0), (1, "a", 0, 8)]
    draws = [MemberStreams([seed]).normal(purpose, step, [sample], (8,)) for seed, purpose, step, sample in names]
    for i, first in enumerate(draws):
        assert not any(torch.equal(first, other) for other in draws[:i])


def test_distributions_of_members() -> None:
    streams, samples = MemberStreams(range(8)), range(2000)
    normal = streams.normal("n", 0, samples, (2,)).view(8, 2000, 2)
    uniform = streams.uniform("u", 0, samples).view(8, 2000)
    counts = torch.stack([row.bincount(minlength=8) for row in streams.integers("i", 0, samples, 8).view(8, 2000)])
    assert normal.mean((1, 2)).abs().max() < 0.08
    assert (normal.std((1, 2)) - 1).abs().max() < 0.06
    assert torch.corrcoef(normal[:, :, 0]).fill_diagonal_(0).abs().max() < 0.1, "members are independent"
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert (uniform.mean(1) - 0.5).abs().max() < 0.03
    assert (counts - 250).abs().max() < 80
