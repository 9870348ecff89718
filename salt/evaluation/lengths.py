"""How long videos are: of training length, or beyond it. Whatever depends on that is asked of one value.

Long videos are of causal students only, as the scale's `evaluation.long` says; they are cells of their own.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from salt.config.memory import Memory
from salt.config.scale import Evaluation, Long, Scale
from salt.config.schema import Experiment
from salt.config.vbench import VBench
from salt.errors import SaltError
from salt.evaluation.cells import ModelCell, cells_of, long_cells
from salt.evaluation.groundtruth.long import CLIP_TO_CLIP_WEIGHT, latent_frames


class Length(Protocol):
    """The length of the videos of a cell."""

    @property
    def clips(self) -> int:
        """In clips of training length."""
        ...

    @property
    def prompts(self) -> int:
        """How many prompts of the list are evaluated."""
        ...

    @property
    def vbench(self) -> VBench | None:
        """How the real VBench scores such videos; None: the ground-truth scorer does."""
        ...

    def memory(self, own: Memory) -> Memory:
        """The KV-cache policy of a student whose own is `own`."""
        ...

    def chunks(self, experiment: Experiment) -> int:
        """How many chunks may have a caption of their own."""
        ...

    def cells(self, name: str, title: str, scale: Scale, seed: int, causal: bool) -> list[ModelCell]:
        """The cells of one model; arguments as of `cells_of`."""
        ...

    def decides(self) -> dict[str, Any]:
        """What of it enters the protocol of a score."""
        ...


@dataclass(frozen=True)
class TrainingLength:
    """One clip."""

    evaluation: Evaluation

    clips = 1

    @property
    def prompts(self) -> int:
        """Those of the scale."""
        return self.evaluation.prompts

    @property
    def vbench(self) -> VBench | None:
        """That of the scale."""
        return self.evaluation.vbench

    def memory(self, own: Memory) -> Memory:
        """The student's own."""
        return own

    def chunks(self, experiment: Experiment) -> int:
        """One caption for the whole video."""
        return 1

    def cells(self, name: str, title: str, scale: Scale, seed: int, causal: bool) -> list[ModelCell]:
        """Every solver and number of function evaluations."""
        return cells_of(name, title, scale, seed, causal)

    def decides(self) -> dict[str, Any]:
        """Nothing besides the prompts."""
        return {}


@dataclass(frozen=True)
class BeyondTraining:
    """Several clips, one after another."""

    long: Long

    @property
    def clips(self) -> int:
        """As the scale says."""
        return self.long.length

    @property
    def prompts(self) -> int:
        """As the scale says."""
        return self.long.prompts

    @property
    def vbench(self) -> VBench | None:
        """VBench-Long, where VBench scores."""
        return self.long.vbench

    def memory(self, own: Memory) -> Memory:
        """The same for all students."""
        return self.long.memory

    def chunks(self, experiment: Experiment) -> int:
        """All of a causal student."""
        assert experiment.causal is not None  # `length_of` refuses the others
        return self.clips * latent_frames(experiment.scale.world) // experiment.causal.chunk

    def cells(self, name: str, title: str, scale: Scale, seed: int, causal: bool) -> list[ModelCell]:
        """By the main solver."""
        return long_cells(name, title, scale, seed, self.long)

    def decides(self) -> dict[str, Any]:
        """Length, the memory that all students share, and how clips are fused."""
        return {"long": [self.long.length, self.long.memory.model_dump(mode="json"), CLIP_TO_CLIP_WEIGHT]}


def length_of(name: str, experiment: Experiment, long: bool) -> Length:
    """The length that videos of a model are asked to have.

    Args:
        name: what is sampled, as the user says it.
        experiment: its configuration.
        long: beyond the training length.

    Raises:
        SaltError: `long` of a model that makes its videos whole, at a scale without long videos, or where they fit
            neither chunk nor rotary table.
    """
    if not long:
        return TrainingLength(experiment.scale.evaluation)
    known, causal, scale = experiment.scale.evaluation.long, experiment.causal, experiment.scale
    if causal is None:
        raise SaltError(f"{name}: --long: its videos have one length; accepted: a causal student, which can go on")
    if known is None:
        raise SaltError(
            f"experiments/scales/{scale.name}.yaml: evaluation.long is missing: --long needs it; accepted: a mapping "
            "of length, memory, nfe and prompts"
        )
    memory, key = known.memory, "scale.evaluation.long"
    if memory.window is not None and memory.window < causal.chunk:
        raise SaltError(
            f"{key}.memory.window={memory.window} must hold a chunk of {name}: at least causal.chunk={causal.chunk}"
        )
    frames, table = known.length * latent_frames(scale.world), scale.backbone.rope_max_seq_len
    seen = frames if memory.window is None else memory.sink + memory.window + causal.chunk
    places = min(frames, seen) if memory.positions == "relative" else frames
    if places > table:
        raise SaltError(
            f"{key}.length={known.length}: {places} positions, but scale.backbone.rope_max_seq_len={table}; accepted: "
            f"a shorter video, or {key}.memory with a window of fewer frames and positions: relative"
        )
    return BeyondTraining(known)


def length_of_cells(scale: Scale, long: bool) -> Length:
    """The length of cells that a scale has; `long` is ignored where it has no long videos."""
    known = scale.evaluation.long
    return BeyondTraining(known) if long and known is not None else TrainingLength(scale.evaluation)
