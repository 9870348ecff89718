"""Rule `ode_pairs`: trajectories of the scale's teacher, or of a causal teacher, from noise to data."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from salt.config.hashing import content_hash
from salt.config.schema import Experiment, Pairs
from salt.data.latents import Bank
from salt.data.pairs import About, PairBank, write_pairs
from salt.data.store import INDEX
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.files import sha256
from salt.flow.grid import merged_grid, time_grid
from salt.flow.path import Velocity, guide
from salt.flow.transport import euler_sample
from salt.models.precision import in_precision
from salt.stages.latents import about_bank, open_bank, part_lease
from salt.stages.shared.assets import TEXT_ENCODER, TRANSFORMER, Assets, load_assets, weights_hash
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.modes import exact_teacher
from salt.stages.shared.networks import check_weights_of, student_of
from salt.streams import Streams
from salt.training.run import alone

EXACT = "exact"
SEED = 0
"""Seed of the noise, the same for all training seeds: students share one store of pairs, as the released ones do."""


def run(
    experiment: Experiment,
    teacher: Path,
    latents: Path,
    weights: Path | None,
    out: Path,
    device: str,
    part: tuple[int, int],
) -> None:
    """Make the trajectories on which an experiment regresses, or one part of them.

    Args:
        experiment: one with `pairs`.
        teacher: folder made by `salt teacher`.
        latents: folder made by `salt latents`.
        weights: of the causal teacher, where `pairs.teacher` names one.
        out: the store's folder.
        device: where the trajectories are computed.
        part: see `write_store`.
    """
    pairs = _pairs(experiment)
    check_weights_of(pairs.teacher, experiment.scale.name, "--weights", weights, (TEACHER, EXACT))
    check_device(device)
    single_thread()
    assets = load_assets(teacher, experiment.scale)
    about = about_pairs(experiment, assets, latents, weights)
    if pairs.teacher == EXACT:
        network: nn.Module = exact_teacher(assets, latents, about_bank(assets), device)
    else:
        network = student_of(pairs.teacher, experiment.scale.name, assets, weights).to(device).eval()
        network = in_precision(network, experiment.scale.evaluation.precision, device)
    make_pairs(experiment, assets, open_bank(latents, assets, 0), about, network, out, device, part)


def about_pairs(experiment: Experiment, assets: Assets, latents: Path, weights: Path | None) -> About:
    """What determines the trajectories on which an experiment regresses."""
    pairs = _pairs(experiment)
    grid = time_grid(experiment.grid.train_steps, experiment.grid.warp)
    folder = assets.folder / TRANSFORMER if weights is None else weights
    teacher = EXACT if pairs.teacher == EXACT else weights_hash(folder)
    return About(
        kind="bidirectional" if weights is None else "causal",
        teacher=teacher,
        codec=assets.codec_hash,
        text=f"{weights_hash(assets.folder / TEXT_ENCODER)}/{content_hash(experiment.scale.text)}",
        precision=experiment.scale.evaluation.precision,
        source=sha256(latents / INDEX),
        seed=SEED,
        solver_steps=pairs.solver_steps,
        shift=experiment.grid.shift,
        cfg_weight=pairs.cfg_weight,
        times=(*grid, 0.0) if weights is None else (*grid, 0.0, 0.0),
    )


def open_pairs(
    experiment: Experiment, assets: Assets, latents: Path, init: Path | None, folder: Path, seed: int, hashed: bool
) -> PairBank:
    """The store on which an experiment regresses; teacher, clips and solver must be the experiment's.

    A student of a causal teacher also starts from it, so the teacher's weights are `init`.
    """
    weights = init if experiment.of_clean_chunks else None
    expected = about_pairs(experiment, assets, latents, weights).model_dump()
    return PairBank(folder, assets.text_encoder, seed, expected, hashed)


def make_pairs(
    experiment: Experiment,
    assets: Assets,
    bank: Bank,
    about: About,
    model: nn.Module,
    out: Path,
    device: str,
    part: tuple[int, int],
) -> None:
    """Write the store, or what is missing of it.

    Args:
        experiment: the one that regresses on the trajectories.
        assets: teacher and text encoder.
        bank: captions and, for a causal teacher, the clean chunks on which it is conditioned.
        about: see `about_pairs`.
        model: the teacher, on the device; of a causal experiment with `of_clean_chunks` a causal one.
        out: the store's folder.
        device: where the trajectories are computed.
        part: see `write_store`.
    """
    pairs, batch_size = _pairs(experiment), experiment.scale.evaluation.batch_size
    if pairs.count > len(bank):
        raise SaltError(
            f"{experiment.name}: pairs.count={pairs.count}, but the bank has {len(bank)} clips; at most so many"
        )
    assets.on(device)
    uncond = assets.text_encoder.encode([experiment.scale.text.negative]).to(device)
    kept = time_grid(experiment.grid.train_steps, experiment.grid.warp)
    grid = merged_grid(time_grid(pairs.solver_steps, experiment.grid.shift), kept)
    places = [*map(grid.index, kept), len(grid)]

    def make(start: int, stop: int) -> tuple[Tensor, Sequence[str]]:
        captions: list[str] = []
        parts = []
        for begin in range(start, stop, batch_size):
            rows = range(begin, min(begin + batch_size, stop))
            clean, prompts = bank.clips(rows.start, rows.stop)
            clean, text = clean.to(device), assets.text_encoder.encode(prompts).to(device)
            captions += prompts
            context = (clean,) if experiment.of_clean_chunks else ()
            velocity = partial(_guided, model, text, uncond.expand_as(text), pairs.cfg_weight, context)
            noise = Streams(SEED).normal("pairs/noise", 0, rows, clean.shape[1:]).to(device)
            states = _trajectory(velocity, noise, grid)
            parts.append(torch.stack([*(states[i] for i in places), *context], dim=1).cpu())
            bar.update(len(rows))
        return torch.cat(parts), captions

    with alone(part_lease(out, part)), tqdm(total=pairs.count, desc="trajectories", mininterval=5) as bar:
        write_pairs(out, about, pairs.count, pairs.shard_size, make, part)


def _guided(
    model: Any, text: Tensor, empty: Tensor, weight: float, context: tuple[Tensor, ...], x_t: Tensor, t: Tensor
) -> Tensor:
    cond = model(x_t, t, text, *context)
    return cond if weight == 1 else guide(cond, model(x_t, t, empty, *context), weight)


@torch.no_grad()
def _trajectory(velocity: Velocity, noise: Tensor, grid: Sequence[float]) -> list[Tensor]:
    return euler_sample(velocity, noise, grid, trajectory=True)


def _pairs(experiment: Experiment) -> Pairs:
    if experiment.pairs is None:
        raise SaltError(f"{experiment.name}: it regresses no trajectories; accepted: an experiment with `pairs`")
    return experiment.pairs
