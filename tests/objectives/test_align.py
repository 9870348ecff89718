"""The alignment loss against three plain loops, its invariances, and how much memory it takes."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.graph import saved_tensors_hooks
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from salt.objectives import align
from salt.objectives.align import SMALLEST_NORM, alignment_loss, relations

SHAPE = (2, 3, 5, 4)
MARGIN = 0.1


def by_loops(z_low, z_ref, margin):
    """Eq. (12) of one sample `(F, S, D)`, as it is written."""
    frames, tokens, _ = z_low.shape

    def cosine(a, b):
        return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))

    total = 0.0
    for f in range(frames):
        for i, j in product(range(tokens), repeat=2):
            difference = cosine(z_low[f, i], z_low[f, j]) - cosine(z_ref[f, i], z_ref[f, j])
            total += max(abs(difference) - margin, 0)
    return total / frames / tokens**2


def literal(z_low, z_ref, margin):
    """Eq. (12) with all matrices at once."""
    unit_low, unit_ref = (z / z.norm(dim=-1, keepdim=True) for z in (z_low, z_ref))
    difference = unit_low @ unit_low.mT - unit_ref @ unit_ref.mT
    return (difference.abs() - margin).clamp(min=0).mean((1, 2, 3))


def test_relations_are_cosines(randn):
    """Eq. (11): symmetric, 1 on the diagonal; a block of rows is a block of the matrix."""
    z = randn(2, 5, 4)
    whole = relations(z, z)
    assert_close(whole, torch.cosine_similarity(z[:, :, None], z[:, None], dim=-1))
    assert_close(whole.diagonal(dim1=1, dim2=2), torch.ones(2, 5, dtype=torch.float64))
    assert_close(relations(z[:, 1:3], z), whole[:, 1:3])


@pytest.mark.parametrize("margin", [0.0, MARGIN, 0.7])
@pytest.mark.parametrize("rows", [1, 2, 5, 512])
def test_loss_is_the_equation_in_plain_loops(randn, monkeypatch, margin, rows):
    """Eq. (12): whatever the size of the blocks."""
    monkeypatch.setattr(align, "BLOCK_ROWS", rows)
    z_low, z_ref = randn(*SHAPE), randn(*SHAPE)
    expected = [by_loops(low, ref, margin) for low, ref in zip(z_low.numpy(), z_ref.numpy(), strict=True)]
    assert min(expected) > 0
    assert_close(alignment_loss(z_low, z_ref, margin), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("rows", [2, 512])
def test_gradient_is_that_of_the_literal_equation(randn, monkeypatch, rows):
    """Eq. (12): by automatic differentiation, each sample with a weight of its own."""
    monkeypatch.setattr(align, "BLOCK_ROWS", rows)
    z_low, z_ref, weight = randn(*SHAPE).requires_grad_(), randn(*SHAPE), randn(SHAPE[0])
    (ours,) = torch.autograd.grad((weight * alignment_loss(z_low, z_ref, MARGIN)).sum(), z_low)
    (expected,) = torch.autograd.grad((weight * literal(z_low, z_ref, MARGIN)).sum(), z_low)
    assert ours.abs().max() > 0
    assert_close(ours, expected)


def test_the_reference_is_a_constant(randn):
    z_low, z_ref = randn(*SHAPE).requires_grad_(), randn(*SHAPE).requires_grad_()
    alignment_loss(z_low, z_ref, MARGIN).sum().backward()
    assert z_low.grad is not None
    assert z_ref.grad is None


# ---------------------------------------------------------------------------------------- what it ignores
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_rotated_and_scaled_features_are_the_same(seed, scale):
    """Relations stay when all tokens of a frame turn together, or any token changes its length."""
    rng = torch.Generator().manual_seed(seed)
    z_low, z_ref = (torch.randn(*SHAPE, generator=rng, dtype=torch.float64) for _ in range(2))
    rotation, _ = torch.linalg.qr(torch.randn(SHAPE[1], 4, 4, generator=rng, dtype=torch.float64))
    lengths = scale * (0.1 + torch.rand(*SHAPE[:3], 1, generator=rng, dtype=torch.float64))
    expected = alignment_loss(z_low, z_ref, MARGIN)
    assert_close(alignment_loss(z_low @ rotation, z_ref, MARGIN), expected)
    assert_close(alignment_loss(z_low * lengths, z_ref, MARGIN), expected)
    assert_close(alignment_loss(z_low @ rotation * lengths, z_low, 0.0), torch.zeros_like(expected), atol=1e-9, rtol=0)


def test_equal_features_cost_nothing(randn):
    z = randn(*SHAPE)
    assert alignment_loss(z, z.clone(), 0.0).tolist() == [0.0, 0.0]


def test_frames_do_not_mix(randn):
    """Frames in another order, in both: the same loss; in one alone: another."""
    z_low, z_ref = randn(*SHAPE), randn(*SHAPE)
    expected = alignment_loss(z_low, z_ref, MARGIN)
    assert_close(alignment_loss(z_low.flip(1), z_ref.flip(1), MARGIN), expected)
    assert not torch.allclose(alignment_loss(z_low.flip(1), z_ref, MARGIN), expected)


@pytest.mark.parametrize("angle", [0.3, 1.2])
@pytest.mark.parametrize("gap", [-1e-3, 0.0, 1e-3])
def test_the_kink_lies_at_the_margin(angle, gap):
    """Two tokens, at right angles in the reference: the cosine of the low pair is the difference, twice in 2 x 2."""
    z_low = torch.tensor([[[[1.0, 0.0], [np.cos(angle), np.sin(angle)]]]], dtype=torch.float64, requires_grad=True)
    z_ref = torch.eye(2, dtype=torch.float64)[None, None]
    loss = alignment_loss(z_low, z_ref, np.cos(angle) - gap)
    assert_close(loss, torch.tensor([max(gap, 0.0) / 2], dtype=torch.float64))
    loss.sum().backward()
    assert gap == 0 or bool(z_low.grad.any()) == (gap > 0)


@pytest.mark.parametrize("which", ["low", "ref", "both"])
def test_zero_tokens_give_finite_numbers(randn, which):
    """A zero token has cosine 0 with all, itself included, and its gradient is bounded."""
    z_low, z_ref = randn(1, 1, 3, 4), randn(1, 1, 3, 4)
    for name, z in (("low", z_low), ("ref", z_ref)):
        if which in (name, "both"):
            z[0, 0, 1] = 0
    assert relations(z_low[0], z_low[0])[0, 1, 1] == (0 if which != "ref" else pytest.approx(1))
    z_low.requires_grad_()
    loss = alignment_loss(z_low, z_ref, 0.0)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert z_low.grad.isfinite().all()
    assert z_low.grad.abs().max() <= 3 / SMALLEST_NORM


def test_nan_is_not_hidden(randn):
    z_low, z_ref = randn(*SHAPE), randn(*SHAPE)
    z_low[1, 0, 0] = torch.nan
    assert alignment_loss(z_low, z_ref, MARGIN).isnan().tolist() == [False, True]


# ------------------------------------------------------------------------------------------------- memory
class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


FRAMES, TOKENS, CHANNELS, ROWS = 4, 64, 4, 16


def measure(loss, randn):
    """Elements of the largest tensor of forward and backward, and of the memory that is kept between the two."""
    z_low, z_ref = randn(1, FRAMES, TOKENS, CHANNELS).requires_grad_(), randn(1, FRAMES, TOKENS, CHANNELS)
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.itemsize
        return tensor

    with Largest() as largest:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            value = loss(z_low, z_ref, MARGIN).sum()
        value.backward()
    return largest.elements, sum(kept.values())


def test_no_frame_is_ever_whole_and_nothing_is_kept(randn, monkeypatch):
    monkeypatch.setattr(align, "BLOCK_ROWS", ROWS)
    largest, kept = measure(alignment_loss, randn)
    features, block = FRAMES * TOKENS * CHANNELS, ROWS * TOKENS
    assert largest == max(features, block)
    assert kept == 2 * features  # z_low and z_ref themselves, of which the blocks are views
    largest, kept = measure(literal, randn)  # what the ruler says of the plain way
    assert largest == FRAMES * TOKENS**2
    assert kept > FRAMES * TOKENS**2
