"""Ensembles in the training loop: each member as it would be alone, whatever becomes of the others."""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.methods import Distill
from salt.methods.terms import Components, build_terms
from salt.models.ensemble import EnsembleVelocity, lost_members
from salt.models.protocol import Batch
from salt.streams import MemberStreams
from salt.training import members
from salt.training.checkpoint import list_checkpoints
from support.lab import SEEDS, arm, build, ensemble, normal, train

ARMS = {
    "flow matching": ("teacher", {}),
    "lambda 0, noised data": ("dmd_8", {}),
    "lambda .3, noised data": ("sc_dmd", {}),
    "lambda 0, backward simulation": ("dmd_8_bs", {}),
    "lambda .3, backward simulation": ("dmd_8_bs", {"objectives__sc__weight": 0.3}),
}
SICK = 2
"""The member that diverges."""


class Poisoned:
    """Data of an ensemble that are NaN for some of its members from an update on."""

    def __init__(self, data: Any, which: Sequence[int], members: int, first: int = 0) -> None:
        self.data, self.which, self.members, self.first = data, which, members, first

    def batch(self, samples: Sequence[int]) -> Batch:
        batch = self.data.batch(samples)
        if samples[0] >= self.first:
            batch.x_0.view(self.members, -1)[list(self.which)] = math.nan
        return batch


def poisoned(setting: Experiment, which: Sequence[int] = (SICK,), first: int = 0) -> tuple[Any, Poisoned]:
    method, data = build(setting)
    return method, Poisoned(data, which, len(SEEDS), first)


