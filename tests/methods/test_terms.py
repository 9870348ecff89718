"""The generator's loss is a sum of terms: how they are found, added, left out, and wait for one that warms up."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import salt
from salt.config.objectives import DRIVING, Objectives
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.methods import Distill, FlowMatching, PhasedConsistency
from salt.methods.terms import TERMS, Components, Output, Term, build_terms
from salt.models.protocol import Batch
from support.students import SALT, Exact, build, causal_experiment, clips, network, rollout_of
from support.tiny import experiment, teacher_experiment

WHOLE = {"rollout": {"kind": "backward_simulation"}, "objectives": {"dmd": {}}}


class Energy(Term):
    """A new objective: the mean square of the student's samples, in iterations of even number."""

    weight = 0.25

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]] | None:
        if step % 2:
            return None
        energy = output().x_0.square().mean()
        return energy, {"energy": energy.item()}


class WarmUp(Term):
    """A new objective that looks at no rollout, and is the only one before iteration 2."""

    weight = 3.0

    def __init__(self, generator: torch.nn.Module) -> None:
        self._generator = generator

    def acts_alone(self, step: int) -> bool:
        return step < 2

    def loss(self, output: Output, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        return sum(parameter.square().sum() for parameter in self._generator.parameters()), {"warm_up": 1.0}


class Counted:
    """A rollout that counts how often it is made."""

    def __init__(self, rollout: object) -> None:
        self.rollout, self.made = rollout, []

    def __call__(self, batch: Batch, step: int, role: str) -> object:
        self.made.append((step, role))
        return self.rollout(batch, step, role)


def components_of(setting: Experiment) -> Components:
    return Components.of(setting, *(network(setting, i) for i in range(3)), Exact(0))


def components_of_causal(setting: Experiment) -> Components:
    networks = build(rollout=SALT["rollout"])[1]
    return Components.of(setting, streams=Exact(0), **networks)


def counting(setting: Experiment) -> tuple[Components, list[tuple[int, str]]]:
    plain = components_of(setting)
    counted = Counted(plain.rollout)
    return replace(plain, rollout=counted), counted.made


# ------------------------------------------------------------------------------------------- new ones
def test_a_new_objective_is_added_without_a_change_of_the_method() -> None:
    """Eq. (13) with another summand: its weight, its condition and what it records are its own."""
    setting = experiment(**WHOLE)
    components, made = counting(setting)
    terms = build_terms(setting.objectives, components)
    plain, more = (Distill(setting, components, given) for given in (terms, (*terms, Energy())))
    for step in range(4):
        (before, recorded), (after, more_recorded) = (
            one.loss("generator", clips(4 * step), step) for one in (plain, more)
        )
        assert recorded.keys() == {"dmd_direction", "steps"}
        if step % 2:
            assert torch.equal(after, before)
            assert more_recorded == recorded
        else:
            assert more_recorded.keys() == recorded.keys() | {"energy"}
            torch.testing.assert_close(after, before + 0.25 * more_recorded["energy"])
    assert made == [(step, "generator") for step in range(4) for _ in range(2)], "one rollout, however many terms look"


def test_while_a_term_acts_alone_nothing_else_is_computed() -> None:
    setting = experiment(**WHOLE)
    components, made = counting(setting)
    method = Distill(setting, components, (*build_terms(setting.objectives, components), WarmUp(components.generator)))
    assert [method.roles(step) for step in (0, 1)] == [("generator",)] * 2
    assert method.roles(2) == ("generator", "critic", "critic")
    early, recorded = method.loss("generator", clips(), 1)
    assert recorded == {"warm_up": 1.0}
    assert made == []
    late, recorded = method.loss("generator", clips(), 2)
    assert recorded.keys() == {"dmd_direction", "steps", "warm_up"}
    assert made == [(2, "generator")]
    assert late > early


# ------------------------------------------------------------------------------------- of the configuration
def test_every_objective_that_stands_beside_dmd_has_a_term_and_files_of_its_name() -> None:
    """`objectives.sc.weight` to the loss in two hops."""
    beside = [name for name in Objectives.model_fields if name not in DRIVING]
    assert list(TERMS) == ["dmd", *beside]
    folder = Path(salt.__file__).parent
    for name, term in TERMS.items():
        assert term.__module__ == f"salt.methods.terms.{name}"
        assert (folder / "objectives" / f"{name}.py").exists()


def test_weight_zero_leaves_a_term_out_but_dmd_drives() -> None:
    given = {"dmd": {}, "sc": {"weight": 0.3}, "align": {"weight": 0.7}}
    for name, expected in (("sc", [1.0, 0.7]), ("align", [1.0, 0.3]), ("dmd", [0.0, 0.3, 0.7])):
        objectives = {key: section | ({"weight": 0.0} if key == name else {}) for key, section in given.items()}
        setting = causal_experiment(rollout=SALT["rollout"], objectives=objectives)
        assert [term.weight for term in build_terms(setting.objectives, components_of_causal(setting))] == expected


def test_a_rollout_that_has_no_denser_one_refuses_a_reference() -> None:
    for kind in ("noised_data", "backward_simulation"):
        setting = experiment(**WHOLE | {"rollout": {"kind": kind}})
        rollout = rollout_of(setting, network(setting, 0))
        output = rollout(clips(), 0, "generator")
        with pytest.raises(SaltError, match=rf"rollout.kind={kind} has no reference of K=8; accepted: autoregressive"):
            rollout.reference(clips(), 0, "generator", output, 8)


# --------------------------------------------------------------------------------------- of other methods
def test_a_method_says_which_objective_it_needs() -> None:
    model = torch.nn.Identity()
    with pytest.raises(SaltError, match=r"tiny_test: flow matching needs objectives\.flow_matching"):
        FlowMatching(experiment(), model, Exact(0))
    with pytest.raises(SaltError, match=r"tiny_test: phased consistency needs objectives\.pcm"):
        PhasedConsistency(experiment(), model, model, Exact(0))
    setting = teacher_experiment()
    with pytest.raises(SaltError, match=r"tiny_test: distillation needs objectives\.dmd and train\.critic"):
        Distill(setting, components_of(setting), ())
