"""Rule `lab_arms`: the arms of one set, trained and measured for one ensemble of seeds.

An arm that is complete is not trained again, and one that was stopped goes on; measuring takes seconds.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from salt.config.lab import Chain
from salt.config.lab_arms import Arms, ArmSet, ensemble, load_arms
from salt.config.lab_claims import claims_path
from salt.config.schema import Experiment
from salt.data.exact import ExactData, ExactPairs, captions_of, causal_pairs_of, modes_of, pairs_of
from salt.evaluation.lab.columns import CLOUD_COLUMNS
from salt.evaluation.lab.measure import clouds, measure_arm
from salt.evaluation.lab.records import BrokenSamples, exact_of
from salt.files import sha256, whole_file, write_text
from salt.flow.grid import time_grid
from salt.methods import build_method
from salt.methods.protocol import Method
from salt.models.ensemble import (
    EnsembleCausal,
    EnsembleFlowMap,
    EnsembleVelocity,
    load_ensemble,
    lost_members,
    save_ensemble,
)
from salt.models.exact import ExactTeacher
from salt.readers import read_json
from salt.streams import MemberStreams
from salt.training.job import run_training
from salt.training.loop import Data
from salt.training.provenance import NAME, check_unchanged, git_state
from salt.workflow.arms import ArmStates

log = logging.getLogger(__name__)


def run(name: str, lab: str, first: int, scratch: Path, records: Path) -> None:
    """Train and measure.

    Args:
        name: the set.
        lab: scale of the lab.
        first: seed of the first member; an ensemble of a phase begins there.
        scratch: folder of weights and run directories.
        records: folder of the records.

    Raises:
        SaltError: an unknown set, seeds of no phase, weights of another ensemble, all members lost.
    """
    arms = load_arms()
    chosen = arms.named(name)
    seeds = ensemble(name, lab, first)
    torch.set_num_threads(1)
    workshop = Workshop(arms, lab, seeds, scratch)
    measured: list[pd.DataFrame] = []
    drawn: list[pd.DataFrame] = []
    lost: dict[str, list[int]] = {}
    for arm in chosen.arms:
        experiment = workshop.experiment(arm)
        for updates, network in workshop.trained(arm):
            if _makes_samples(experiment):
                records_of_arm, gone = measured_without_broken(network, experiment, arm, seeds, updates)
                measured.append(records_of_arm)
                if gone:
                    lost[arm] = sorted({*lost.get(arm, []), *(seeds[member] for member in gone)})
        if chosen.arms[arm].cloud:
            drawn.append(clouds(network, experiment, arm, seeds))
        log.info("%s: measured", arm)
    stem = f"{name}_{seeds[0]}-{seeds[-1]}"
    _write_table(pd.concat(measured), records / f"{stem}.csv.gz")
    clouds_of_all = pd.concat(drawn) if drawn else pd.DataFrame(columns=pd.Index(CLOUD_COLUMNS))
    _write_table(clouds_of_all, records / f"{stem}_clouds.csv.gz")
    about = {
        **(git_state() or {"commit": None, "dirty": None}),
        "plan": chosen.plan,
        "plan_sha256": sha256(claims_path(chosen.plan)),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": workshop.seconds(chosen),
        "lost": lost,
    }
    write_text(records / f"{stem}.json", json.dumps(about, indent=1) + "\n")


def measured_without_broken(
    network: nn.Module, experiment: Experiment, arm: str, seeds: Sequence[int], updates: int
) -> tuple[pd.DataFrame, set[int]]:
    """The records of an arm, and the members that have none: their weights, or what is sampled of them, diverged."""
    gone = set(lost_members(network))
    while True:
        try:
            return measure_arm(network, experiment, arm, seeds, updates, tuple(gone)), gone
        except BrokenSamples as broken:
            log.error("%s; left out", broken)
            gone |= set(broken.members)


@dataclass(frozen=True)
class Workshop:
    """Where the arms of one ensemble of seeds are trained; each in a folder that what decides it names."""

    arms: Arms
    lab: str
    seeds: Sequence[int]
    scratch: Path

    @cached_property
    def _streams(self) -> MemberStreams:
        return MemberStreams(self.seeds)

    @cached_property
    def states(self) -> ArmStates:
        """What decides their weights."""
        return ArmStates(self.arms, self.lab)

    def experiment(self, arm: str) -> Experiment:
        """What an arm is."""
        return self.states.experiment(arm)

    def folder(self, arm: str) -> Path:
        """An arm's run directory."""
        return self.states.folder(arm, self.seeds, self.scratch)

    def weights(self, arm: str) -> Path:
        """An arm's weights at the end of its training, which this makes sure of."""
        out = self.folder(arm) / "weights"
        starts = self.states.starts(arm)
        inputs = {role: self.weights(start) for role, start in starts.items()}
        experiment = self.experiment(arm)

        def build() -> tuple[Method, Data]:
            return self._build(experiment, inputs)

        def snapshot(step: int, network: nn.Module) -> None:
            save_ensemble(network, self._snapshot(arm, step))

        run_training(
            experiment, self.seeds[0], build, self.folder(arm), out, save_ensemble, inputs,
            on_preview=snapshot, wait=True,
        )  # fmt: skip
        return out

    def trained(self, arm: str) -> Iterator[tuple[int, nn.Module]]:
        """The averaged networks of an arm at the updates at which it is measured, the last at its end."""
        experiment = self.experiment(arm)
        out, train = self.weights(arm), experiment.train
        every = range(train.preview_every, train.iterations, train.preview_every) if train.preview_every else ()
        for step in every:
            if _is_doubled(step, train.preview_every):
                yield step, self._loaded(experiment, self._snapshot(arm, step))
        yield train.iterations, self._loaded(experiment, out)

    def seconds(self, chosen: ArmSet) -> float:
        """What the training of a set's arms took."""
        known = [read_json(self.folder(arm) / "weights" / NAME, "as this rule wrote it") for arm in chosen.arms]
        return round(sum(one["seconds"] for one in known), 1)

    def _snapshot(self, arm: str, step: int) -> Path:
        return self.folder(arm) / "snapshots" / f"step_{step:06d}"

    def _network(self, experiment: Experiment, causal: bool) -> EnsembleVelocity | EnsembleCausal:
        exact = exact_of(experiment)
        text = len(captions_of(exact.world).names)
        if causal:
            network: EnsembleVelocity | EnsembleCausal = EnsembleCausal(
                len(self.seeds), exact.world.latent_shape[0], text, exact.network
            )
        else:
            kind = EnsembleVelocity if experiment.flow_map is None else EnsembleFlowMap
            network = kind(len(self.seeds), exact.world.latent_shape, text, exact.network)
        network.mlp.initialise(self.seeds)
        return network

    def _loaded(self, experiment: Experiment, weights: Path | None, causal: bool | None = None) -> nn.Module:
        network = self._network(experiment, experiment.causal is not None if causal is None else causal)
        if weights is not None:
            check_unchanged(weights)
            load_ensemble(network, weights)
        return network

    def _build(self, experiment: Experiment, inputs: Mapping[str, Path]) -> tuple[Method, Data]:
        exact, dmd = exact_of(experiment), experiment.objectives.dmd
        generator = self._loaded(experiment, inputs.get("init"))
        whole = experiment.model_copy(update={"flow_map": None})  # a critic takes one time
        critic = None if dmd is None else self._loaded(whole, inputs["critic"], causal=False)
        judge = ExactTeacher(modes_of(exact.world)) if dmd is not None and dmd.teacher == "exact" else None
        method = build_method(experiment, generator, critic, self._streams, judge)
        return method, self._data(experiment)

    def _data(self, experiment: Experiment) -> ExactData | ExactPairs:
        exact, pairs, grid = exact_of(experiment), experiment.pairs, experiment.grid
        if pairs is None:
            return ExactData(exact, self._streams)
        times, shift, steps = time_grid(grid.train_steps, grid.warp), grid.shift, pairs.solver_steps
        if isinstance(exact.world, Chain):
            return causal_pairs_of(exact, times, shift, steps, self._streams)
        teacher = ExactTeacher(modes_of(exact.world))
        return pairs_of(exact, teacher, times, shift, steps, pairs.cfg_weight, self._streams)


def _makes_samples(experiment: Experiment) -> bool:
    """Whether it is measured: a critic's start in a chain makes whole sequences, which no student does."""
    return experiment.causal is not None or not isinstance(exact_of(experiment).world, Chain)


def _is_doubled(step: int, first: int) -> bool:
    """Whether a step is `first` times a power of two: where learning curves are measured."""
    ratio = step // first
    return step % first == 0 and ratio & (ratio - 1) == 0


def _write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write records as a whole file, the same bytes for the same numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        frame.to_csv(temporary, index=False, compression={"method": "gzip", "mtime": 0})
