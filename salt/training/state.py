"""Everything a run needs to continue: networks, their optimisers, the EMA and the counters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from salt.config.base import Precision
from salt.config.train import Optimiser, Train
from salt.errors import SaltError, out_of_memory
from salt.models.precision import DTYPES
from salt.training import sharding
from salt.training.ema import EMA
from salt.training.muon import Muon

MUON = "muon_precision"
"""Its name in checkpoints and in the provenance."""


def lr_factor(config: Optimiser, updates: int, progress: float) -> float:
    """What multiplies every lr after so many updates of this role, at a share `progress` in [0, 1] of the run.

    Linear warm-up over `warmup` updates, linear decay to 0 over the last share `decay` of the run.
    """
    warm = min(1.0, (updates + 1) / config.warmup) if config.warmup else 1.0
    cool = min(1.0, (1.0 - progress) / config.decay) if config.decay else 1.0
    return min(warm, cool)


def build_optimisers(network: nn.Module, config: Optimiser) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon for the matrices of the blocks where the configuration gives it a learning rate."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        inside = "blocks" in name.split(".") and parameter.ndim == 2
        (matrices if inside and config.muon_lr is not None else rest).append(parameter)
    # fused: a quarter of the time of the default on CPU
    decay = config.weight_decay
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, config.lr, betas=config.betas, weight_decay=decay, fused=True)
    ]
    if config.muon_lr is not None:
        optimisers.append(Muon(matrices, config.muon_lr, decay))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return optimisers


def take_step(optimisers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """One step of every optimiser, at the lr it was built with times `factor`."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor
        optimiser.step()


class TrainState:
    """What training changes.

    Attributes:
        networks: role -> network.
        split: whether every process holds a part of them only.
        step: iterations (generator updates) done.
        updates: role -> updates done; networks that are updated with another role count none.
        seconds: wall time spent so far, over all sessions.
    """

    def __init__(self, networks: Mapping[str, nn.Module], config: Train, constant: Sequence[nn.Module] = ()) -> None:
        """Take over the networks; as `config` says, they and those that stay constant are split or shared in place."""
        self.networks, self.split = networks, config.shard
        self.configs = {"generator": config.optimiser}
        if config.critic is not None:
            self.configs["critic"] = config.critic.optimiser
        if config.discriminator is not None:
            self.configs["discriminator"] = config.discriminator.optimiser
        self.ema = EMA(networks["generator"], config.ema.decay, config.ema.start)
        if self.split:
            self._bones = sharding.skeleton(self.ema.module)
        sharding.share_samples((*networks.values(), *constant), config.context_parallel)
        if self.split:
            for network in (*networks.values(), self.ema.module, *constant):
                sharding.split(network, DTYPES[config.precision])
        self.optimisers = {role: build_optimisers(network, self.configs[role]) for role, network in networks.items()}
        self.step = 0
        self.updates = dict.fromkeys(networks, 0)
        self.seconds = 0.0

    @property
    def muon_precision(self) -> Precision | None:
        """What Muon orthogonalises in; None where nothing is trained with it."""
        return next((muon.precision for muon in self._muons()), None)

    @muon_precision.setter
    def muon_precision(self, precision: Precision) -> None:
        for muon in self._muons():
            muon.precision = precision

    def _muons(self) -> list[Muon]:
        return [each for optimisers in self.optimisers.values() for each in optimisers if isinstance(each, Muon)]

    def averaged(self) -> nn.Module:
        """The averaged generator, whole on the first process. Every process calls it."""
        return sharding.whole(self.ema.module, self._bones) if self.split else self.ema.module

    def room(self, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """Tensors to read a split state into: those of `tensors`, and moments that the optimisers have not made yet.

        Args:
            shapes: of everything that was stored.

        Raises:
            SaltError: other names were stored than this state has.
        """
        named = self.tensors()
        for name in shapes.keys() - named.keys():
            _, role, place, index, _ = (*name.split("/"), *5 * [""])[:5]
            try:
                parameter = self.optimisers[role][int(place)].param_groups[0]["params"][int(index)]
            except (KeyError, ValueError, IndexError) as error:
                raise SaltError(f"{name!r} is not of a state of these networks") from error
            like = shapes[name] == parameter.shape
            named[name] = torch.zeros_like(parameter) if like else torch.zeros(shapes[name])
        return named

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state under a flat name, without copies."""
        named = {f"ema/{name}": value for name, value in self.ema.module.state_dict().items()}
        for role, network in self.networks.items():
            named |= {f"network/{role}/{name}": value for name, value in network.state_dict().items()}
            for place, optimiser in enumerate(self.optimisers[role]):
                for index, moments in optimiser.state_dict()["state"].items():
                    named |= {f"optimiser/{role}/{place}/{index}/{name}": value for name, value in moments.items()}
        return named

    def counters(self) -> dict[str, Any]:
        """The counters under flat names, and the precision of Muon."""
        muon = {} if self.muon_precision is None else {MUON: self.muon_precision}
        updates = {f"updates/{role}": count for role, count in self.updates.items()}
        return {"step": self.step, "seconds": self.seconds} | updates | muon

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Take over what `tensors` and `counters` gave.

        Raises:
            SaltError: the tensors are not those of these networks.
        """
        try:
            self.ema.module.load_state_dict(_below("ema/", tensors))
            for role, network in self.networks.items():
                network.load_state_dict(_below(f"network/{role}/", tensors))
                for place, optimiser in enumerate(self.optimisers[role]):
                    moments: dict[int, dict[str, Tensor]] = {}
                    for name, value in _below(f"optimiser/{role}/{place}/", tensors).items():
                        index, key = name.split("/")
                        moments.setdefault(int(index), {})[key] = value
                    groups = optimiser.state_dict()["param_groups"]
                    optimiser.load_state_dict({"state": moments, "param_groups": groups})
                self.updates[role] = int(counters[f"updates/{role}"])
            self.step, self.seconds = int(counters["step"]), float(counters["seconds"])
            if self.muon_precision is not None:
                self.muon_precision = counters.get(MUON, "bfloat16")  # absent: torch's, before there was a choice
        except (RuntimeError, KeyError, ValueError) as error:
            if out_of_memory(error):
                raise
            raise SaltError(f"not a state of these networks: {' '.join(str(error).split())[:200]}") from error


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
