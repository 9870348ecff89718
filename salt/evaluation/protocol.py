"""What decides a measurement besides the model, as a hash: prompts, seeds, videos, encoder, scorer, precision.

Records of two protocols never stand in one table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from salt.config.scale import Evaluation, Long, Scale, World
from salt.config.vbench import FILTERED_SAMPLES, VBench
from salt.data.prompts import OwnPrompt, prompts_hash, report_prompts
from salt.data.vbench_prompts import VBenchPrompt
from salt.digest import SHORT, json_digest
from salt.evaluation.cells import Cell
from salt.evaluation.groundtruth import scorer as groundtruth
from salt.evaluation.groundtruth.long import CLIP_TO_CLIP_WEIGHT
from salt.evaluation.prompts import AnyPrompt, evaluation_prompts
from salt.evaluation.vbench.board import TEXT, Board, board_of
from salt.evaluation.video import ENCODER


def protocol_hash(world: World, evaluation: Evaluation, board: Board = TEXT) -> str:
    """12 hexadecimal digits of all that decides a score besides the model: prompts, seeds, videos, encoder, scorer."""
    begins = {} if board is TEXT else {"board": [*board.dimensions], "first frame": "of a held-out clip"}
    return digest(_decides(world, evaluation.prompts, evaluation) | begins)


def long_protocol_hash(world: World, evaluation: Evaluation, long: Long) -> str:
    """`protocol_hash` of long videos: also their length, the memory that all students share, and the fusion."""
    of_long = [long.length, long.memory.model_dump(mode="json"), CLIP_TO_CLIP_WEIGHT]
    return digest(_decides(world, long.prompts, evaluation) | {"long": of_long})


def _decides(world: World, prompts: int, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "scorer": [groundtruth.SCORER, groundtruth.VERSION],
        "prompts": prompts_hash(report_prompts(world, prompts)),
        "seeds": evaluation.seeds,
        "video": [world.size, world.frames, world.video_scale, world.fps, ENCODER],
    } | low_precision(evaluation)


def low_precision(evaluation: Evaluation) -> dict[str, Any]:
    """`precision` as a protocol counts it: nothing in float32, so that hashes from before there was a choice stand."""
    return evaluation.model_dump(include={"precision"})


def digest(decides: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of all that decides a measurement."""
    return json_digest(decides)[:SHORT]


def vbench_of(cell: Cell, scale: Scale) -> VBench | None:
    """How the real VBench scores a cell; None: the ground-truth scorer does."""
    long = scale.evaluation.long
    return scale.evaluation.vbench if cell.prompts != "long" or long is None else long.vbench


def vbench_protocol_hash(prompts: Sequence[AnyPrompt], scale: Scale, vbench: VBench, length: int) -> str:
    """`protocol_hash` of the real VBench."""
    evaluation, world = scale.evaluation, scale.world
    decides = {
        "scorer": ["vbench", vbench.model_dump(mode="json")],
        "prompts": prompts_hash(prompts),
        "seeds": evaluation.seeds,
        "video": [world.frames, length, world.fps, ENCODER],
    }
    return digest(decides | size_of_vae(scale) | low_precision(evaluation))


def size_of_vae(scale: Scale) -> dict[str, Any]:
    """The size of videos of a scale with a VAE as a protocol counts it; others are sized by their world."""
    return scale.model_dump(include={"vae"})


def seeds_of(prompt: AnyPrompt | OwnPrompt, evaluation: Evaluation) -> Sequence[int]:
    """The sampling seeds of a prompt's videos: more where VBench's static filter chooses among them."""
    filtered = evaluation.vbench is not None and evaluation.vbench.flicker == "filtered"
    if filtered and isinstance(prompt, VBenchPrompt) and "temporal_flickering" in prompt.asked:
        return range(FILTERED_SAMPLES)
    return evaluation.seeds


def protocol_of(cell: Cell, scale: Scale) -> tuple[Sequence[AnyPrompt], str]:
    """The report prompts of a cell, and the hash of its protocol.

    Raises:
        SaltError: see `evaluation_prompts`.
    """
    evaluation, vbench = scale.evaluation, vbench_of(cell, scale)
    long = evaluation.long if cell.prompts == "long" else None
    prompts = evaluation_prompts(scale, long is not None)
    if vbench is not None:
        return prompts, vbench_protocol_hash(prompts, scale, vbench, 1 if long is None else long.length)
    if long is not None:
        return prompts, long_protocol_hash(scale.world, evaluation, long)
    return prompts, protocol_hash(scale.world, evaluation, board_of(scale))