def entries(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Bit for bit, NaN included."""
    return one.keys() == other.keys() and all(
        torch.equal(value.view(torch.int32), other[name].view(torch.int32)) for name, value in one.items()
    )


# ---------------------------------------------------------------------------------- alone and among others
@pytest.mark.parametrize("name", ARMS)
def test_a_member_trained_alone_is_the_one_in_an_ensemble(tmp_path: Path, name: str) -> None:
    """Bit for bit, for ensembles of a power of two: a mean over E members and times E is exact.

    So many single runs and one ensemble are equal in distribution, too.
    """
    row, changes = ARMS[name]
    setting = arm(row, **changes)
    together = load_file(train(setting, tmp_path / "together"))
    for index, seed in list(enumerate(SEEDS))[1:3]:
        alone = load_file(train(setting, tmp_path / f"{seed}", [seed]))
        assert same(alone, {key: value[index : index + 1] for key, value in together.items()}), seed
    start = ensemble(setting).state_dict()
    assert not any(torch.equal(value, start[key]) for key, value in together.items())


def test_a_member_of_three_is_the_one_alone_but_for_rounding(tmp_path: Path) -> None:
    setting = arm("sc_dmd")
    together = load_file(train(setting, tmp_path / "together", SEEDS[:3]))
    alone = load_file(train(setting, tmp_path / "alone", [SEEDS[1]]))
    for key, value in alone.items():
        torch.testing.assert_close(value[0], together[key][1], rtol=1e-3, atol=2e-5)


def test_members_differ_and_their_order_does_not_matter(tmp_path: Path) -> None:
    setting = arm("sc_dmd")
    forth = load_file(train(setting, tmp_path / "forth"))
    back = load_file(train(setting, tmp_path / "back", SEEDS[::-1]))
    assert same(forth, {key: value.flip(0).contiguous() for key, value in back.items()})
    assert not any(torch.equal(value[0], value[1]) for value in forth.values())


# ---------------------------------------------------------------------------------------------- lambda 0
def test_lambda_0_is_dmd_bit_for_bit(tmp_path: Path) -> None:
    without = arm("dmd_8")
    zero = arm("sc_dmd", objectives__sc__weight=0.0)
    assert zero.objectives.sc is not None
    some = arm("sc_dmd")
    weights = [load_file(train(one, tmp_path / f"{i}")) for i, one in enumerate((without, zero, some))]
    assert same(weights[0], weights[1])
    assert not same(weights[0], weights[2])


def test_the_sc_term_at_lambda_0_changes_no_bit() -> None:
    """Its path itself, which `build_terms` leaves out at weight 0: evaluated, multiplied by 0, added."""

    def gradients(weight: float | None) -> list[Tensor]:
        setting = arm("sc_dmd", objectives__sc__weight=0.3)
        method, data = build(setting)
        assert isinstance(method, Distill)
        if weight is None:
            method._terms = tuple(term for term in method._terms if type(term).__name__ != "SelfConsistency")
        else:
            (sc,) = (term for term in method._terms if type(term).__name__ == "SelfConsistency")
            sc.weight = weight
        loss, recorded = method.loss("generator", data.batch(range(16)), 4)
        assert ("sc" in recorded) == (weight is not None)
        loss.backward()
        return [parameter.grad for parameter in method.trainable["generator"].parameters()]

    dmd, zero, some = gradients(None), gradients(0.0), gradients(0.3)
    assert all(torch.equal(a, b) for a, b in zip(dmd, zero, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(dmd, some, strict=True))


# ------------------------------------------------------------------------------------------------ resume
class Stop(Exception):
    """As if the process had been killed."""


class Killed:
    """Data that end the process after so many batches."""

    def __init__(self, data: Any, after: int) -> None:
        self.data, self.left = data, after

    def batch(self, samples: Sequence[int]) -> Batch:
        if not self.left:
            raise Stop
        self.left -= 1
        return self.data.batch(samples)


@pytest.mark.parametrize("lost", [False, True], ids=["all well", "one lost"])
@pytest.mark.parametrize("row", ["sc_dmd", "salt_causal_forcing"])
def test_a_killed_run_ends_as_the_unbroken_one(tmp_path: Path, row: str, lost: bool) -> None:
    scale = "lab" if row == "sc_dmd" else "lab_chain"
    aligned = {} if row == "sc_dmd" else {"objectives__align__start": 0}
    setting = arm(row, scale, train__iterations=7, train__checkpoint_every=2, **aligned)
    # NaN reaches noised data's students alone; one of a chain is given a start that is none
    first = 10 * setting.train.batch_size if lost else 10**9

    def fresh() -> tuple[Any, Any]:
        method, data = poisoned(setting, first=first)
        if lost and scale == "lab_chain":
            with torch.no_grad():
                next(method.trainable["generator"].parameters())[SICK] = math.nan
        return method, data

    unbroken = load_file(train(setting, tmp_path / "unbroken", built=fresh()))
    for after in (9, 14, 21):
        method, data = fresh()
        with pytest.raises(Stop):
            train(setting, tmp_path / "broken", built=(method, Killed(data, after)))
        assert list_checkpoints(tmp_path / "broken" / "run" / "checkpoints") or after == 9
    broken = load_file(train(setting, tmp_path / "broken", built=fresh()))
    assert same(unbroken, broken)
    assert entries(tmp_path / "unbroken") == entries(tmp_path / "broken")
    assert [bool(value.isnan().any()) for value in broken["mlp.layers.0.weight"]] == [
        lost and index == SICK for index in range(len(SEEDS))
    ]


# ------------------------------------------------------------------------------------------------- clip
def networks(scales: Sequence[float]) -> tuple[EnsembleVelocity, list[nn.Module]]:
    """An ensemble with gradients of given sizes, and its members as modules of their own."""
    made = ensemble(arm("dmd_8"))
    assert isinstance(made, EnsembleVelocity)
    singles: list[nn.Module] = [nn.ParameterList() for _ in SEEDS]
    for place, parameter in enumerate(made.parameters()):
        grown = normal(*parameter.shape, seed=place, dtype=torch.float32)
        parameter.grad = grown * torch.tensor(scales).view(-1, 1, 1)
        for index, single in enumerate(singles):
            single.append(nn.Parameter(parameter.detach()[index].clone()))
            single[-1].grad = parameter.grad[index].clone()
    return made, singles


def test_a_members_gradient_is_clipped_as_torch_does_it_for_that_member_alone() -> None:
    scales = [1.0, 1e-3, 1e-5, 0.0]
    network, singles = networks(scales)
    recorded = members.clip(network, 0.5, "here")
    norms = [nn.utils.clip_grad_norm_(single.parameters(), 0.5) for single in singles]
    assert norms[0] > 0.5 > norms[2]
    assert recorded["grad_norm"] == pytest.approx(torch.stack(norms).mean().item(), rel=1e-5)
    assert recorded["members"] == 4
    for index, single in enumerate(singles):
        for whole, one in zip(network.parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(whole.grad[index], one.grad, rtol=1e-5, atol=0)


def test_gradients_that_are_small_stay_as_they_are() -> None:
    network, singles = networks([1e-5] * 4)
    members.clip(network, 1.0, "here")
    for index, single in enumerate(singles):
        for whole, one in zip(network.parameters(), single.parameters(), strict=True):
            assert torch.equal(whole.grad[index], one.grad)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_member_without_a_finite_gradient_is_set_aside_once(value: float, caplog: pytest.LogCaptureFixture) -> None:
    network, _ = networks([1.0] * 4)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    next(network.parameters()).grad[SICK, 0, 0] = value
    with caplog.at_level(logging.ERROR):
        recorded = members.clip(network, 1.0, "run: step 5, critic")
        members.clip(network, 1.0, "run: step 6, critic")
    assert caplog.text.count("is set aside") == 1
    assert "run: step 5, critic: the gradient of member 2 of the ensemble is not finite" in caplog.text
    assert "the other 3 go on" in caplog.text
    assert recorded["members"] == 3
    assert math.isfinite(recorded["grad_norm"])
    assert lost_members(network) == [SICK]
    for parameter, was in zip(network.parameters(), before, strict=True):
        assert parameter[SICK].isnan().all()
        for index in {0, 1, 3}:
            assert torch.equal(parameter[index], was[index])


def test_a_network_without_members_is_one() -> None:
    assert members.number(nn.Linear(1, 1)) == 1
    assert members.number(ensemble(arm("dmd_8"))) == len(SEEDS)


# -------------------------------------------------------------------------------------------------- NaN
@pytest.mark.parametrize("row", ["dmd_8", "sc_dmd"])
def test_a_member_that_diverges_is_named_and_changes_nothing_of_the_others(
    tmp_path: Path, row: str, caplog: pytest.LogCaptureFixture
) -> None:
    setting = arm(row, train__iterations=4)
    healthy = load_file(train(setting, tmp_path / "healthy"))
    with caplog.at_level(logging.ERROR):
        broken = load_file(train(setting, tmp_path / "broken", built=poisoned(setting, first=8 * 16)))
    assert "step 2, critic: the gradient of member 2 of the ensemble is not finite" in caplog.text
    assert caplog.text.count("is set aside") == 2, "once as critic, once as generator"
    others = [0, 1, 3]
    for key, value in broken.items():
        assert value[SICK].isnan().all()
        assert torch.equal(value[others], healthy[key][others])
    for line in entries(tmp_path / "broken"):
        assert all(math.isfinite(value) for value in line.values())
    assert [line["generator/members"] for line in entries(tmp_path / "broken")] == [4, 4, 3, 3]
    assert [line["generator/members"] for line in entries(tmp_path / "healthy")] == [4] * 4


def test_without_any_member_left_the_run_ends_in_one_line(tmp_path: Path) -> None:
    setting = arm("sc_dmd", train__iterations=4, train__checkpoint_every=1)
    with pytest.raises(
        SaltError, match=r"step 2, critic: grad_norm is nan; nothing was updated with it; the last"
    ) as e:
        train(setting, tmp_path, built=poisoned(setting, range(4), first=8 * 16))
    assert "\n" not in str(e.value)
    (saved,) = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert str(saved) in str(e.value)
    assert not (tmp_path / "out").exists()


def test_members_that_fall_one_by_one_end_the_run_with_the_last(tmp_path: Path) -> None:
    setting = arm("dmd_8", train__iterations=6)
    method, data = build(setting)
    for index in range(4):
        data = Poisoned(data, [index], len(SEEDS), first=(index + 1) * 6 * 16)
    with pytest.raises(SaltError, match="step 5, generator: grad_norm is nan"):
        train(setting, tmp_path, built=(method, data))
    assert [line["generator/members"] for line in entries(tmp_path)] == [4, 3, 2, 1]


# ---------------------------------------------------------------------------------- weights of the wrong kind
def test_a_checkpoint_of_another_number_of_members_is_refused(tmp_path: Path) -> None:
    setting = arm("dmd_8", train__iterations=4, train__checkpoint_every=1)
    method, data = build(setting)
    with pytest.raises(Stop):
        train(setting, tmp_path, built=(method, Killed(data, 8)))
    with pytest.raises(SaltError) as caught:
        train(setting, tmp_path, built=build(setting, SEEDS[:2]))
    assert "\n" not in str(caught.value)
    assert "checkpoints" in str(caught.value)


def test_terms_of_weight_0_are_left_out() -> None:
    setting = arm("sc_dmd", objectives__sc__weight=0.0)
    made = ensemble(setting), ensemble(setting, causal=False), nn.Identity()
    components = Components.of(setting, *made, MemberStreams(SEEDS))
    assert [type(term).__name__ for term in build_terms(setting.objectives, components)] == ["DistributionMatching"]
