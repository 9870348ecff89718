"""What the tests of methods and training share: the smallest experiment, its data and its networks."""

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.methods import Method, build_method
from salt.models.protocol import Batch, FirstFrame
from salt.models.wan import build_wan, recompute_blocks, save_wan
from salt.stages.shared.networks import as_experiment
from salt.streams import Streams
from salt.training.job import run_training
from support.backbones import SMALL

LATENT = (2, 2, 3, 3)
TEXT = (3, 4)
BACKBONE = SMALL | {"num_layers": 1}
OPTIMISER = {"lr": 1e-3}


def experiment(**changes: Any) -> Experiment:
    """SC-DMD with a critic ratio of 2; `train__iterations=3` changes a nested key."""
    values: dict[str, Any] = {
        "name": "tiny_test",
        "title": "Tiny",
        "grid": {"steps": 2, "train_steps": 4, "shift": 3.0},
        "objectives": {"dmd": {"cfg_weight": 3.0}, "sc": {"weight": 1.0}},
        "train": {
            "iterations": 4,
            "batch_size": 4,
            "optimiser": OPTIMISER,
            "critic": {"optimiser": OPTIMISER, "ratio": 2},
            "ema": {"decay": 0.9},
            "checkpoint_every": 2,
        },
        "scale": {
            "name": "smoke",
            "assets": "none",
            "backbone": BACKBONE,
            "text": {"d_model": TEXT[1], "num_heads": 1},
        },
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = values
        for key in parents:
            section = section.setdefault(key, {})
        section[last] = value
    return Experiment.model_validate(values)


def salt_experiment(**changes: Any) -> Experiment:
    """The full method under caches: mixed steps, SC, alignment, a window with a sink, a history."""
    student = {
        "causal": {"chunk": 1, "memory": {"window": 1, "sink": 1}},
        "rollout": {"kind": "autoregressive", "steps": {2: 0.5, 4: 0.5}, "history": {"clips": 1}},
        "objectives": {
            "dmd": {"cfg_weight": 3.0},
            "sc": {"weight": 1.0, "rollouts": (4,)},
            "align": {"margin": 0.01, "block": 0, "references": {2: 4}},
        },
    }
    return experiment(**student | changes)


def teacher_experiment(**changes: Any) -> Experiment:
    """Flow matching, without a critic."""
    flow_matching = {"objectives": {"flow_matching": {"shift": 2.0}}, "train__critic": None}
    return experiment(**flow_matching | changes)


def shown_experiment(**changes: Any) -> Experiment:
    """DMD of networks that are conditioned on a first frame and its features, as Wan 2.1 I2V 14B is."""
    channels, features = 16, ShownClips.features
    takes = {"in_channels": 2 * channels + 4, "out_channels": channels, "image_dim": features[1]}
    scale = {
        "name": "smoke",
        "assets": "none",
        "teacher": "linked",
        "world": {"frames": 5},
        "vae": {"height": 16, "width": 16},
        "data": {"captions": "none.jsonl", "clips": 16},
        "first_frame": {"tokens": features[0]},
        "backbone": BACKBONE | takes | {"added_kv_proj_dim": 24},
        "text": {"d_model": TEXT[1], "num_heads": 1},
    }
    return experiment(**{"scale": scale, "objectives": {"dmd": {"cfg_weight": 3.0}}} | changes)


class Clips:
    """Random latents and embeddings, 16 of them, in turn."""

    latent, text = LATENT, TEXT

    def __init__(self, poisoned: int = -1) -> None:
        self.poisoned, self.asked = poisoned, []

    def batch(self, samples: Sequence[int]) -> Batch:
        self.asked.append(tuple(samples))
        streams, clips = Streams(99), [sample % 16 for sample in samples]
        x_0 = streams.normal("clip", 0, clips, self.latent)
        if self.poisoned in samples:
            x_0[samples.index(self.poisoned)] = torch.nan
        text, before = (streams.normal("text", n, clips, self.text) for n in (0, 1))
        return Batch(x_0, text, torch.zeros(1, *self.text), tuple(samples), text_before=before)


class ShownClips(Clips):
    """The same of `shown_experiment`: with first frames."""

    latent, text, features = (16, 2, 2, 2), (512, 4), (5, 6)  # diffusers takes all but the last 512 for features

    def batch(self, samples: Sequence[int]) -> Batch:
        streams, clips = Streams(98), [sample % 16 for sample in samples]
        latents, features = (streams.normal("shown", 0, clips, shape) for shape in (self.latent, self.features))
        return replace(super().batch(samples), image=FirstFrame(latents, features))


def make_method(setting: Experiment, seed: int = 0, device: str = "cpu") -> Method:
    """The method with seeded networks; the generator starts from the teacher."""
    teacher = build_wan(setting.scale.backbone, seed=7).to(device)
    method = build_method(setting, as_experiment(copy.deepcopy(teacher), setting), teacher, Streams(seed))
    if setting.train.recompute:
        for network in method.trainable.values():
            recompute_blocks(network)
    return method


def run(setting: Experiment, folder: Path, data: Clips | None = None, seed: int = 0, wait: bool = False) -> bool:
    """Train in `folder/run` and export to `folder/out`."""
    return run_training(
        setting,
        seed,
        lambda: (make_method(setting, seed), data or (ShownClips() if setting.scale.first_frame else Clips())),
        folder / "run",
        folder / "out",
        save_wan,
        {},
        wait=wait,
    )


def metrics_of(folder: Path) -> list[dict[str, float]]:
    """What a run in `folder` wrote, without what depends on the machine."""
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def steps_done(folder: Path) -> int:
    """Iterations that a run in `folder` has written of."""
    path = folder / "run" / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


class Recorder(nn.Module):
    """A network that remembers what it was called with."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        self.calls.append((x_t.detach(), t.detach(), text.detach()))
        return self.network(x_t, t, text)
