"""AnyFlow's two stages: the law of flow maps on data, and distillation on its own three steps."""

import pytest
import torch

from salt.errors import SaltError
from salt.flow.grid import shift_time, time_grid
from salt.methods import Distill, FlowMapMethod, build_method
from salt.models.flow_map import with_second_time
from salt.objectives.flow_map import flow_map_weight
from support.students import CLOSE, LATENT, Exact, clips, network
from support.tiny import BACKBONE, experiment

STEP = 3
FIRST = {"flow_map": {"gate": 0.25}, "train__critic": None, "scale__backbone": BACKBONE | {"num_layers": 2}}
SECOND = {"flow_map": {"gate": 0.25}, "rollout": {"kind": "flow_map"}, "objectives": {"dmd": {"cfg_weight": 3.0}}}


def first(**changes):
    config = experiment(**FIRST | {"objectives": {"flow_map": changes}})
    student = with_second_time(network(config, 0), 0.25).double()
    return build_method(config, student, None, Exact(5)), student


def times(batch, config, streams):
    one, two, which = (
        streams.uniform(f"flow_map/{name}", STEP, batch.samples) for name in ("first", "second", "share")
    )
    t, s = (shift_time(each, config.shift) for each in (torch.maximum(one, two), torch.minimum(one, two)))
    s = torch.where(which < config.velocity_share + config.end_share, 0.0, s)
    return t, torch.where(which < config.velocity_share, t, s)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_first_stage_by_hand(guidance):
    method, student = first(cfg_weight=guidance, weight=0.5, step=0.01)
    assert isinstance(method, FlowMapMethod)
    assert method.roles(0) == ("generator",)
    batch, streams, config = clips(size=12), Exact(5), method._config
    t, s = times(batch, config, streams)
    assert {(s == t).any().item(), (s == 0).any().item(), ((s > 0) & (s < t)).any().item()} == {True}, "all three kinds"
    eps = streams.normal("flow_map/eps", STEP, batch.samples, LATENT)
    wide = lambda each: each.view(-1, 1, 1, 1, 1)  # noqa: E731
    path = lambda time: (1 - wide(time)) * batch.x_0 + wide(time) * eps  # noqa: E731
    with torch.no_grad():
        u = student.mean_velocity(path(t), t, s, batch.text)
        empty = student.mean_velocity(path(t), t, s, batch.empty_text.expand_as(batch.text))
        u = (u - (1 - guidance) * empty) / guidance
        later, earlier = (t + 0.01).clamp(max=1), torch.maximum(t - 0.01, s)
        change = student.mean_velocity(path(later), later, s, batch.text)
        change = (change - student.mean_velocity(path(earlier), earlier, s, batch.text)) / wide(later - earlier)
        change = torch.where(wide(t > s), change / guidance, 0.0)
        losses = (u - (eps - batch.x_0 - wide(t - s) * change)).square().flatten(1).mean(1)
        losses = losses * flow_map_weight(t, config.shift)
        plain = s == t
        balance = torch.where(plain, losses, losses * losses[plain].mean() / (losses + 1e-5))
    loss, recorded = method.loss("generator", batch, STEP)
    torch.testing.assert_close(loss.detach(), 0.5 * balance.mean(), **CLOSE)
    assert recorded["velocity"] == pytest.approx(losses[plain].mean().item(), rel=1e-5)
    loss.backward()
    assert all(weight.grad is not None for weight in student.parameters())


def test_the_second_stage_takes_three_steps_and_all_carry_the_gradient():
    config = experiment(**SECOND)
    student = with_second_time(network(config, 0), 0.25).double()
    method = build_method(config, student, network(config, 1), Exact(5))
    assert isinstance(method, Distill)
    batch, streams, asked = clips(size=6), Exact(5), []
    student.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: asked.append((
            kwargs["timestep"][:, 0] / 1000, kwargs["r_timestep"][:, 0] / 1000, torch.is_grad_enabled(),
        )),
        with_kwargs=True,
    )  # fmt: skip
    output = method._rollout(batch, STEP, "generator")
    levels = torch.tensor([*time_grid(4, 3.0), 0.0]).double()
    place = streams.integers("generator/index", STEP, batch.samples, 4)
    assert len(set(place.tolist())) > 1
    ways = [
        (levels[0].expand(6), levels[place]),
        (levels[place], levels[place + 1]),
        (levels[place + 1], levels[4].expand(6)),
    ]
    assert len(asked) == 3
    x = streams.normal("generator/noise", STEP, batch.samples, LATENT)
    with torch.no_grad():
        for (t, s), (told_t, told_s, graded) in zip(ways, list(asked), strict=True):
            assert graded
            torch.testing.assert_close(told_t, t)
            torch.testing.assert_close(told_s, s)
            x = x - (t - s).view(-1, 1, 1, 1, 1) * student.mean_velocity(x, t, s, batch.text)
    torch.testing.assert_close(output.x_0.detach(), x, **CLOSE)
    method.loss("generator", batch, STEP)[0].backward()
    assert any(weight.grad.any() for weight in student.parameters() if weight.grad is not None)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rollout": {"kind": "flow_map"}}, "of networks of two times: give flow_map"),
        (SECOND | {"rollout": {"kind": "noised_data"}}, "rollout.kind=noised_data: accepted of networks of two times"),
        (SECOND | {"objectives": {"dmd": {}, "sc": {}}}, "objectives.sc is not of networks of two times"),
        (SECOND | {"causal": {"chunk": 1}}, "networks of two times make whole clips: leave causal out"),
        (
            FIRST | {"objectives": {"flow_map": {"velocity_share": 0.9, "end_share": 0.2}}},
            "accepted: at most 1 together",
        ),
    ],
)
def test_mistakes_are_told(changes, told):
    with pytest.raises(ValueError, match=told):
        experiment(**changes)


def test_a_network_of_one_time_is_refused():
    config = experiment(**FIRST | {"objectives": {"flow_map": {}}})
    with pytest.raises(SaltError, match="a network of two times"):
        build_method(config, network(config, 0), None, Exact(5))
