"""Training one student: its networks, its data, its contact sheets, and what exported weights were trained as."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from salt.cli.assets import Assets
from salt.config.hashing import NOT_TRAINING
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


def trained_as(weights: Path) -> tuple[Experiment, int]:
    """The experiment and the seed of exported weights.

    Raises:
        SaltError: no provenance there.
    """
    path = weights / NAME
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return Experiment.model_validate(known["experiment"]), int(known["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SaltError(f"{path}: not the provenance of weights made by `salt train`: {reason}") from error


def check_trained_as(weights: Path, experiment: Experiment, seed: int) -> None:
    """Refuse weights of another experiment, scale, seed or configuration.

    Raises:
        SaltError: naming what differs; what leaves the weights as they are (titles, the evaluation) may.
    """
    known, known_seed = trained_as(weights)
    if (known.name, known.scale.name, known_seed) != (experiment.name, experiment.scale.name, seed):
        raise SaltError(
            f"{weights}: trained as {known.name} at scale {known.scale.name} with seed {known_seed}, "
            f"but {experiment.name} at scale {experiment.scale.name} with seed {seed} is expected"
        )
    there, here = (one.model_dump(mode="json", exclude=NOT_TRAINING) for one in (known, experiment))
    if differences := list(_differences("", there, here)):
        raise SaltError(
            f"{weights}: trained with another configuration: {'; '.join(differences)}; "
            "accepted: the same --set as in training, or weights trained anew"
        )


def _differences(key: str, there: Any, here: Any) -> Iterator[str]:
    """Every value of two configurations that differs, by its dotted key."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in there:
            yield from _differences(f"{key}.{name}".removeprefix("."), there[name], here[name])
    elif there != here:
        yield f"{key} (there {json.dumps(there)}, here {json.dumps(here)})"
