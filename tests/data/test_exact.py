"""Exact worlds as training data: samples of the modes that a file names, and trajectories that end in them."""

import pytest
import torch
from torch import Tensor

from salt.config.lab import Exact
from salt.data.exact import ExactData, ExactPairs, captions_of, causal_pairs_of, draw_mode, modes_of, pairs_of
from salt.errors import SaltError
from salt.flow.grid import time_grid
from salt.models.exact import ExactTeacher
from salt.streams import MemberStreams
from support.lab import exact_of, mixture

SEEDS = (1, 2, 3, 4)
T_8 = time_grid(8, 5.0)


def pool(scale: str, **changes: int) -> Exact:
    return exact_of(scale).model_copy(update={"pool": 512} | changes)


def samples(scale: str, number: int = 2000) -> tuple[Tensor, Tensor]:
    """Flat states of every member, and their conditions."""
    batch = ExactData(exact_of(scale), MemberStreams(SEEDS)).batch(range(number))
    assert batch.x_0.dtype is torch.float32
    assert batch.samples == tuple(range(number))
    return batch.x_0.flatten(1).view(len(SEEDS), number, -1), batch.text[:, 0].argmax(1).view(len(SEEDS), number)


def test_samples_of_the_mixture_have_its_shares_means_and_spreads() -> None:
    x, condition = samples("lab")
    for index, modes in enumerate(mixture().captions.values()):
        for member in range(len(SEEDS)):
            here = x[member][condition[member] == index]
            assert len(here) / 2000 == pytest.approx(0.5, abs=0.05)
            for mode in modes:
                at = here[(here[:, 0] > 0) == (mode.mean[0] > 0)]
                assert len(at) / len(here) == pytest.approx(mode.weight, abs=0.06)
                torch.testing.assert_close(at.mean(0), torch.tensor(mode.mean), rtol=0, atol=0.06)
                torch.testing.assert_close(at.std(0), torch.tensor(mode.spread), rtol=0.15, atol=0)


def test_samples_of_the_chain_start_at_one_point() -> None:
    x, _ = samples("lab_chain")
    states = x.view(len(SEEDS), -1, 2, 4)
    torch.testing.assert_close(states[..., 0].mean((0, 1)), torch.tensor([1.0, 0.0]), rtol=0, atol=0.01)
    torch.testing.assert_close(states[..., 0].std((0, 1)), torch.tensor([0.12, 0.12]), rtol=0.05, atol=0)


@pytest.mark.parametrize("scale", ["lab", "lab_chain"])
def test_a_members_batches_are_its_own(scale: str) -> None:
    """As alone, other than the others', and other in every update."""
    together, _ = samples(scale, 16)
    for member, seed in enumerate(SEEDS):
        alone = ExactData(exact_of(scale), MemberStreams([seed])).batch(range(16)).x_0.flatten(1)
        assert torch.equal(alone, together[member])
    assert not torch.equal(together[0], together[1])
    later = ExactData(exact_of(scale), MemberStreams(SEEDS)).batch(range(16, 32)).x_0.flatten(1)
    assert not torch.equal(later, together.flatten(0, 1))


def test_a_mode_is_drawn_by_its_weight() -> None:
    modes = modes_of(mixture())
    u = torch.tensor([0.0, 0.6, 0.7, 0.999])
    zero, one = (torch.full((4,), index, dtype=torch.int64) for index in (0, 1))
    assert draw_mode(modes, zero, u).tolist() == [0, 0, 1, 1]
    assert draw_mode(modes, one, u).tolist() == [0, 1, 1, 1]


# ------------------------------------------------------------------------------------------------ captions
def test_captions_are_probabilities_of_conditions() -> None:
    captions = captions_of(mixture())
    assert captions.encode(["right", "", "left"]).tolist() == [[[0.0, 1.0]], [[0.5, 0.5]], [[1.0, 0.0]]]
    assert captions_of(exact_of("lab_chain").world).encode(["chain", ""]).tolist() == [[[1.0]], [[1.0]]]


def test_a_caption_without_modes_is_refused_in_one_line() -> None:
    with pytest.raises(
        SaltError, match=r"caption 'lift': the world has no modes for it; did you mean 'left'\?"
    ) as caught:
        captions_of(mixture()).encode(["left", "lift"])
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------------------- trajectories
def trajectories(weight: float, steps: int = 64) -> ExactPairs:
    exact = pool("lab")
    return pairs_of(exact, ExactTeacher(modes_of(exact.world)), T_8, 5.0, steps, weight, MemberStreams(SEEDS))


