"""Everything a run needs to continue: networks, their AdamW optimisers, the EMA and the counters."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from salt.config.schema import Optimiser, Train
from salt.errors import SaltError
from salt.training.ema import EMA


def learning_rate(config: Optimiser, updates: int, progress: float) -> float:
    """The lr after so many updates of this role, at a share `progress` in [0, 1] of the run.

    Linear warm-up over `warmup` updates, linear decay to 0 over the last share `decay` of the run.
    """
    warm = min(1.0, (updates + 1) / config.warmup) if config.warmup else 1.0
    cool = min(1.0, (1.0 - progress) / config.decay) if config.decay else 1.0
    return config.lr * min(warm, cool)


class TrainState:
    """What training changes.

    Attributes:
        networks: role -> network.
        step: iterations (generator updates) done.
        updates: role -> updates done.
        seconds: wall time spent so far, over all sessions.
    """

    def __init__(self, networks: Mapping[str, nn.Module], config: Train) -> None:
        self.networks = networks
        self.configs = {"generator": config.optimiser}
        if config.critic is not None:
            self.configs["critic"] = config.critic.optimiser
        self.optimisers = {
            role: torch.optim.AdamW(
                network.parameters(),
                lr=self.configs[role].lr,
                betas=self.configs[role].betas,
                weight_decay=self.configs[role].weight_decay,
                fused=True,  # a quarter of the time of the default on CPU
            )
            for role, network in networks.items()
        }
        self.ema = EMA(networks["generator"], config.ema.decay, config.ema.start)
        self.step = 0
        self.updates = dict.fromkeys(networks, 0)
        self.seconds = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state under a flat name, without copies."""
        named = {f"ema/{name}": value for name, value in self.ema.module.state_dict().items()}
        for role, network in self.networks.items():
            named |= {f"network/{role}/{name}": value for name, value in network.state_dict().items()}
            for index, moments in self.optimisers[role].state_dict()["state"].items():
                named |= {f"optimiser/{role}/{index}/{name}": value for name, value in moments.items()}
        return named

    def counters(self) -> dict[str, float]:
        """The counters under flat names."""
        return {"step": self.step, "seconds": self.seconds} | {
            f"updates/{role}": count for role, count in self.updates.items()
        }

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, float]) -> None:
        """Take over what `tensors` and `counters` gave.

        Raises:
            SaltError: the tensors are not those of these networks.
        """
        try:
            self.ema.module.load_state_dict(_below("ema/", tensors))
            for role, network in self.networks.items():
                network.load_state_dict(_below(f"network/{role}/", tensors))
                moments: dict[int, dict[str, Tensor]] = {}
                for name, value in _below(f"optimiser/{role}/", tensors).items():
                    index, key = name.split("/")
                    moments.setdefault(int(index), {})[key] = value
                groups = self.optimisers[role].state_dict()["param_groups"]
                self.optimisers[role].load_state_dict({"state": moments, "param_groups": groups})
                self.updates[role] = int(counters[f"updates/{role}"])
            self.step, self.seconds = int(counters["step"]), float(counters["seconds"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise SaltError(f"not a state of these networks: {' '.join(str(error).split())[:200]}") from error


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
