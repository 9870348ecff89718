"""Causal students of the smallest size, in float64: what they are trained on, and what is seen of it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.methods import Distill
from salt.methods.draws import Draws
from salt.methods.rollouts import Rollout, build_rollout
from salt.methods.terms import Components, build_terms
from salt.models.causal import CausalWan
from salt.models.protocol import Batch
from salt.models.wan import WanVelocity, build_wan
from salt.streams import Streams
from support.tiny import BACKBONE, TEXT, experiment

LATENT = (2, 3, 2, 2)
CHUNKS = 3
"""Of one frame each."""
CLOSE = {"rtol": 1e-5, "atol": 1e-7}
SALT: dict[str, Any] = {
    "rollout": {"kind": "autoregressive", "steps": {2: 0.4, 4: 0.3, 8: 0.3}},
    "objectives": {"dmd": {"cfg_weight": 3.0}, "sc": {"weight": 0.3, "rollouts": (8,)}, "align": {"margin": 0.01}},
}
"""Changes that make `causal_experiment` the full method."""


def causal_experiment(**changes: Any) -> Experiment:
    """Self Forcing on 8 levels, of clips of 3 latent frames."""
    student = {
        "causal": {"chunk": 1},
        "rollout": {"kind": "autoregressive"},
        "grid": {"steps": 4, "train_steps": 8, "shift": 5.0},
        "objectives": {"dmd": {"cfg_weight": 3.0}},
        "scale__backbone": BACKBONE | {"num_layers": 2},
    }
    return experiment(**student | changes)


class Exact(Streams):
    """The same numbers as float64, so that networks of float64 can be asked."""

    def normal(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        return super().normal(purpose, step, samples, shape).double()

    def uniform(self, purpose: str, step: int, samples: Sequence[int], shape: Sequence[int] = ()) -> Tensor:
        return super().uniform(purpose, step, samples, shape).double()


def network(setting: Experiment, seed: int) -> WanVelocity:
    """Float64 (Wan's normalisation stays in float32), with blocks that do much."""
    made = build_wan(setting.scale.backbone, seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(2)
    return made.double()


def causal_network(setting: Experiment, seed: int = 0) -> CausalWan:
    assert setting.causal is not None
    return CausalWan(network(setting, seed).transformer, setting.causal.chunk, setting.causal.memory)


def rollout_of(setting: Experiment, model: Any) -> Rollout:
    return build_rollout(setting, model, Draws(Exact(0), setting.train.batch_size))


def clips(first: int = 0, size: int = 2, latent: Sequence[int] = LATENT) -> Batch:
    samples = tuple(range(first, first + size))
    streams = Exact(99)
    empty = streams.normal("empty", 0, [0], TEXT)
    text, before = (streams.normal("text", n, samples, TEXT) for n in (0, 1))
    return Batch(streams.normal("clip", 0, samples, latent), text, empty, samples, text_before=before)


def watch(model: nn.Module) -> list[tuple[float, bool]]:
    """(1000 t of the first sample, with gradient) of every call of a network's transformer from now on."""
    seen: list[tuple[float, bool]] = []

    def look(module: nn.Module, args: Any, kwargs: Any) -> None:
        seen.append((kwargs["timestep"].flatten()[0].item(), torch.is_grad_enabled()))

    model.transformer.register_forward_pre_hook(look, with_kwargs=True)
    return seen


def grads(network: nn.Module) -> list[Tensor | None]:
    return [parameter.grad for parameter in network.parameters()]


def always(steps: int) -> dict[str, Any]:
    return {"kind": "autoregressive", "steps": {steps: 1.0}}


def build(**changes: Any) -> tuple[Distill, dict[str, nn.Module]]:
    setting = causal_experiment(**changes)
    networks = {
        "generator": causal_network(setting, 0),
        "critic": network(setting, 1),
        "teacher": network(setting, 2),
    }
    components = Components.of(setting, streams=Exact(0), **networks)
    return Distill(setting, components, build_terms(setting.objectives, components)), networks


def spy(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[tuple[tuple[Any, ...], Any]]:
    """[(arguments, result)] of every call of a function from now on."""
    calls: list[tuple[tuple[Any, ...], Any]] = []
    function: Callable[..., Any] = getattr(module, name)

    def spied(*args: Any) -> Any:
        calls.append((args, function(*args)))
        return calls[-1][1]

    monkeypatch.setattr(module, name, spied)
    return calls
