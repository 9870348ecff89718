"""Rule `train`: the training of one student: its networks, its data, and contact sheets along the way."""

from pathlib import Path

from torch import distributed, nn

from salt.config.schema import Experiment
from salt.data.store import INDEX
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.methods import build_method
from salt.methods.protocol import Method
from salt.models.wan import recompute_blocks, save_wan
from salt.stages.latents import about_bank, open_bank
from salt.stages.ode_pairs import open_pairs
from salt.stages.shared.assets import load_assets
from salt.stages.shared.devices import check_device
from salt.stages.shared.modes import exact_teacher
from salt.stages.shared.networks import RANDOM, check_weights_of, start_of
from salt.streams import Streams
from salt.training.job import run_training
from salt.training.loop import Data


def run(
    experiment: Experiment,
    seed: int,
    teacher: Path,
    latents: Path,
    init: Path | None,
    pairs: Path | None,
    run_dir: Path,
    out: Path,
    device: str,
    wait: bool,
) -> None:
    """Train the student of an experiment, and export its averaged generator into `out`."""
    if experiment.name == TEACHER:
        raise SaltError(f"{experiment.name}: `salt train` trains students; `salt teacher` trains this one")
    check_device(device)
    assets = load_assets(teacher, experiment.scale)
    check_weights_of(experiment.init, experiment.scale.name, "--init", init, (TEACHER, RANDOM))
    if pairs is None and experiment.pairs is not None:
        raise SaltError(f"{experiment.name}: --pairs is missing: the folder that `salt ode-pairs` made is accepted")
    if pairs is not None and experiment.pairs is None:
        raise SaltError(f"{experiment.name}: --pairs {pairs}: it regresses no trajectories; leave it out")

    def build() -> tuple[Method, Data]:
        together = distributed.is_initialized()
        # networks that are split over processes go to the device block by block: there is no room for whole ones
        place = "cpu" if experiment.train.shard and together else device
        distilling = experiment.objectives.dmd or experiment.objectives.pcm
        distils, hashed = distilling is not None, not together or distributed.get_rank() == 0
        empty = experiment.scale.text.negative if distils else ""  # flow matching replaces captions by the empty one
        assets.on(device)
        teacher = assets.teacher().to(place).eval() if distils else None
        generator = start_of(experiment, seed, assets, init).to(place)
        data: Data = (
            open_bank(latents, assets, seed, experiment.rollout.history is not None, hashed, empty)
            if pairs is None
            else open_pairs(experiment, assets, latents, init, pairs, seed, hashed)
        )
        judge: nn.Module | None = None
        if distilling is not None and distilling.teacher == "larger":
            judge = assets.larger().to(place).eval()
        if distilling is not None and distilling.teacher == "exact":
            judge = exact_teacher(assets, latents, about_bank(assets), device)
        method = build_method(experiment, generator, teacher, Streams(seed), judge)
        if experiment.train.recompute:
            for role, network in method.trainable.items():
                if role != "discriminator":
                    recompute_blocks(network)
        return method, data

    def preview(step: int, generator: nn.Module) -> None:
        from salt.stages.shared.preview import draw_preview

        draw_preview(generator, experiment, assets, run_dir / "previews" / f"step_{step:06d}.png", device)

    stores = {"latents": latents / INDEX, "pairs": None if pairs is None else pairs / INDEX}  # they hold the hashes
    named = {"teacher": assets.folder, "init": init, **stores}
    inputs = {name: path for name, path in named.items() if path is not None}
    run_training(experiment, seed, build, run_dir, out, save_wan, inputs, device, preview, wait)
