"""From an experiment to exported weights: everything around the training loop."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from salt.config.schema import Experiment
from salt.errors import SaltError, out_of_memory
from salt.files import write_text
from salt.methods.protocol import Method
from salt.training.loop import Data, Job, train
from salt.training.parallel import Workers, join_workers
from salt.training.provenance import NAME, is_complete, provenance
from salt.training.run import claim_run, lease_run
from salt.training.state import MUON

log = logging.getLogger(__name__)


def run_training(
    experiment: Experiment,
    seed: int,
    build: Callable[[], tuple[Method, Data]],
    run: Path,
    out: Path,
    save: Callable[[nn.Module, Path], None],
    inputs: Mapping[str, Path],
    device: str = "cpu",
    on_preview: Callable[[int, nn.Module], None] | None = None,
    wait: bool = False,
) -> bool:
    """Train an experiment and export the averaged generator; do nothing if that is done already.

    Args:
        experiment: the resolved configuration.
        seed: identifies the run, with the configuration; `build` derives its random streams from it.
        build: makes the method, with its networks on `device`, and the data; called only if there is something to do.
        run: run directory with checkpoints, metrics and lease.
        out: folder of the weights; `provenance.json` is written there last.
        save: writes a network into a folder, atomically.
        inputs: name -> file or folder that the training uses; their hashes are recorded in the provenance.
        device: the device of batches.
        on_preview: see `Job`.
        wait: wait for another training in `run` to end, instead of raising an error.

    Returns:
        Whether there was anything to do.

    Raises:
        SaltError: see `train`, `lease_run` and `claim_run`.
        InterruptedBySignal: see `train`.
    """
    torch.set_num_threads(experiment.train.threads)
    with join_workers(experiment.train.context_parallel) as workers:
        if is_complete(out, experiment, seed):
            log.info("%s: complete, nothing to do", out)
            return False
        _check_normaliser(experiment, workers)
        with lease_run(run, workers, wait) as still_ours:
            if workers.any(workers.first and is_complete(out, experiment, seed)):
                log.info("%s: complete meanwhile, nothing to do", out)
                return False
            if workers.first:
                claim_run(run, experiment, seed)
            workers.wait()
            try:
                method, data = build()
                state = train(Job(method, data, experiment.train, run, workers, device, on_preview, still_ours))
                averaged = state.averaged()
                if workers.first:
                    still_ours()
                    save(averaged, out)
                    known = provenance(experiment, seed, inputs, out) | {"seconds": round(state.seconds, 1)}
                    if state.muon_precision is not None:
                        known[MUON] = state.muon_precision
                    write_text(out / NAME, json.dumps(known, indent=1) + "\n")
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                raise SaltError(
                    f"{run}: out of memory; checkpoints are as they were; a training takes less with "
                    f"{_less_memory(experiment)}, or on a larger device (`salt plan` counts it)"
                ) from error
            workers.wait()
    return True


def _less_memory(experiment: Experiment) -> str:
    """The settings that save memory and are not in use yet, for a message."""
    train, shared = experiment.train, experiment.train.context_parallel
    unused = {
        "train.recompute=true": not train.recompute,
        "train.precision=bfloat16": train.precision == "float32",
        f"train.accumulate above {train.accumulate}": train.batch_size > train.accumulate,
        "train.shard=true": not train.shard,
        f"train.context_parallel above {shared}": experiment.shareable > shared,
        "more processes": train.shard,
    }
    return ", ".join(setting for setting, helps in unused.items() if helps)


def _check_normaliser(experiment: Experiment, workers: Workers) -> None:
    parts = experiment.train.accumulate * workers.groups
    if experiment.objectives.dmd is not None and experiment.objectives.dmd.normaliser == "global" and parts > 1:
        raise SaltError(
            f"{experiment.name}: objectives.dmd.normaliser=global averages over a whole batch, which has {parts} parts "
            "here: train.accumulate=1 in one process is accepted, or normaliser=per_sample"
        )
