"""How latents are sampled from the networks of an experiment, and what they are conditioned on besides captions."""

from typing import Any

from salt.config.schema import Experiment
from salt.evaluation.cells import TEACHER
from salt.evaluation.lengths import Length
from salt.evaluation.sampling.conditioning import Condition, conditioning_of
from salt.evaluation.sampling.solvers import Network
from salt.evaluation.sampling.sources import Sampled, Source
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.models.precision import in_precision
from salt.stages.shared.assets import Assets


def source_of(model: Any, experiment: Experiment, assets: Assets, device: str, length: Length) -> Source:
    """How latents are sampled from a network on `device`: with guidance for a teacher, by chunks if it is causal."""
    warp, shape, causal = experiment.grid.warp, assets.latent_shape, experiment.causal
    model = in_precision(model, experiment.scale.evaluation.precision, device)
    if causal is not None:
        memory = length.memory(causal)
        return SampledByChunk(model, assets.text_encoder, memory, warp, shape, length.clips, device)
    cfg_weight = experiment.scale.evaluation.cfg_weight if experiment.name == TEACHER else None
    negative = experiment.scale.text.negative
    network = Network(model, assets.text_encoder, cfg_weight, device, negative)
    return Sampled(network, warp, shape, condition_of(assets, device))


def condition_of(assets: Assets, device: str) -> Condition:
    """What the networks of a scale are conditioned on besides captions, on `device`."""
    conditioning = conditioning_of(assets.scale)
    return lambda items: conditioning.condition(items, assets.encode_first_frames, device)
