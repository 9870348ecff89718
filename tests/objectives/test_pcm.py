"""Phased consistency: which phase a level lies in, the target, the distance."""

import pytest
import torch

from salt.flow.grid import time_grid
from salt.objectives.pcm import phase_ends, phased_consistency_loss, phased_target


def test_every_level_has_the_end_of_its_phase():
    assert phase_ends(6, 3) == [2, 2, 4, 4, 6, 6]
    assert phase_ends(4, 1) == [4] * 4
    assert phase_ends(4, 4) == [1, 2, 3, 4]
    fine, phases = (*time_grid(48, 5.0), 0.0), (*time_grid(8, 5.0), 0.0)
    assert sorted({fine[end] for end in phase_ends(48, 8)}, reverse=True) == pytest.approx(phases[1:])


def test_the_distance_is_pseudo_huber(randn):
    one, other = randn(2, 3, 4), randn(2, 3, 4)
    loss = phased_consistency_loss(one, other, 0.5)
    by_hand = [[(d**2 + 0.25) ** 0.5 - 0.5 for d in row.flatten().tolist()] for row in one - other]
    assert loss.tolist() == pytest.approx([sum(row) / len(row) for row in by_hand])
    assert phased_consistency_loss(one, one, 0.5).abs().max() == 0
    small = phased_consistency_loss(one, one + 1e-3, 1.0)
    torch.testing.assert_close(small, torch.full_like(small, 0.5e-6), rtol=1e-3, atol=0)


def test_the_target_is_a_constant_and_the_state_itself_where_the_phase_ends(randn):
    x, scale = randn(2, 5), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    t, end = torch.tensor([0.5, 0.3], dtype=torch.float64), torch.tensor([0.2, 0.3], dtype=torch.float64)
    target = phased_target(lambda x, t: scale * x, x, t, end)
    assert not target.requires_grad
    torch.testing.assert_close(target, torch.stack([x[0] - 0.3 * 2 * x[0], x[1]]))
