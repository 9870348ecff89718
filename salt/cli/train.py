"""Training one student: its networks, its data, and the contact sheets it leaves on the way."""

import json
from pathlib import Path

from torch import nn

from salt.cli.assets import Assets
from salt.config import load_experiment
from salt.config.schema import Experiment
from salt.data.latents import LatentBank
from salt.errors import SaltError
from salt.methods import Streams, build_method
from salt.methods.protocol import Method
from salt.models.wan import build_wan, save_wan
from salt.training.job import run_training
from salt.training.provenance import NAME


def train_student(
    experiment: Experiment, seed: int, assets: Assets, latents: Path, run_dir: Path, out: Path, device: str
) -> None:
    """Distil the teacher as an experiment says, and export the averaged generator into `out`."""
    if experiment.objectives.dmd is None:
        raise SaltError(f"{experiment.name}: `salt train` trains students; `salt teacher` trains this one")

    def build() -> tuple[Method, LatentBank]:
        teacher = assets.teacher().to(device).eval()
        fresh = experiment.init == "random"
        generator = build_wan(experiment.scale.backbone, seed).to(device) if fresh else assets.teacher().to(device)
        return (
            build_method(experiment, generator, teacher, Streams(seed)),
            _bank(latents, assets, seed),
        )

    def preview(step: int, generator: nn.Module) -> None:
        from salt.cli.preview import draw_preview

        draw_preview(generator, experiment, assets, run_dir / "previews" / f"step_{step:06d}.png", device)

    run_training(
        experiment, seed, build, run_dir, out, save_wan, {"teacher": assets.folder, "latents": latents}, device, preview
    )


def _bank(path: Path, assets: Assets, seed: int) -> LatentBank:
    bank = LatentBank(path, assets.text_encoder, seed)
    shape = tuple(bank.latents.shape[1:])
    if bank.about.get("codec") != assets.codec_hash or shape != assets.latent_shape:
        raise SaltError(
            f"{path}: latents {shape} of another codec or world; {assets.latent_shape} by the codec of {assets.folder} "
            "are expected: make the file anew with `salt latents`"
        )
    return bank


def trained_as(weights: Path, scale: str) -> tuple[Experiment, int]:
    """The experiment and the seed of exported weights.

    Raises:
        SaltError: no provenance there, or weights of another scale.
    """
    path = weights / NAME
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        name, seed, trained_at = known["experiment"]["name"], int(known["seed"]), known["experiment"]["scale"]["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SaltError(f"{path}: not the provenance of weights made by `salt train`: {error}") from error
    if trained_at != scale:
        raise SaltError(f"{weights}: trained at scale {trained_at}, but --scale is {scale}")
    return load_experiment(name, scale), seed
