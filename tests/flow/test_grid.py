"""Grids, and the triples of Eq. (9)."""

from collections import Counter
from fractions import Fraction
from math import lcm, nan

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from salt.errors import SaltError
from salt.flow.grid import TripleLaw, check_grid, shift_time, time_grid, triples, unshift_time

# 1000 t, of the levels [1000, 750, 500, 250] and their like after the shift (Self Forcing, utils/scheduler.py)
WARPED = {
    (3, 2): [1000, 750],
    (3, 4): [1000, 900, 750, 500],
    (5, 2): [1000, 833.33],
    (5, 4): [1000, 937.5, 833.33, 625],
    (5, 8): [1000, 972.22, 937.5, 892.86, 833.33, 750, 625, 416.67],
    (8, 2): [1000, 888.89],
    (8, 4): [1000, 960, 888.89, 727.27],
    (8, 8): [1000, 982.46, 960, 930.23, 888.89, 827.59, 727.27, 533.33],
    (12, 2): [1000, 923.08],
    (12, 4): [1000, 972.97, 923.08, 800],
    (12, 8): [1000, 988.24, 972.97, 952.38, 923.08, 878.05, 800, 631.58],
    (16, 4): [1000, 979.59, 941.18, 842.11],
}
WARPED |= {
    (shift, 16): [float(level) for level in levels.split()]
    for shift, levels in {
        5: "1000 986.84 972.22 955.88 937.5 916.67 892.86 865.38 833.33 795.45 750 694.44 625 535.71 416.67 250",
        12: "1000 994.48 988.24 981.13 972.97 963.5 952.38 939.13 923.08 903.23 878.05 845.07 800 734.69 631.58 444.44",
    }.items()
}
T_2, T_4, T_8 = (time_grid(steps, 5.0) for steps in (2, 4, 8))


@pytest.mark.parametrize(("shift", "steps"), WARPED)
def test_published_grids(shift, steps):
    assert [1000 * t for t in time_grid(steps, shift)] == pytest.approx(WARPED[shift, steps], abs=0.005)


@settings(deadline=None)
@given(shift=st.floats(0.05, 50))
def test_grids_are_nested(shift):
    t_2, t_4, t_8, t_16 = (set(time_grid(steps, shift)) for steps in (2, 4, 8, 16))
    assert t_2 < t_4 < t_8 < t_16


@settings(deadline=None)
@given(u=st.floats(0, 1), shift=st.floats(0.05, 50))
def test_shift_keeps_the_ends_and_can_be_undone(u, shift):
    assert shift_time(0.0, shift) == 0
    assert shift_time(1.0, shift) == unshift_time(1.0, shift) == 1
    assert 0 <= shift_time(u, shift) <= 1
    assert shift_time(u, shift) == pytest.approx(shift * u / (1 + (shift - 1) * u))
    assert unshift_time(shift_time(u, shift), shift) == pytest.approx(u)
    assert shift_time(torch.tensor([u], dtype=torch.float64), shift).item() == pytest.approx(shift_time(u, shift))


@pytest.mark.parametrize(
    ("times", "names"),
    [
        ([], "no times"),
        ([1.0, 0.5, 0.0], r"times\[2\]=0.0"),
        ([1.2, 0.5], r"times\[0\]=1.2"),
        ([1.0, nan], r"times\[1\]=nan"),
        ([1.0, 0.5, 0.5], r"times\[1\]=0.5 is followed by times\[2\]=0.5"),
        ([1.0, 0.2, 0.5], r"times\[1\]=0.2 is followed by times\[2\]=0.5"),
    ],
)
def test_what_is_no_grid_is_refused(times, names):
    with pytest.raises(SaltError, match=names):
        check_grid(times)
    with pytest.raises(SaltError, match=names):
        TripleLaw(times, [1.0, 0.5], "uniform")
    with pytest.raises(SaltError, match=names):
        TripleLaw([1.0, 0.5], times, "uniform")


def test_a_shift_that_merges_levels_is_refused():
    with pytest.raises(SaltError, match="is followed by"):
        time_grid(4, 1e20)


