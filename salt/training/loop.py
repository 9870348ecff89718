"""The training loop, one for all methods.

An iteration is one pass over `method.roles(step)`: for distillation one update of the generator, then `critic.ratio`
updates of the critic, each on a batch of its own. Samples are numbered through the whole run (updates so far times
batch size, plus the place in the batch), so the data position and all random numbers follow from the counters in a
checkpoint. To resume, run the same command again.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from salt.config.train import Train
from salt.errors import InterruptedBySignal, SaltError
from salt.methods.protocol import Method
from salt.models.precision import compute_in
from salt.models.protocol import Batch, Ensemble
from salt.training import members
from salt.training.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from salt.training.metrics import open_metrics
from salt.training.parallel import ALONE, Workers
from salt.training.sharding import gathered
from salt.training.signals import listen_for_stop
from salt.training.state import TrainState, lr_factor, take_step

log = logging.getLogger(__name__)


class Data(Protocol):
    """Where batches come from."""

    def batch(self, samples: Sequence[int]) -> Batch:
        """The data of these samples; it depends on their numbers alone, which grow through the whole run."""
        ...


@dataclass(frozen=True)
class Job:
    """What the loop works on.

    Attributes:
        method: with its networks on `device`.
        data: see `Data`.
        config: the section `train`.
        run: run directory, which the caller has leased and claimed.
        workers: this process among its peers.
        device: the device of batches.
        on_preview: called with (step, averaged generator) every `config.preview_every` iterations, in one process.
        still_ours: called before anything is written; raises if another process has taken `run` over.
    """

    method: Method
    data: Data
    config: Train
    run: Path
    workers: Workers = ALONE
    device: str = "cpu"
    on_preview: Callable[[int, nn.Module], None] | None = None
    still_ours: Callable[[], None] = lambda: None

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.run / "checkpoints"


def train(job: Job) -> TrainState:
    """Train to the end, from the newest checkpoint if there is one, with the same bits as an uninterrupted run.

    Returns:
        The final state; its `ema.module` is the averaged generator.

    Raises:
        SaltError: a batch cannot be split evenly, a checkpoint is damaged, the disk is full, the lease was lost, or a
            loss or gradient is not finite (raised before the optimiser step).
        InterruptedBySignal: one of `listen_for_stop` was received; the iteration was finished and a checkpoint written.
    """
    config, workers = job.config, job.workers
    _check_split(config, workers)
    state = TrainState(job.method.trainable, config, job.method.constant)
    if workers.any(state.muon_precision == "float32"):  # of processes on unlike CPUs all do as the slowest
        state.muon_precision = "float32"
    chosen = state.muon_precision
    load_checkpoint(job.checkpoints, state, workers)
    if state.muon_precision != chosen:
        log.info("%s: Muon goes on in %s, in which it began; here %s is faster", job.run, state.muon_precision, chosen)
    if state.step:
        log.info("%s: continuing after step %d", job.run, state.step)
    with listen_for_stop() as stop, open_metrics(job.run, config, state.step, workers.first) as metrics:
        while state.step < config.iterations:
            # ---- updates and EMA
            begun = time.perf_counter()
            entries = iterate(job, state)
            state.ema.update(state.networks["generator"], state.step)
            seconds = time.perf_counter() - begun
            state.seconds += seconds
            # ---- metrics and preview
            job.still_ours()
            metrics.write(state.step, entries | {"seconds": seconds})
            if job.on_preview and workers.first and config.preview_every and state.step % config.preview_every == 0:
                job.on_preview(state.step, state.ema.module)
            # ---- checkpoint
            stopping = workers.any(stop.received is not None)
            due = state.step % config.checkpoint_every == 0 or state.step == config.iterations
            if due or stopping:
                metrics.sync()
                save_checkpoint(job.checkpoints, state, config.keep_checkpoints, workers)
            # ---- stop
            if stopping and state.step < config.iterations:
                raise InterruptedBySignal(
                    f"{job.run}: {stop.received or 'a signal'} came; step {state.step}/{config.iterations} is saved; "
                    "to continue, run the same command again"
                )
    workers.wait()
    return state


def iterate(job: Job, state: TrainState) -> dict[str, float]:
    """Run all updates of one iteration; returns the mean of every `role/metric` over them."""
    found: dict[str, list[float]] = {}
    for role in job.method.roles(state.step):
        for name, value in _update(job, state, role).items():
            found.setdefault(f"{role}/{name}", []).append(value)
    state.step += 1
    return {name: math.fsum(values) / len(values) for name, values in found.items()}


def _update(job: Job, state: TrainState, role: str) -> dict[str, float]:
    """One update of one role: accumulate, average, check, clip, step; of each network that it trains."""
    config, workers = job.config, job.workers
    networks = {name: state.networks[name] for name in job.method.updated(role)}
    for network in networks.values():
        network.zero_grad(set_to_none=True)
    first = sum(state.updates.values()) * config.batch_size
    metrics: dict[str, float] = {}
    for samples in workers.slices(first, config.batch_size, config.accumulate):
        batch = job.data.batch(samples).to(job.device)
        with compute_in(config.precision, job.device):
            loss, extra = job.method.loss(role, batch, state.step)
        # processes that share samples each hold a part of the gradient: their sum, not their mean, enters the average;
        # an ensemble's loss is the mean over its members, each of which is trained by its own
        number = members.number(state.networks[role])
        torch.autograd.backward(loss * number * workers.context / config.accumulate)
        for name, value in {"loss": loss.item(), **extra}.items():
            metrics[name] = metrics.get(name, 0.0) + value / config.accumulate
    if not state.split:  # split networks average their gradients in backward
        workers.average_gradients([weight for network in networks.values() for weight in network.parameters()])
    metrics = workers.mean(metrics)
    where = f"{job.run}: step {state.step + 1}, {role}"
    for name, network in networks.items():
        largest = state.configs[name].clip
        if isinstance(network, Ensemble):
            metrics = {key: value for key, value in metrics.items() if math.isfinite(value)}  # not so if one diverged
            clipped = members.clip(network, largest, where)
        else:
            norm = nn.utils.clip_grad_norm_(network.parameters(), largest)
            clipped = {"grad_norm": gathered(norm).item()}
        metrics |= {key if name == role else f"{name}_{key}": value for key, value in clipped.items()}
    _refuse_non_finite(job, state.step, role, metrics)
    for name in networks:
        factor = lr_factor(state.configs[name], state.updates[role], state.step / config.iterations)
        take_step(state.optimisers[name], factor)
        metrics["lr" if name == role else f"{name}_lr"] = state.configs[name].lr * factor
    state.updates[role] += 1
    return metrics


def _refuse_non_finite(job: Job, step: int, role: str, metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            saved = list_checkpoints(job.checkpoints)
            raise SaltError(
                f"{job.run}: step {step + 1}, {role}: {name} is {value}; nothing was updated with it; "
                f"the last checkpoint is {saved[-1] if saved else 'none'}; "
                "a smaller optimiser.lr or optimiser.clip, or longer warmup may help"
            )


def _check_split(config: Train, workers: Workers) -> None:
    parts = config.accumulate * workers.groups
    if config.batch_size % parts:
        shared = f" by {config.context_parallel}" if workers.context > 1 else ""
        raise SaltError(
            f"train.batch_size={config.batch_size} cannot be split over train.accumulate={config.accumulate} times "
            f"{workers.size} processes{shared}: a multiple of {parts} is accepted"
        )
