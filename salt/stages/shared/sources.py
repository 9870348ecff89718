"""How the networks of an experiment make latents, and which first frames condition them."""

from typing import Any

from salt.config.scale import Long, Scale
from salt.config.schema import Experiment
from salt.evaluation.cells import TEACHER
from salt.evaluation.sampling.first_frames import FirstFrames
from salt.evaluation.sampling.solvers import Network
from salt.evaluation.sampling.sources import Sampled, Source
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.models.precision import in_precision
from salt.stages.shared.assets import Assets


def source_of(model: Any, experiment: Experiment, assets: Assets, device: str, long: Long | None = None) -> Source:
    """How an experiment's network, on `device`, makes latents: a teacher guided, a causal student chunk by chunk."""
    shift, shape, causal = experiment.grid.shift, assets.latent_shape, experiment.causal
    model = in_precision(model, experiment.scale.evaluation.precision, device)
    if causal is not None:
        memory, length = (causal.memory, 1) if long is None else (long.memory, long.length)
        return SampledByChunk(model, assets.text_encoder, memory, shift, shape, length, device)
    cfg_weight = experiment.scale.evaluation.cfg_weight if experiment.name == TEACHER else None
    negative = experiment.scale.text.negative
    network = Network(model, assets.text_encoder, cfg_weight, device, negative)
    return Sampled(network, shift, shape, first_frames(experiment.scale, assets, device))


def first_frames(scale: Scale, assets: Assets, device: str) -> FirstFrames | None:
    """What networks of a scale are shown of first frames; None: nothing."""
    return None if scale.first_frame is None else FirstFrames(scale, assets.show, device)
