"""Methods: which rollout and which objectives, on which roles. A new row of a table needs none of this changed."""

import copy

from torch import nn

from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.methods.distill import Distill
from salt.methods.flow_map import FlowMapMethod
from salt.methods.flow_matching import FlowMatching
from salt.methods.pcm import PhasedConsistency
from salt.methods.protocol import Method
from salt.methods.regression import Regression
from salt.methods.terms import Components, build_terms
from salt.streams import Streams

__all__ = ["Distill", "FlowMapMethod", "FlowMatching", "Method", "PhasedConsistency", "Regression", "build_method"]


def build_method(
    experiment: Experiment,
    generator: nn.Module,
    teacher: nn.Module | None,
    streams: Streams,
    judge: nn.Module | None = None,
) -> Method:
    """The method that an experiment's objectives ask for.

    Args:
        experiment: its driving objective decides: flow_matching trains a teacher, flow_map a network of two times, ode
            regresses trajectories, pcm and dmd (with the terms beside it) distil a teacher.
        generator: the network to train, initialised as `experiment.init` says; causal where `experiment.causal` is.
        teacher: what is distilled, and what the critic starts from; bidirectional. dmd and pcm need it.
        streams: where all random draws come from.
        judge: what is distilled in its place, where the objective's `teacher` says so, while the critic starts as
            before; or what flow matching regresses in place of samples.

    Raises:
        SaltError: one of these without a teacher.
    """
    if experiment.objectives.flow_matching is not None:
        return FlowMatching(experiment, generator, streams, judge)
    if experiment.objectives.flow_map is not None:
        return FlowMapMethod(experiment, generator, streams)
    if experiment.objectives.ode is not None:
        return Regression(experiment, generator, streams)
    if teacher is None:
        raise SaltError(f"{experiment.name}: objectives.dmd and pcm need a teacher")
    distilled = teacher if judge is None else judge
    driving = experiment.objectives.dmd or experiment.objectives.pcm
    own = teacher.requires_grad_(False) if driving is not None and driving.teacher == "exact" else None
    if experiment.objectives.pcm is not None:
        return PhasedConsistency(experiment, generator, distilled, streams, own)
    critic = copy.deepcopy(teacher).requires_grad_(True)
    components = Components.of(experiment, generator, critic, distilled, streams, own)
    return Distill(experiment, components, build_terms(experiment.objectives, components))
