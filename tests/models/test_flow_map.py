"""Networks of two times: at s = t they are the Wan they came from, and files of one kind are not taken as the other."""

import pytest
import torch

from salt.errors import SaltError
from salt.flow.path import MeanVelocity
from salt.flow.transport import cm_sample, euler_operator, euler_sample
from salt.models.conditioning import bind
from salt.models.ensemble import EnsembleFlowMap
from salt.models.flow_map import build_flow_map, load_flow_map, with_second_time
from salt.models.protocol import FlowMapModel
from salt.models.wan import build_wan, load_wan, save_wan
from support.lab import arm
from support.tiny import BACKBONE, LATENT, TEXT, experiment

GATE = 0.25


@pytest.fixture
def given():
    generator = torch.Generator().manual_seed(0)
    x, text = torch.randn(3, *LATENT, generator=generator), torch.randn(3, *TEXT, generator=generator)
    return x, torch.tensor([0.9, 0.5, 0.2]), text


@pytest.fixture
def wan():
    return build_wan(experiment().scale.backbone, 0)


def test_it_begins_as_the_wan_that_it_came_from(wan, given):
    made = with_second_time(wan, GATE)
    torch.testing.assert_close(made(*given), wan(*given), rtol=1e-5, atol=1e-5)
    assert isinstance(made, FlowMapModel)
    assert not isinstance(wan, FlowMapModel)
    x, t, text = given
    assert (made.mean_velocity(x, t, t / 2, text) - made(x, t, text)).abs().max() > 1e-3, "the later time is heard"
    torch.testing.assert_close(made.mean_velocity(x, t, t, text), made(x, t, text))


def test_steps_of_its_samplers_go_where_they_are_told(wan, given):
    """Euler asks for the mean of the step, the consistency sampler for that of the way to 0."""
    x, _, text = given
    asked = []
    made = with_second_time(wan, GATE)
    made.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: asked.append((kwargs["timestep"][0, 0].item(), kwargs["r_timestep"][0, 0].item())),
        with_kwargs=True,
    )
    velocity = bind(made, text)
    assert isinstance(velocity, MeanVelocity)
    with torch.no_grad():
        euler_sample(velocity, x, (1.0, 0.75, 0.5))
        cm_sample(velocity, x, (1.0, 0.75, 0.5), lambda i, like: torch.zeros_like(like))
    assert asked == [(1000, 750), (750, 500), (500, 0), (1000, 0), (750, 0), (500, 0)]


def test_an_exact_mean_velocity_composes_exactly(randn):
    """x_0 = 0: the flow is x_t = t eps, its velocity x_t / t, its mean the same: one step is as good as eight."""

    class Straight(MeanVelocity):
        def __call__(self, x_t, t):
            return x_t / t.view(-1, 1)

        def mean_velocity(self, x_t, t, s):
            return self(x_t, t)

    x, psi = randn(4, 3), euler_operator(Straight())
    for steps in (1, 2, 8):
        levels = [1 - i / steps for i in range(steps)]
        torch.testing.assert_close(euler_sample(Straight(), x, levels), torch.zeros_like(x))
    torch.testing.assert_close(psi(psi(x, 1.0, 0.6), 0.6, 0.2), psi(x, 1.0, 0.2))


def test_files(tmp_path, wan, given):
    made = build_flow_map(experiment().scale.backbone, GATE)
    save_wan(made, tmp_path / "flow_map")
    save_wan(wan, tmp_path / "wan")
    again = load_flow_map(tmp_path / "flow_map", experiment().scale.backbone)
    assert torch.equal(again(*given), made(*given))
    with pytest.raises(SaltError, match="_class_name='AnyFlowTransformer3DModel', but WanTransformer3DModel is"):
        load_wan(tmp_path / "flow_map")
    with pytest.raises(SaltError, match="_class_name='WanTransformer3DModel', but AnyFlowTransformer3DModel is"):
        load_flow_map(tmp_path / "wan", experiment().scale.backbone)
    with pytest.raises(SaltError, match="num_layers=1, but the scale's backbone has num_layers=2"):
        load_flow_map(tmp_path / "flow_map", experiment(scale__backbone=BACKBONE | {"num_layers": 2}).scale.backbone)


def test_small_networks_hear_the_later_time():
    exact = arm("sc_dmd").scale.exact
    network = EnsembleFlowMap(2, exact.world.latent_shape, 3, exact.network)
    network.mlp.initialise([0, 1])
    assert isinstance(network, FlowMapModel)
    x = torch.randn(4, *exact.world.latent_shape, generator=torch.Generator().manual_seed(0))
    t, text = torch.full((4,), 0.8), torch.ones(4, 1, 3)
    assert torch.equal(network.mean_velocity(x, t, t, text), network(x, t, text))
    assert not torch.allclose(network.mean_velocity(x, t, t / 2, text), network(x, t, text))