@pytest.mark.parametrize(("inference", "pairs", "count"), [(T_2, 10, 34), (T_4, 16, 50), (T_8, 28, 84)])
def test_number_of_triples_on_eight_levels(inference, pairs, count):
    """Eq. (9): how many (t_s, t_e) and (t_s, t_m, t_e) there are, with t_e = 0 among them."""
    found = triples(inference, T_8)
    assert len(found) == len(set(found)) == count
    assert len({(t_s, t_e) for t_s, _, t_e in found}) == pairs
    assert all(t_s > t_m > t_e for t_s, t_m, t_e in found)
    assert {t_e for _, _, t_e in found} <= {*inference, 0.0}
    assert T_8[-1] not in {t_s for t_s, _, _ in found}


def frequencies(law, i, most_ends, most_between):
    """The exact law of (t_m, t_e) at place i: an even lattice of random numbers fills every bin equally."""
    n_e, n_m = (lcm(*range(1, n + 1)) for n in (most_ends, most_between))
    lattice = torch.cartesian_prod(*((torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (n_e, n_m)))
    t_m, t_e, valid = law.sample(torch.full((len(lattice),), i), lattice)
    counts = Counter(zip(t_m.tolist(), t_e.tolist(), valid.tolist(), strict=True))
    return {key: Fraction(count, len(lattice)) for key, count in counts.items()}


@pytest.mark.parametrize("inference", [T_2, T_4])
@pytest.mark.parametrize("i", range(7))
def test_uniform_law(inference, i):
    """Eq. (9): t_e uniform among those that leave a t_m, then t_m uniform; every triple can be drawn."""
    allowed = [triple for triple in triples(inference, T_8) if triple.t_s == T_8[i]]
    between = Counter(t_e for _, _, t_e in allowed)
    expected = {(t_m, t_e, True): Fraction(1, len(between) * between[t_e]) for _, t_m, t_e in allowed}
    assert frequencies(TripleLaw(inference, T_8, "uniform"), i, 5, 7) == expected


TWO_LARGEST = [[2, 4], [4, 6], [4, 6], [6, 8], [6, 8], [8], [8]]  # place of t_e in T_8 and 0, for each t_s


@pytest.mark.parametrize("i", range(7))
def test_released_law(i):
    """Eq. (9): the released trainer's t_e, one of the two largest below the level after t_s."""
    ends = [(*T_8, 0.0)[e] for e in TWO_LARGEST[i]]
    expected = {}
    for t_e in ends:
        between = [t for t in T_8 if t_e < t < T_8[i]]
        expected |= {(t_m, t_e, True): Fraction(1, len(ends) * len(between)) for t_m in between}
    assert frequencies(TripleLaw(T_4, T_8, "top2"), i, 2, 7) == expected


@pytest.mark.parametrize("te_law", ["uniform", "top2"])
def test_where_there_is_no_triple(te_law):
    """Eq. (9): an empty set is told, with times at which every function is finite and the defect 0."""
    law = TripleLaw(T_4, T_8, te_law)
    t_m, t_e, valid = law.sample(torch.tensor([7, 0, 7]), torch.full((3, 2), 0.99))
    assert valid.tolist() == [False, True, False]
    assert t_m[[0, 2]].tolist() == t_e[[0, 2]].tolist() == pytest.approx([T_8[7]] * 2)
    _, _, valid = TripleLaw(T_4, T_4, te_law).sample(torch.arange(4), torch.rand(4, 2))
    assert valid.tolist() == [True, True, True, False]


@settings(deadline=None, max_examples=50)
@given(
    steps=st.integers(1, 6),
    factor=st.integers(1, 4),
    shift=st.floats(0.2, 20),
    seed=st.integers(0, 2**31),
    te_law=st.sampled_from(["uniform", "top2"]),
)
def test_every_draw_is_a_triple_of_its_own_random_numbers(steps, factor, shift, seed, te_law):
    assume(steps * factor > 1)
    inference, training = time_grid(steps, shift), time_grid(steps * factor, shift)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(len(training), (16,), generator=generator)
    u = torch.rand(16, 2, generator=generator, dtype=torch.float64)
    u[0] = 0.0
    u[1] = torch.nextafter(torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64))
    law = TripleLaw(inference, training, te_law)
    t_m, t_e, valid = law.sample(index, u)
    allowed = set(triples(inference, training))
    for i, m, e, ok in zip(index.tolist(), t_m.tolist(), t_e.tolist(), valid.tolist(), strict=True):
        assert ok == (i < len(training) - 1)
        assert not ok or (training[i], m, e) in allowed
    alone = law.sample(index[5:6], u[5:6])
    assert_close(alone, (t_m[5:6], t_e[5:6], valid[5:6]), rtol=0, atol=0)
