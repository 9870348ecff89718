"""Samples of the truth are explained as what they are; every fault moves the measure that is made for it."""

import pytest
import torch
from torch import Tensor

from salt.data.modes import captions_of
from salt.data.world import caption
from salt.evaluation.modes.explained import Explained, explain
from salt.evaluation.modes.measures import CLASSES, Shares, energy_distance, measures, style_measures
from salt.models.factored import FactoredTeacher
from support.turning import HashedText, modes

CONTENTS = (0, 5, 17, 200, 911)
EACH = 200


@pytest.fixture(scope="module")
def teacher() -> FactoredTeacher:
    named, factored = modes()
    return FactoredTeacher(factored, captions_of(named, HashedText()))


def drawn(seed: int = 0, each: int = EACH) -> tuple[Tensor, Tensor, Tensor]:
    """Modes of some contents by their weights, and styles; and the embedded captions."""
    named, _ = modes()
    generator = torch.Generator().manual_seed(seed)
    chosen, text = [], []
    for content in CONTENTS:
        begin, end = int(named.bounds[content]), int(named.bounds[content + 1])
        weights = named.log_weights[begin:end].exp()
        chosen.append(begin + torch.multinomial(weights, each, replacement=True, generator=generator))
        text += [caption(named.contents[content])] * each
    return torch.cat(chosen), torch.randn(len(text), 3, generator=generator), HashedText().encode(text)


@pytest.fixture(scope="module")
def truth(teacher: FactoredTeacher) -> tuple[Explained, Tensor]:
    mode, z, text = drawn()
    x = modes()[1].states(mode, z)
    return explain(teacher, x.float(), text), x


def found_of(mode: Tensor, z: Tensor) -> dict[str, float]:
    near = torch.zeros(len(mode))
    return measures(Explained(mode, z, near, near + 1), Shares(modes()[0]))


# ------------------------------------------------------------------------------------------- explanations
def test_the_truth_is_explained_as_what_it_is(truth: tuple[Explained, Tensor]) -> None:
    mode, z, _ = drawn()
    found, _ = truth
    assert torch.equal(found.mode, mode)
    torch.testing.assert_close(found.style, z.double(), atol=0.02, rtol=0.02)
    assert found.left.max() < 0.01
    assert not found.off_support.any()


def test_a_sample_that_is_a_little_wrong_is_still_on_the_support(teacher: FactoredTeacher) -> None:
    mode, z, text = drawn(1, 8)
    x = modes()[1].states(mode, z)
    x = x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    found = explain(teacher, x.float(), text)
    assert torch.equal(found.mode, mode)
    assert found.left.mean() == pytest.approx(0.05, rel=0.05)
    assert not found.off_support.any()


def test_what_no_mode_explains_is_off_the_support(teacher: FactoredTeacher) -> None:
    """The mean of all modes, the clip of another caption, and noise."""
    mode, z, text = drawn(3, 8)
    x = modes()[1].states(mode, z)
    wrong = x.roll(8, 0)
    for broken in (x.mean(0, keepdim=True).expand_as(x), wrong, torch.randn(x.shape)):
        assert explain(teacher, broken.float(), text).off_support.double().mean() > 0.9


# ----------------------------------------------------------------------------------------------- measures
def test_the_truth_is_at_its_floor(truth: tuple[Explained, Tensor]) -> None:
    found = measures(truth[0], Shares(modes()[0]))
    assert found["off_support"] == 0
    assert found["speed_tv"] < 0.05
    assert found["turn_tv"] < 0.06
    assert found["place_tv"] < 0.2
    assert found["style_shift"] < 0.1
    assert found["style_spread"] == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("metric", ["speed_tv", "turn_tv"])
def test_a_class_that_never_occurs_is_missed_by_its_share(metric: str) -> None:
    """Every fast future, or every one that turns round, replaced by draws from the others."""
    named, _ = modes()
    mode, z, _ = drawn(4, 400)
    contents = torch.searchsorted(named.bounds, mode, right=True) - 1
    scenes = [named.scene(int(c), int(m - named.bounds[c])) for c, m in zip(contents, mode, strict=True)]
    of_class = [CLASSES[metric](scene, named.world.frames) for scene in scenes]
    gone = torch.tensor([one not in (1, None) for one in of_class])
    share = float(gone.double().mean())
    assert 0.1 < share < 0.9
    assert found_of(mode[~gone], z[~gone])[metric] == pytest.approx(share, abs=0.05)


def test_a_style_that_is_too_bright_and_too_narrow_is_seen() -> None:
    z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(5)).double()
    found = style_measures(z * torch.tensor([0.5, 1, 1]) + torch.tensor([2.0, 0, 0]))
    assert found["light_shift"] == pytest.approx(2, abs=0.05)
    assert found["light_spread"] == pytest.approx(0.5, abs=0.03)
    assert found["objects_spread"] == pytest.approx(1, abs=0.04)
    assert found["style_shift"] == pytest.approx(2 / 3**0.5, abs=0.05)


def test_shares_are_compared_within_a_kind() -> None:
    """A kind of which all samples lie in one mode has the distance 1 - its weight, the others theirs."""
    named, _ = modes()
    mode, _, _ = drawn(6)
    shares = Shares(named)
    one = mode[:1].expand(EACH)
    weight = float(named.log_weights[one[0]].exp())
    assert shares.tv("mode_tv", one) == pytest.approx(1 - weight)
    rest = mode[EACH:]
    both = shares.tv("mode_tv", torch.cat([one, rest]))
    kinds = [(named.contents[c].relation, named.contents[c].direction) for c in CONTENTS]
    assert kinds[0] not in kinds[1:]
    total = EACH * (1 - weight) + len(rest) * shares.tv("mode_tv", rest)
    assert both == pytest.approx(total / (EACH + len(rest)))


def test_energy_distance_is_zero_for_the_truth_and_grows() -> None:
    mode, z, _ = drawn(7, 60)
    other, y, _ = drawn(8, 60)
    x, truth = modes()[1].states(mode, z), modes()[1].states(other, y)
    near = energy_distance(x, truth)
    assert abs(near) < 0.01
    assert energy_distance(x * 0.8, truth) > near + 0.01
    brute = sum((a - b).norm() for a in x for b in truth) / len(x) ** 2 * 2
    for one in (x, truth):
        brute = brute - sum((a - b).norm() for a in one for b in one) / (len(one) * (len(one) - 1))
    assert near == pytest.approx(float(brute) / x[0].numel() ** 0.5, abs=1e-9)


def test_samples_that_are_nothing_have_no_shares() -> None:
    far = torch.ones(3)
    found = measures(Explained(torch.zeros(3, dtype=torch.int64), torch.zeros(3, 3), far, far * 0), Shares(modes()[0]))
    assert found.pop("off_support") == 1
    assert found.pop("left") == 1
    assert all(value != value for value in found.values())