def test_trajectories_begin_in_noise_and_end_in_the_world() -> None:
    pairs = trajectories(1.0)
    assert pairs.states.shape == (512, 9, 2, 1, 1, 1)
    noise = pairs.states[:, 0].flatten(1)
    assert noise.mean(0).abs().max() < 0.2
    end, left = pairs.states[:, -1].flatten(1), pairs.text[:, 0, 0] == 1
    assert left.sum() == 256
    assert (end[left, 0] < 0).float().mean().item() == pytest.approx(0.65, abs=0.12)
    assert (end[~left, 0] < 0).float().mean().item() == pytest.approx(0.35, abs=0.12)
    assert end[left, 1].mean().item() == pytest.approx(-0.5, abs=0.07)


def test_states_of_a_trajectory_lie_at_the_levels_of_t_train() -> None:
    """With as many steps as levels each state is one Euler step from the one before."""
    pairs = trajectories(1.0, steps=8)
    teacher, grid = ExactTeacher(modes_of(mixture())), [*time_grid(8, 5.0), 0.0]
    for i in range(8):
        x, t = pairs.states[:, i], torch.full((512,), grid[i])
        step = x - (grid[i] - grid[i + 1]) * teacher(x, t, pairs.text)
        torch.testing.assert_close(step, pairs.states[:, i + 1], rtol=1e-5, atol=1e-5)


def test_the_solver_stops_at_levels_off_its_grid() -> None:
    """Between two of them it takes the Euler steps of its own grid, and one more to each; noise is at t = 1."""
    exact, levels = pool("lab"), (0.95, 0.757, 0.522)
    teacher = ExactTeacher(modes_of(exact.world))
    pairs = pairs_of(exact, teacher, levels, 5.0, 4, 1.0, MemberStreams(SEEDS))
    x, t = trajectories(1.0).states[:, 0], 1.0
    stops = [0.9375, 0.95, 0.833333333, 0.757, 0.625, 0.522, 0.0]
    for stop in sorted(stops, reverse=True):
        x = x - (t - stop) * teacher(x, torch.full((512,), t), pairs.text)
        t = stop
        if t in (*levels, 0.0):
            torch.testing.assert_close(pairs.states[:, [*levels, 0.0].index(t)], x, rtol=1e-4, atol=1e-4)


def test_a_guided_teacher_narrows_and_saturates() -> None:
    plain, strong = (trajectories(weight).states[:, -1].flatten(1) for weight in (1.0, 4.0))
    left = trajectories(1.0).text[:, 0, 0] == 1
    assert strong[left, 1].mean() < plain[left, 1].mean() - 0.1
    assert strong[left, 1].std() < plain[left, 1].std()


def test_every_member_draws_its_own_of_one_pool() -> None:
    pairs = trajectories(1.0)
    batch = pairs.batch(range(16))
    assert batch.states is not None
    assert torch.equal(batch.x_0, batch.states[:, -1])
    alone = ExactPairs(pairs.states, pairs.text, pairs.empty, MemberStreams([SEEDS[2]])).batch(range(16))
    assert alone.states is not None
    assert torch.equal(alone.states, batch.states[32:48])
    assert torch.equal(alone.text, batch.text[32:48])


def test_trajectories_of_the_causal_teacher_keep_the_clip_they_are_conditioned_on() -> None:
    pairs = causal_pairs_of(pool("lab_chain"), T_8, 5.0, 64, MemberStreams(SEEDS))
    assert pairs.states.shape == (512, 10, 2, 4, 1, 1)
    end, clean = pairs.states[:, -2].flatten(2), pairs.states[:, -1].flatten(2)
    assert not torch.equal(end, clean)
    for i in range(1, 4):  # every chunk is one of two turns of the clean one before it
        before, here = (torch.complex(x[:, 0, j], x[:, 1, j]) for x, j in ((clean, i - 1), (end, i)))
        turns = torch.exp(torch.tensor([1j, -1j]) * torch.pi * 50 / 180)
        nearest = (here[:, None] - turns * before[:, None]).abs().min(1).values
        assert nearest.square().mean().sqrt().item() == pytest.approx(0.12 * 2**0.5, rel=0.35)
    batch = pairs.batch(range(4))
    assert batch.states is not None
    assert torch.equal(batch.x_0, batch.states[:, -1])


def test_a_mixture_has_no_causal_trajectories() -> None:
    with pytest.raises(SaltError, match="causal teacher: accepted: the world of kind chain"):
        causal_pairs_of(pool("lab"), T_8, 5.0, 64, MemberStreams(SEEDS))
