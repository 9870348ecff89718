"""The length of videos: that of training, or longer. A `Length` is a value that knows everything that depends on it.

Only causal students have long videos, as the scale's `evaluation.long` says; these are cells of their own.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from salt.config.memory import Memory
from salt.config.scale import Evaluation, Long, Scale
from salt.config.schema import Causal, Experiment
from salt.config.vbench import VBench
from salt.config.world import World
from salt.errors import SaltError
from salt.evaluation.cells import REAL, ModelCell, cells_of, long_cells
from salt.evaluation.groundtruth.long import CLIP_TO_CLIP_WEIGHT, latent_frames, long_frames


class Length(Protocol):
    """The length of the videos of a cell."""

    @property
    def clips(self) -> int:
        """The length in clips of training length."""
        ...

    @property
    def prompts(self) -> int:
        """How many prompts of the list are evaluated."""
        ...

    @property
    def vbench(self) -> VBench | None:
        """The protocol by which the real VBench scores such videos; None: the ground-truth scorer scores them."""
        ...

    def memory(self, causal: Causal) -> Memory:
        """The KV-cache policy of a student."""
        ...

    def chunks(self, experiment: Experiment) -> int:
        """The number of chunks that may have a caption of their own."""
        ...

    def cells(self, name: str, title: str, experiment: Experiment, seed: int) -> list[ModelCell]:
        """The cells of one model; of `teacher` and `real`, `experiment` is the teacher's."""
        ...

    def describe(self, prompts: str) -> str:
        """Number and kind of the prompts, and the length, in words, as tables print them."""
        ...

    def decides(self) -> dict[str, Any]:
        """What it adds to the protocol of a score."""
        ...


@dataclass(frozen=True)
class TrainingLength:
    """One clip."""

    evaluation: Evaluation

    clips = 1

    @property
    def prompts(self) -> int:
        """As the scale says."""
        return self.evaluation.prompts

    @property
    def vbench(self) -> VBench | None:
        """As the scale says."""
        return self.evaluation.vbench

    def memory(self, causal: Causal) -> Memory:
        """The student's own policy."""
        return causal.memory

    def chunks(self, experiment: Experiment) -> int:
        """One: the whole video has one caption."""
        return 1

    def cells(self, name: str, title: str, experiment: Experiment, seed: int) -> list[ModelCell]:
        """Every solver and number of function evaluations."""
        return cells_of(name, title, experiment.scale, seed, experiment)

    def describe(self, prompts: str) -> str:
        """The prompts alone."""
        return f"{self.prompts} {prompts} prompts"

    def decides(self) -> dict[str, Any]:
        """Nothing."""
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
        """VBench-Long's protocol, if VBench scores."""
        return self.long.vbench

    def memory(self, causal: Causal) -> Memory:
        """The same policy for all students but those with one of their own for long videos."""
        return causal.long_memory or self.long.memory

    def chunks(self, experiment: Experiment) -> int:
        """All chunks of a causal student's video."""
        assert experiment.causal is not None  # `length_of` refuses the others
        return self.clips * latent_frames(experiment.scale.world) // experiment.causal.chunk

    def cells(self, name: str, title: str, experiment: Experiment, seed: int) -> list[ModelCell]:
        """The main solver, at the NFE of long videos."""
        return long_cells(name, title, experiment.scale, seed, self.long)

    def describe(self, prompts: str) -> str:
        """The extended captions are those of long videos."""
        return f"{self.prompts} extended prompts, videos of {self.clips} times the training length"

    def decides(self) -> dict[str, Any]:
        """The length, the policy of all students, and how in-clip and clip-to-clip scores are fused."""
        return {"long": [self.long.length, self.long.memory.model_dump(mode="json"), CLIP_TO_CLIP_WEIGHT]}


def world_of(world: World, length: Length) -> World:
    """A world whose clips have this length."""
    return world.model_copy(update={"frames": long_frames(world, length.clips)})


def length_of(name: str, experiment: Experiment, long: bool) -> Length:
    """The requested length of a model's videos.

    Args:
        name: what is sampled, in the user's words.
        experiment: its configuration.
        long: whether videos are longer than in training.

    Raises:
        SaltError: `long` is requested of a model that samples whole clips (real ones are long where objects turn
            round), at a scale without long videos, or where the video exceeds the rotary table.
    """
    if not long:
        return TrainingLength(experiment.scale.evaluation)
    known, causal, scale = experiment.scale.evaluation.long, experiment.causal, experiment.scale
    if name == REAL and known is not None and scale.names_modes:
        return BeyondTraining(known)
    if causal is None:
        raise SaltError(f"{name}: --long: its videos have a fixed length; accepted: a causal student")
    if known is None:
        raise SaltError(
            f"experiments/scales/{scale.name}.yaml: evaluation.long is missing: --long needs it; accepted: a mapping "
            "of length, memory, nfe and prompts"
        )
    memory, key = BeyondTraining(known).memory(causal), "scale.evaluation.long"
    policy = f"{key}.memory" if causal.long_memory is None else "causal.long_memory"
    frames, table = known.length * latent_frames(scale.world), scale.backbone.rope_max_seq_len
    seen = frames if memory.window is None else memory.sink + memory.window + causal.chunk
    places = min(frames, seen) if memory.positions == "relative" else frames
    if places > table:
        raise SaltError(
            f"{key}.length={known.length}: {places} positions, but scale.backbone.rope_max_seq_len={table}; accepted: "
            f"a shorter video, or {policy} with a window of fewer frames and positions: relative"
        )
    return BeyondTraining(known)


def length_of_cells(scale: Scale, long: bool) -> Length:
    """The length of a scale's cells; `long` is ignored if the scale has no long videos."""
    known = scale.evaluation.long
    return BeyondTraining(known) if long and known is not None else TrainingLength(scale.evaluation)
