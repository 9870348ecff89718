"""What a GPU computes is what a CPU computes: networks and caches (in double precision), losses, resumed trainings.

`pytest -m gpu` runs them; where there is no GPU, in single precision on the CPU.
"""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from salt.config.memory import Memory
from salt.config.schema import Experiment
from salt.flow.grid import time_grid
from salt.flow.transport import euler_sample
from salt.models.causal import CausalWan
from salt.models.precision import in_precision
from salt.models.wan import WEIGHTS, build_wan, save_wan
from salt.rollout import roll
from salt.training.job import run_training
from support.backbones import backbone
from support.causal_nets import SIDE, clip, prompt
from support.tiny import Clips, experiment, make_method, metrics_of, salt_experiment

pytestmark = pytest.mark.gpu
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CLOSE = 2e-3
"""Of single precision, relative: cuDNN may take TF32 for the patches' convolution."""
BFLOAT16 = 4e-2
POLICIES = [Memory(), Memory(window=2, sink=1), Memory(window=2, sink=1, positions="relative")]


def apart(found: Tensor, expected: Tensor) -> float:
    """The relative distance of two tensors."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return float((found - expected).norm() / expected.norm())


def networks(policy: Memory = POLICIES[0]) -> tuple[CausalWan, CausalWan]:
    """The same network in double precision on the CPU, and in single precision on the device."""
    transformer = build_wan(backbone(patch_size=(1, 2, 2), rope_max_seq_len=64), 0).transformer
    there = copy.deepcopy(transformer).to(DEVICE)
    return CausalWan(transformer.double(), 1, policy), CausalWan(there, 1, policy)


@torch.no_grad()
def video(model: CausalWan, policy: Memory, device: str, dtype: torch.dtype, precision: str = "float32") -> Tensor:
    """Six chunks of two steps each."""
    lowered = in_precision(model, precision, device)  # type: ignore[arg-type]
    noise, text = clip(6).to(device, dtype), prompt().to(device, dtype)
    memory = lowered.open_memory(policy, 1, SIDE, SIDE, 6)
    chunks = roll(lowered, memory, lambda _: text, noise.split(1, dim=2), lambda v, x, _: euler_sample(v, x, GRID))
    return torch.cat(list(chunks), dim=2)


GRID = time_grid(2, 3.0)


def test_a_whole_clip() -> None:
    reference, there = networks()
    t = torch.linspace(0.2, 0.9, 6, dtype=torch.float64)[None]
    expected = reference(clip(6), t, prompt())
    found = there(clip(6).float().to(DEVICE), t.float().to(DEVICE), prompt().float().to(DEVICE))
    assert apart(found, expected) < CLOSE


@pytest.mark.parametrize("policy", POLICIES, ids=["full", "window and sink", "relative"])
def test_a_video_through_the_cache(policy: Memory) -> None:
    reference, there = networks(policy)
    expected = video(reference, policy, "cpu", torch.float64)
    assert apart(video(there, policy, DEVICE, torch.float32), expected) < CLOSE
    assert apart(video(there, policy, DEVICE, torch.float32, "bfloat16"), expected) < BFLOAT16


@pytest.mark.skipif(DEVICE == "cpu", reason="no GPU: one device cannot differ from itself")
@pytest.mark.parametrize("setting", [experiment(), salt_experiment()], ids=["SC-DMD", "Salt under caches"])
def test_losses_and_their_gradients(setting: Experiment) -> None:
    def computed(device: str) -> dict[str, list[Tensor]]:
        method = make_method(setting, device=device)
        batch = Clips().batch(range(4)).to(device)
        found = {}
        for role, network in method.trainable.items():
            loss, _ = method.loss(role, batch, 0)
            loss.backward()
            gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
            found[role] = [loss.reshape(1), torch.cat(gradients)]
        return found

    expected, found = computed("cpu"), computed(DEVICE)
    for role, values in expected.items():
        for value, other in zip(values, found[role], strict=True):
            assert apart(other, value) < CLOSE, role


def test_a_resumed_training_is_the_unbroken_one(tmp_path: Path) -> None:
    setting = salt_experiment()

    class Stops(Clips):
        def batch(self, samples):  # type: ignore[no-untyped-def]
            if len(self.asked) == 8:
                raise KeyboardInterrupt
            return super().batch(samples)

    def train(folder: Path, data: Clips) -> None:
        def build() -> tuple[object, Clips]:
            return make_method(setting, device=DEVICE), data

        run_training(setting, 0, build, folder / "run", folder / "out", save_wan, {}, device=DEVICE)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", Stops())
    train(tmp_path / "broken", Clips())
    train(tmp_path / "unbroken", Clips())
    files = [(tmp_path / name / "out" / WEIGHTS).read_bytes() for name in ("broken", "unbroken")]
    assert files[0] == files[1]
    assert metrics_of(tmp_path / "broken") == metrics_of(tmp_path / "unbroken")
