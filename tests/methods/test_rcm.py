"""rCM: consistency beside DMD, what it asks of whom, its warm-up, and its derivative on Wan itself."""

import pytest
import torch

from salt.errors import SaltError
from salt.methods import Distill, build_method
from salt.objectives.scm import jvp_along_path, trigflow
from support.students import Exact, clips, network
from support.tiny import experiment, metrics_of, run


def setting(scm=None, **changes):
    scm = {"warmup": 2, "cfg_weight": 3.0} | (scm or {})
    objectives = {"dmd": {"weight": 2.0, "cfg_weight": 3.0}, "scm": scm}
    student = {"rollout": {"kind": "backward_simulation"}, "grid": {"steps": 4, "train_steps": 4, "shift": 3.0}}
    return experiment(**student | {"objectives": objectives} | changes)


def method_of(config):
    made = build_method(config, network(config, 0), network(config, 1), Exact(5))
    assert isinstance(made, Distill)
    return made


def test_consistency_is_alone_until_it_is_warm():
    config = setting()
    made, batch = method_of(config), clips(size=4)
    assert [made.roles(step) for step in (0, 1, 2)] == [("generator",)] * 2 + [("generator", "critic", "critic")]
    _, early = made.loss("generator", batch, 1)
    _, late = made.loss("generator", batch, 2)
    assert early.keys() == {"scm"}
    assert late.keys() == {"scm", "dmd_direction", "steps"}


def test_the_loss_is_both_terms_with_their_weights():
    batch, step = clips(size=4), 3
    plain = experiment(
        **{"objectives": {"dmd": {"weight": 2.0, "cfg_weight": 3.0}}, "rollout": {"kind": "backward_simulation"}},
        grid={"steps": 4, "train_steps": 4, "shift": 3.0},
    )
    alone = method_of(plain).loss("generator", batch, step)[0]
    both, metrics = method_of(setting({"weight": 7.0})).loss("generator", batch, step)
    torch.testing.assert_close(both, alone + 7.0 * metrics["scm"], rtol=1e-6, atol=1e-9)


def test_a_gradient_reaches_the_generator_alone():
    made = method_of(setting())
    made.loss("generator", clips(size=4), 0)[0].backward()
    assert all(parameter.grad is not None for parameter in made.trainable["generator"].parameters())
    for idle in (made.trainable["critic"], *made.constant):
        assert all(parameter.grad is None for parameter in idle.parameters())


def test_both_derivatives_of_wan_agree():
    config = setting()
    student, judge, batch = network(config, 0), network(config, 1), clips(size=3)
    a = torch.tensor([0.4, 0.9, 1.3], dtype=torch.float64)

    def field(model):  # Wan normalises in float32, which a difference would magnify
        return trigflow(lambda x, t: model(x, t, batch.text))

    with torch.no_grad():
        f_teacher = field(judge)(batch.x_0, a)
    exact = jvp_along_path(field(student), batch.x_0, a, f_teacher, "forward_mode", 0.0)
    near = jvp_along_path(field(student), batch.x_0, a, f_teacher, "difference", 2e-5)
    assert not exact.requires_grad
    assert torch.cosine_similarity(exact.flatten(), near.flatten(), dim=0) > 0.99
    assert near.norm().item() == pytest.approx(exact.norm().item(), rel=0.05)


@pytest.mark.parametrize("scm", [{}, {"derivative": "difference", "step": 1e-3}], ids=["forward mode", "difference"])
def test_it_trains(tmp_path, scm):
    run(setting(scm, train__recompute=True), tmp_path)
    found = metrics_of(tmp_path)
    assert ["critic/loss" in one for one in found] == [False, False, True, True]
    assert all(0 < one["generator/scm"] < 1 for one in found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train__shard": True}, "forward_mode needs whole networks .* accepted otherwise: difference"),
        ({"causal": {"chunk": 1}, "rollout": {"kind": "autoregressive"}}, "scm is for whole clips"),
        ({"objectives": {"flow_matching": {}, "scm": {}}, "train__critic": None}, "scm: not added to flow_matching"),
    ],
)
def test_what_does_not_go_with_it_is_refused(changes, told):
    with pytest.raises((SaltError, ValueError), match=told):
        setting(**changes)
