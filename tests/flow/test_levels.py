"""Levels of one's own: the published lists, between them straight lines, and nested as shifted grids are."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from salt.errors import SaltError
from salt.flow.grid import TripleLaw, level_time, merged_grid, time_grid, triples, warp_settings

PUBLISHED = {
    "CausVid": (1.0, 0.757, 0.522),
    "rCM": (0.98765, 0.9338, 0.8529, 0.609),
    "FastGen": (0.999, 0.937, 0.833, 0.624),
}


@st.composite
def lists(draw: st.DrawFn) -> tuple[float, ...]:
    drawn = draw(st.lists(st.floats(1e-3, 1), min_size=1, max_size=6, unique=True))
    levels = tuple(sorted(drawn, reverse=True))
    assume(all(t - s > 1e-6 for t, s in zip(levels, (*levels[1:], 0.0), strict=True)))
    return levels


@pytest.mark.parametrize("name", PUBLISHED)
def test_in_as_many_steps_as_levels_these_are_the_grid(name: str) -> None:
    assert time_grid(len(PUBLISHED[name]), PUBLISHED[name]) == PUBLISHED[name]


def test_between_levels_times_are_half_way() -> None:
    grid = time_grid(6, PUBLISHED["CausVid"])
    assert grid == pytest.approx((1.0, (1 + 0.757) / 2, 0.757, (0.757 + 0.522) / 2, 0.522, 0.522 / 2))


@given(levels=lists(), u=st.floats(0, 1))
def test_the_map_is_the_line_through_the_levels(levels: tuple[float, ...], u: float) -> None:
    knots = np.linspace(1, 0, len(levels) + 1)
    assert level_time(u, levels) == pytest.approx(np.interp(u, knots[::-1], (*levels, 0.0)[::-1]), abs=1e-12)


@given(levels=lists(), factor=st.integers(1, 5), more=st.integers(2, 5))
def test_grids_are_nested_and_hold_the_levels(levels: tuple[float, ...], factor: int, more: int) -> None:
    own, fine, finer = (time_grid(len(levels) * n, levels) for n in (1, factor, factor * more))
    assert own == levels
    assert set(levels) <= set(fine) < set(finer)
    few, many = (time_grid(steps, levels) for steps in (more, more * factor))  # whatever their number is to that of K
    assert set(few) <= set(many)
    assert merged_grid(fine, finer) == finer


@given(shift=st.floats(0.2, 20), steps=st.integers(1, 16))
def test_levels_that_are_those_of_a_shift_are_its_grid(shift: float, steps: int) -> None:
    grid = time_grid(steps, shift)
    assert time_grid(steps, grid) == grid


def test_triples_lie_on_the_map() -> None:
    """Eq. (9) with T_train twice as fine as CausVid's list: t_e in the list and 0, t_m between them as well."""
    inference, training = (time_grid(steps, PUBLISHED["CausVid"]) for steps in (3, 6))
    found = triples(inference, training)
    assert {t_e for _, _, t_e in found} == {0.757, 0.522, 0.0}
    assert {t_m for _, t_m, _ in found} == set(training[1:])
    law = TripleLaw(inference, training, "uniform")
    assert law._draw(1, 0.0, 0.0) == (0.757, 0.522, True)


@pytest.mark.parametrize("levels", [(), (0.5, 0.7), (1.2, 0.5), (0.5, 0.0)])
def test_a_list_that_is_no_grid_is_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(SaltError, match="grid: "):
        time_grid(max(len(levels), 1), levels)


def test_a_warp_is_recorded_by_the_key_that_states_it() -> None:
    assert warp_settings(5.0) == {"shift": 5.0}
    assert warp_settings((1.0, 0.757)) == {"levels": [1.0, 0.757]}
