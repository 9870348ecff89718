"""Which prompts a scale is evaluated on: the report list of its world or, where VBench scores, VBench's."""

from collections.abc import Sequence

from salt.config.scale import Scale
from salt.config.vbench import vbench_folder
from salt.data.prompts import Prompt, report_prompts
from salt.data.vbench_prompts import VBenchPrompt, read_vbench_prompts
from salt.errors import SaltError

AnyPrompt = Prompt | VBenchPrompt


def evaluation_prompts(scale: Scale, long: bool = False) -> Sequence[AnyPrompt]:
    """Those of which videos are made and scored, of training length or `long`: the first ones of the list.

    Raises:
        SaltError: the list is too short; VBench's is not where `vbench_folder` says, or not that of the protocol.
    """
    asked = scale.evaluation.long if long and scale.evaluation.long else scale.evaluation
    if asked.vbench is None:
        return report_prompts(scale.world, asked.prompts)
    every = read_vbench_prompts(vbench_folder() / "prompts", asked.vbench)
    if len(every) < asked.prompts:
        raise SaltError(
            f"{vbench_folder() / 'prompts' / asked.vbench.prompt_list}: {len(every)} prompts; accepted: "
            f"{asked.prompts} or more, as scale.evaluation says"
        )
    return every[: asked.prompts]


def diagnosed_prompts(scale: Scale) -> Sequence[AnyPrompt]:
    """The `evaluation.defect_samples` that `salt defect` and `salt caches` start from, the same for all students.

    Of the world's list they are the first, where kinds take turns. VBench's goes dimension by dimension, so they are an
    even spread over `evaluation_prompts`.

    Raises:
        SaltError: as of `evaluation_prompts`, or it has fewer.
    """
    count = scale.evaluation.defect_samples
    if scale.evaluation.vbench is None:
        return report_prompts(scale.world, count)
    every = evaluation_prompts(scale)
    if len(every) < count:
        raise SaltError(f"evaluation.defect_samples={count}: accepted: up to evaluation.prompts={len(every)}")
    return [every[i * len(every) // count] for i in range(count)]
