"""What a job costs: as measured where it, or another job of its rule, has run; else by `salt.planning.cost`.

Jobs without GPUs cost what workflow/timings.yaml says where nothing has run yet.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from statistics import mean
from typing import Literal

import yaml
from pydantic import NonNegativeFloat, PositiveFloat

from salt.config import Experiment, load_experiment, load_scale, repository_root
from salt.config.base import Probability, Section
from salt.config.files import accepted, as_mapping, read_mapping, relative
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError
from salt.evaluation.cells import REAL, TEACHER
from salt.evaluation.lengths import length_of_cells
from salt.files import write_text
from salt.planning import cost
from salt.planning.jobs import Planned
from salt.workflow.load import Workflow
from salt.workflow.resources import Resources

HOUR, GIGA, TERA = 3600.0, 1e9, 1e12
VIDEO_BYTES = 0.6
"""Of an mp4, for each of 1,000 pixels and frames: 2 MB for 5 seconds of 832 x 480 (the tiny world's take less)."""


class Device(Section):
    """A GPU of workflow/hardware.yaml."""

    tflops: PositiveFloat
    """Dense bfloat16, as the vendor gives it."""
    memory_gb: PositiveFloat
    """Of one."""
    utilisation: Probability
    """The share of `tflops` that a training step reaches."""


def load_device(name: str) -> Device:
    """One of workflow/hardware.yaml.

    Raises:
        SaltError: it does not name this one.
    """
    path = repository_root() / "workflow" / "hardware.yaml"
    source, known = relative(path), read_mapping(path)
    if name not in known:
        raise SaltError(f"--gpu {name}: no such device in {source}; {accepted(name, known)}")
    return validate(Device, Merged([Layer(as_mapping(known[name], source), source, (name,))]), source)


def resources_of(scale: str) -> Resources:
    """What the jobs of a scale ask for."""
    return Resources.load(repository_root() / "workflow", scale)


class Timings(Section):
    """Of one scale in workflow/timings.yaml."""

    machine: str
    """On which they were measured."""
    seconds: dict[str, NonNegativeFloat]
    """Rule -> the mean of its jobs."""


def timings_file() -> Path:
    """The file of timings."""
    return repository_root() / "workflow" / "timings.yaml"


def load_timings(scale: str) -> Timings | None:
    """What jobs of a scale took elsewhere; None: nobody has measured them."""
    path = timings_file()
    known = read_mapping(path) if path.is_file() else {}
    if scale not in known:
        return None
    return validate(Timings, Merged([Layer(as_mapping(known[scale], relative(path)), relative(path))]), relative(path))


def write_timings(scale: str, prices: "Prices") -> Path:
    """Put the means that were measured here into the file, in place of those of this scale.

    Raises:
        SaltError: nothing of it has run here.
    """
    if not prices.mean:
        raise SaltError(f"--keep: no job of scale {scale} has run here; accepted: after one has")
    path = timings_file()
    known = read_mapping(path) if path.is_file() else {}
    seconds = {rule: round(mean, 1) for rule, mean in sorted(prices.mean.items())}
    known[scale] = {"machine": f"{os.cpu_count()} CPU cores", "seconds": seconds}
    about = (
        "# Seconds of one job of each rule; `salt plan --scale SCALE --keep` writes what was measured where it ran.\n"
    )
    write_text(path, about + yaml.safe_dump({name: known[name] for name in sorted(known)}, sort_keys=False))
    return path


@dataclass(frozen=True)
class Price:
    """What one job costs."""

    hours: float | None
    """Wall time; None: neither measured nor modelled."""
    measured: Literal["here", "elsewhere"] | None
    """Where the wall time was measured; None: it is modelled, or not known."""
    gpus: int
    asked: float
    """Hours of one attempt, as workflow/resources.yaml asks."""
    disk: float
    """Bytes that stay."""


class Prices:
    """Prices of the jobs of one scale on one kind of device."""

    def __init__(self, scale: str, device: str, jobs: Iterable[Planned]) -> None:
        """Raises SaltError for a device that workflow/hardware.yaml does not name."""
        self.device, self.scale, self.resources = load_device(device), load_scale(scale), resources_of(scale)
        self.printed = Workflow.load({"scale": scale}, repository_root() / "workflow").printed
        took: dict[str, list[float]] = {}
        for job in jobs:
            if (seconds := job.seconds()) is not None:
                took.setdefault(job.rule, []).append(seconds)
        self.mean = {rule: mean(seconds) for rule, seconds in took.items()}
        self.elsewhere = load_timings(scale)
        self.experiment = cache(lambda name: load_experiment(name, scale))

    def of(self, job: Planned) -> Price:
        """What a job will cost."""
        asked = self.resources.of(job.rule)
        gpus, limit = asked.gpus, asked.runtime / 60
        own = job.seconds()
        seconds = own if own is not None else self.mean.get(job.rule)
        if seconds is not None:
            return Price(seconds / HOUR, "here", gpus, limit, self._disk(job))
        if not gpus and self.elsewhere is not None and job.rule in self.elsewhere.seconds:
            return Price(self.elsewhere.seconds[job.rule] / HOUR, "elsewhere", gpus, limit, self._disk(job))
        operations = self._operations(job) if gpus else None
        if operations is None:
            return Price(None, None, gpus, limit, self._disk(job))
        rate = self.device.tflops * TERA * self.device.utilisation * gpus
        return Price(operations / rate / HOUR, None, gpus, limit, self._disk(job))

    def _operations(self, job: Planned) -> float | None:
        """Floating-point operations of the networks that are Wan; None where others do the work."""
        if job.rule == "train":
            return cost.training(self.experiment(job.name))
        shared = job.rule.removesuffix("_part")
        if shared in ("latents", "ode_pairs"):
            parts, all_of_it = self.resources.of(shared).parts, self._made_once(shared, job.name)
            done_by_parts = parts > 1 and job.rule == shared
            return 0.0 if done_by_parts else all_of_it and all_of_it / parts
        if job.rule in ("sample", "sample_long"):
            return sum(count * operations for count, operations in self._videos(job))
        if job.rule == "defect":
            experiment, evaluation = self.experiment(job.name), self.scale.evaluation
            # four an interval on each of two paths, and the guided teacher's fine one
            steps = 8 * experiment.grid.steps + 2 * evaluation.teacher_nfe
            return evaluation.defect_samples * steps * cost.video(experiment, 1)
        return None

    def _made_once(self, rule: str, name: str) -> float | None:
        if rule == "ode_pairs":
            return cost.trajectories(self.experiment(name))
        if self.scale.data is None or self.scale.image_to_video:  # of image-to-video every caption has a video
            return None
        evaluation = self.scale.evaluation  # as if no caption had a video
        return self.scale.clips * 2 * cost.video(self.experiment(TEACHER), evaluation.teacher_nfe)

    def _videos(self, job: Planned) -> list[tuple[int, float]]:
        """(how many videos, operations of one) of every cell."""
        length = length_of_cells(self.scale, job.rule == "sample_long")
        count = length.prompts * len(self.scale.evaluation.seeds)
        experiment = self.experiment(TEACHER if job.name in (TEACHER, REAL) else job.name)
        causal, guided = experiment.causal, 2 if job.name == TEACHER else 1
        memory = length.memory(causal) if causal else None
        cells = length.cells(job.name, "", experiment, job.seed)
        wanted = () if job.rule == "sample_long" else self.printed.cells(job.name)
        cells = [cell for cell in cells if not wanted or cell.name in wanted]
        each = (guided * cost.video(experiment, c.nfe, length.clips, memory) if c.nfe else 0.0 for c in cells)
        return [(count, operations) for operations in each]

    def _disk(self, job: Planned) -> float:
        if job.rule == "import_released":
            return 4.0 * cost.parameters(self.scale.backbone)
        if job.rule == "train":
            experiment = self.experiment(job.name)
            kept = experiment.train.keep_checkpoints * cost.checkpoint_bytes(experiment)
            return kept + 4.0 * cost.parameters(self.scale.backbone)
        channels, frames, height, width = self.scale.latent_shape
        latents = 2.0 * channels * frames * height * width
        if job.rule == "latents":
            return self.scale.clips * (latents + self._first_frame(latents))
        if job.rule == "ode_pairs":
            experiment = self.experiment(job.name)
            assert experiment.pairs is not None
            return experiment.pairs.count * (experiment.grid.train_steps + 1) * latents
        if job.rule in ("sample", "sample_long"):
            length = length_of_cells(self.scale, job.rule == "sample_long").clips
            side = self.scale.vae.height * self.scale.vae.width if self.scale.vae else self._stored_pixels()
            each = VIDEO_BYTES * side * self.scale.world.frames * length / 1000
            return each * sum(count for count, _ in self._videos(job))
        return 0.0

    def _first_frame(self, latents: float) -> float:
        """Bytes that are kept of one: its latents, and its features where networks take some."""
        features = 2.0 * self.scale.image_tokens * (self.scale.backbone.image_dim or 0)
        return latents + features if self.scale.image_to_video else 0.0

    def _stored_pixels(self) -> int:
        return (self.scale.world.size * self.scale.world.video_scale) ** 2

    def memory(self, names: Iterable[str]) -> list[str]:
        """A line for the training that needs most memory on a device, and what would make it fit if it does not."""
        gpus, limit = self.resources.of("train").gpus, self.device.memory_gb * GIGA
        if not gpus:
            return []
        found = {name: cost.training_memory(self.experiment(name), gpus) for name in sorted(names)}
        lines = []
        if found:
            worst = max(found, key=lambda name: sum(found[name].values()))
            parts = ", ".join(
                f"{what} {value / GIGA:.1f}" for what, value in found[worst].items() if value >= GIGA / 20
            )
            total = sum(found[worst].values())
            lines.append(f"memory of a training on {gpus} GPUs, at most ({worst}): {total / GIGA:.0f} GB each: {parts}")
            if total > limit:
                lines.append(f"  does not fit {limit / GIGA:.0f} GB; {remedies(self.experiment(worst), gpus, limit)}")
        return lines


def remedies(experiment: Experiment, gpus: int, limit: float) -> str:
    """Which settings make a training fit a device."""
    train, most = experiment.train, gcd(experiment.shareable, gpus)
    steps: list[dict[str, object]] = [{"recompute": True}, {"shard": True}, {"precision": "bfloat16"}]
    for shared in (processes for processes in range(1, gpus + 1) if most % processes == 0):
        groups = gpus // shared  # one sample at a time in each
        steps.append({"context_parallel": shared, "accumulate": max(train.batch_size // groups, 1)})
    changes: dict[str, object] = {}
    for step in steps:
        changes |= {key: value for key, value in step.items() if changes.get(key, getattr(train, key)) != value}
        smaller = experiment.model_copy(update={"train": train.model_copy(update=changes)})
        if sum(cost.training_memory(smaller, gpus).values()) <= limit:
            return "it would with " + ", ".join(f"train.{key}={str(value).lower()}" for key, value in changes.items())
    return "more GPUs to split it over, or a larger device, are needed"
