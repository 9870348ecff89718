"""The lab in tests: arms at its scales, their ensembles, and members taken out of them."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.config import load_experiment, load_scale
from salt.config.lab import Chain, Exact, Mixture
from salt.config.schema import Experiment
from salt.data.exact import ExactData, captions_of, modes_of
from salt.errors import SaltError
from salt.methods import Distill, Method, build_method
from salt.models.ensemble import FILE, EnsembleCausal, EnsembleVelocity, save_ensemble
from salt.models.exact import ExactTeacher
from salt.models.protocol import Batch
from salt.streams import MemberStreams
from salt.training.job import run_training
from salt.training.loop import Data

SEEDS = (3, 5, 8, 13)
BATCH = 16
Network = EnsembleVelocity | EnsembleCausal


def message(call, *args) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(SaltError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def exact_of(scale: str = "lab") -> Exact:
    exact = load_scale(scale).exact
    assert exact is not None
    return exact


def mixture() -> Mixture:
    world = exact_of("lab").world
    assert isinstance(world, Mixture)
    return world


def chain(**changes: Any) -> Chain:
    world = exact_of("lab_chain").world
    assert isinstance(world, Chain)
    return world.model_copy(update=changes)


def arm(row: str = "sc_dmd", scale: str = "lab", **changes: Any) -> Experiment:
    """A row at a scale of the lab, on small batches; `train__iterations=3` changes a nested key."""
    small: dict[str, Any] = {"train__batch_size": BATCH, "train__iterations": 3, "train__checkpoint_every": 1000}
    dotted = {key.replace("__", "."): json.dumps(value) for key, value in (small | changes).items()}
    return load_experiment(row, scale, dotted)


def ensemble(experiment: Experiment, seeds: Sequence[int] = SEEDS, causal: bool | None = None) -> Network:
    """A fresh network of the experiment's world."""
    exact = experiment.scale.exact
    assert exact is not None
    text, shape = len(captions_of(exact.world).names), exact.world.latent_shape
    made: Network
    if experiment.causal is not None if causal is None else causal:
        made = EnsembleCausal(len(seeds), shape[0], text, exact.network)
    else:
        made = EnsembleVelocity(len(seeds), shape, text, exact.network)
    made.mlp.initialise(seeds)
    return made


def build(experiment: Experiment, seeds: Sequence[int] = SEEDS) -> tuple[Method, Data]:
    """The method of an arm and its data, with fresh networks."""
    exact, streams = experiment.scale.exact, MemberStreams(seeds)
    assert exact is not None
    critic = ensemble(experiment, seeds, causal=False)
    judge = ExactTeacher(modes_of(exact.world))
    return build_method(experiment, ensemble(experiment, seeds), critic, streams, judge), ExactData(exact, streams)


def distillation(experiment: Experiment, seeds: Sequence[int] = SEEDS) -> tuple[Distill, Batch]:
    """The same of a distillation, and its first batch."""
    method, data = build(experiment, seeds)
    assert isinstance(method, Distill)
    return method, data.batch(range(experiment.train.batch_size))


def train(experiment: Experiment, folder: Path, seeds: Sequence[int] = SEEDS, built: Any = None) -> Path:
    """Train in `folder/run` with the loop; the exported weights."""
    out = folder / "out"
    run_training(
        experiment, seeds[0], lambda: built or build(experiment, seeds), folder / "run", out, save_ensemble, {}
    )
    return out / FILE


def member_of(network: nn.Module, index: int) -> dict[str, Tensor]:
    """Copies of one member's weights."""
    return {name: value[index].clone() for name, value in network.state_dict().items()}


def alone(network: Network, index: int) -> Network:
    """One member, as an ensemble of one."""
    made = copy.deepcopy(network)
    made.members = made.mlp.members = 1
    for module in made.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module.register_parameter(name, nn.Parameter(parameter.detach()[index : index + 1].clone()))
    return made


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def text_of(world: Mixture | Chain, caption: str, size: int) -> Tensor:
    return captions_of(world).encode([caption] * size)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
