"""The loop: order, accumulation, schedules, averaging, and stopping before bad numbers do harm."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from salt.config.schema import Experiment
from salt.config.train import EMA as EMAConfig
from salt.config.train import Optimiser
from salt.errors import SaltError
from salt.models.wan import build_wan
from salt.training.checkpoint import list_checkpoints
from salt.training.ema import EMA
from salt.training.loop import Job, train
from salt.training.parallel import Workers
from salt.training.state import TrainState, build_optimisers, lr_factor, take_step
from support.tiny import OPTIMISER, Clips, experiment, make_method, teacher_experiment


def train_in(folder: Path, setting: Experiment, data: Clips | None = None, **more: Any) -> TrainState:
    folder.mkdir(exist_ok=True)
    return train(Job(make_method(setting), data or Clips(), setting.train, folder, **more))


def metrics_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(state: TrainState, role: str = "generator") -> list[Tensor]:
    return [parameter.detach() for parameter in state.networks[role].parameters()]


def test_an_iteration_is_one_generator_then_its_critic_updates_on_fresh_data(tmp_path: Path) -> None:
    setting, data = experiment(train__iterations=2), Clips()
    method = make_method(setting)
    order: list[str] = []
    original = method.loss
    method.loss = lambda role, *rest: (order.append(role), original(role, *rest))[1]
    state = train(Job(method, data, setting.train, tmp_path))
    assert order == ["generator", "critic", "critic"] * 2
    assert data.asked == [tuple(range(4 * update, 4 * update + 4)) for update in range(6)]
    assert (state.step, state.updates) == (2, {"generator": 2, "critic": 4})


def test_metrics_have_one_line_an_iteration(tmp_path: Path) -> None:
    train_in(tmp_path, experiment())
    lines = metrics_of(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    names = {"loss", "dmd_direction", "steps", "sc", "grad_norm", "lr"}
    expected = {f"generator/{name}" for name in names} | {f"critic/{name}" for name in ("loss", "grad_norm", "lr")}
    assert set(lines[0]) == expected | {"step", "seconds"}
    assert all(line["generator/sc"] > 0 for line in lines)


@pytest.mark.parametrize("make", [experiment, teacher_experiment])
def test_accumulation_equals_one_large_batch(make: Any, tmp_path: Path) -> None:
    whole = train_in(tmp_path / "whole", make(train__batch_size=8))
    parts = train_in(tmp_path / "parts", make(train__batch_size=8, train__accumulate=4))
    for one, four in zip(metrics_of(tmp_path / "whole"), metrics_of(tmp_path / "parts"), strict=True):
        assert {k: v for k, v in four.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in one.items() if k != "seconds"}, rel=1e-3
        )
    start = weights(TrainState(make_method(make()).trainable, make().train))
    moved = max((a - b).abs().max() for a, b in zip(weights(whole), start, strict=True))
    apart = max((a - b).abs().mean() for a, b in zip(weights(whole), weights(parts), strict=True))
    assert apart < 0.02 * moved


def test_first_update_is_clipped_adamw(tmp_path: Path) -> None:
    """One update by hand: gradient, global norm, AdamW's first step with beta1 = 0."""
    setting = teacher_experiment(
        train={
            "iterations": 1,
            "batch_size": 4,
            "optimiser": {"lr": 1e-2, "clip": 0.1, "weight_decay": 0.5},
            "ema": {"decay": 0.0},
        }
    )
    method = make_method(setting)
    method.loss("generator", Clips().batch(range(4)), 0)[0].backward()
    parameters = list(method.trainable["generator"].parameters())
    norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
    assert norm > 0.1
    state = train_in(tmp_path, setting)
    for before, after in zip(parameters, weights(state), strict=True):
        g = before.grad * 0.1 / (norm + 1e-6)
        expected = before * (1 - 1e-2 * 0.5) - 1e-2 * g / (g.abs() + 1e-8)
        torch.testing.assert_close(after, expected.detach(), rtol=1e-3, atol=1e-6)
    assert metrics_of(tmp_path)[0]["generator/grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


def test_learning_rates_warm_up_and_decay_linearly() -> None:
    config = Optimiser(lr=1.0, warmup=4, decay=0.5)
    factors = [lr_factor(config, step, step / 10) for step in range(10)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert [lr_factor(Optimiser(lr=3.0), step, step / 10) for step in range(10)] == [1.0] * 10


def test_muon_takes_the_matrices_of_the_blocks_and_steps_along_orthogonal_directions() -> None:
    network = build_wan(experiment().scale.backbone, seed=1)
    adamw, muon = build_optimisers(network, Optimiser(lr=1e-3, muon_lr=1e-2, weight_decay=0.0))
    theirs, ours = ({id(p) for g in o.param_groups for p in g["params"]} for o in (adamw, muon))
    inside = {id(p) for name, p in network.named_parameters() if ".blocks." in name and p.ndim == 2}
    assert ours == inside
    assert not ours & theirs
    assert len(ours | theirs) == len(list(network.parameters()))
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    take_step([adamw, muon], 0.5)
    name = "transformer.blocks.0.attn1.to_q.weight"
    now = dict(network.named_parameters())[name]
    stretch = torch.linalg.svdvals((before[name] - now.detach()) / (1e-2 * 0.5))
    gradient = torch.linalg.svdvals(now.grad)
    assert stretch.max() < 1.3
    assert stretch.min() / stretch.max() > 10 * gradient.min() / gradient.max()


def test_a_run_with_muon_continues_as_if_never_interrupted(tmp_path: Path) -> None:
    muon = OPTIMISER | {"muon_lr": 1e-2}
    whole = train_in(tmp_path / "whole", teacher_experiment(train__optimiser=muon, train__iterations=4))
    with pytest.raises(SaltError):
        train_in(tmp_path / "broken", teacher_experiment(train__optimiser=muon, train__iterations=4), Clips(12))
    resumed = train_in(tmp_path / "broken", teacher_experiment(train__optimiser=muon, train__iterations=4))
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(one, other)


def test_ema_starts_at_its_update_and_then_averages() -> None:
    config = EMAConfig(decay=0.75, start=2)
    network = nn.Linear(1, 1, bias=False)
    ema = EMA(network, config.decay, config.start)
    found = []
    for step, weight in enumerate((10.0, 20.0, 40.0, 0.0), start=1):
        nn.init.constant_(network.weight, weight)
        ema.update(network, step)
        found.append(ema.module.weight.item())
    assert found == pytest.approx([10, 20, 0.75 * 20 + 0.25 * 40, 0.75 * 25])
    assert not ema.module.weight.requires_grad


def test_preview_gets_the_average_at_its_steps(tmp_path: Path) -> None:
    seen: list[tuple[int, nn.Module]] = []
    setting = experiment(train__preview_every=2, train__iterations=5)
    state = train_in(tmp_path, setting, on_preview=lambda *given: seen.append(given))
    assert [step for step, _ in seen] == [2, 4]
    assert all(module is state.ema.module for _, module in seen)


@pytest.mark.parametrize(("update", "role"), [(6, "generator"), (7, "critic")])
def test_a_nan_stops_before_the_update_and_the_checkpoint_is_whole(tmp_path: Path, update: int, role: str) -> None:
    setting = experiment(objectives__sc=None)
    data = Clips(poisoned=4 * update + 1)  # iteration 3: updates 6 (generator), 7 and 8 (critic)
    with pytest.raises(SaltError) as caught:
        train_in(tmp_path, setting, data)
    saved = tmp_path / "checkpoints" / "step_000002"
    assert list_checkpoints(tmp_path / "checkpoints") == [saved]
    assert re.search(rf"step 3, {role}: (loss|dmd_direction) is nan.*last checkpoint is {saved}", str(caught.value))
    assert "\n" not in str(caught.value)
    assert [line["step"] for line in metrics_of(tmp_path)] == [1, 2]
    resumed = train_in(tmp_path, setting)
    unbroken = train_in(tmp_path / "unbroken", setting)
    assert all(torch.equal(a, b) for a, b in zip(weights(resumed), weights(unbroken), strict=True))


def test_a_gradient_that_is_not_finite_stops_the_run_before_the_update(tmp_path: Path) -> None:
    setting = teacher_experiment()
    method = make_method(setting)
    before = [parameter.clone() for parameter in method.trainable["generator"].parameters()]
    next(method.trainable["generator"].parameters()).register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(SaltError, match=r"step 1, generator: grad_norm is (inf|nan).*last checkpoint is none"):
        train(Job(method, Clips(), setting.train, tmp_path))
    after = method.trainable["generator"].parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_batch_that_cannot_be_split_is_refused(tmp_path: Path) -> None:
    setting = experiment(train__accumulate=2)
    with pytest.raises(SaltError, match=r"batch_size=4.*accumulate=2 times 3 processes: a multiple of 6"):
        train_in(tmp_path, setting, workers=Workers(0, 3))


def test_processes_and_micro_batches_share_a_batch_without_overlap() -> None:
    parts = [Workers(rank, 3).slices(100, 24, 2) for rank in range(3)]
    numbers = sorted(itertools.chain.from_iterable(itertools.chain.from_iterable(parts)))
    assert numbers == list(range(100, 124))
    assert all(len(micro) == 4 for part in parts for micro in part)


def test_tensorboard_that_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(SaltError, match="tensorboard=true needs the package tensorboard"):
        train_in(tmp_path, experiment(train__tensorboard=True))
