"""Networks by the name of their experiment, and the check that exported weights belong to it."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from salt.config import load_experiment
from salt.config.hashing import NOT_TRAINING, differences
from salt.config.released import MARK
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.foreign import reason
from salt.models.causal import CausalWan
from salt.models.flow_map import FlowMapWan, load_flow_map, with_second_time
from salt.models.wan import WanVelocity, build_wan, load_wan
from salt.readers import read_json
from salt.stages.shared.assets import Assets
from salt.training.provenance import NAME, check_unchanged

RANDOM = "random"


def as_experiment(network: WanVelocity, experiment: Experiment) -> nn.Module:
    """A network as an experiment uses it: told a second time, or made causal with the memory policy, if it is so."""
    if experiment.flow_map is not None and not isinstance(network, FlowMapWan):
        return with_second_time(network, experiment.flow_map.gate)
    if experiment.causal is None:
        return network
    return CausalWan(network.transformer, experiment.causal.chunk, experiment.causal.memory)


def load_student(weights: Path, experiment: Experiment) -> nn.Module:
    """The trained network of an experiment, unchanged since it was exported."""
    check_unchanged(weights)
    return as_experiment(load_weights(weights, experiment), experiment)


def load_weights(folder: Path, experiment: Experiment) -> WanVelocity:
    """The network that an experiment trained: of one time, or of two."""
    load = load_wan if experiment.flow_map is None else load_flow_map
    return load(folder, experiment.scale.backbone)


def student_of(name: str, scale: str, assets: Assets, weights: Path | None) -> nn.Module:
    """The network of an experiment by its name: the scale's teacher, or exported weights of that experiment."""
    if name == TEACHER or weights is None:
        return assets.teacher()
    return load_student(weights, load_experiment(name, scale))


def start_of(experiment: Experiment, seed: int, assets: Assets, init: Path | None) -> nn.Module:
    """The initial generator of an experiment, as its `init` says.

    Args:
        experiment: the experiment.
        seed: of random weights.
        assets: with the teacher.
        init: weights of the experiment that `experiment.init` names; None if it names none.
    """
    backbone = experiment.scale.backbone
    if experiment.init == RANDOM:
        return as_experiment(build_wan(backbone, seed), experiment)
    if init is None:
        return as_experiment(assets.teacher(), experiment)
    check_unchanged(init)
    return as_experiment(load_weights(init, trained_as(init)[0]), experiment)


# -------------------------------------------------------------------------------------------- provenance
def trained_as(weights: Path) -> tuple[Experiment, int]:
    """The experiment and the seed of exported weights.

    Raises:
        SaltError: the folder has no provenance.
    """
    path = weights / NAME
    try:
        known = read_json(path)
        return Experiment.model_validate(known["experiment"]), int(known["seed"])
    except (SaltError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise SaltError(f"{path}: not the provenance of weights made by `salt train`: {reason(error)}") from error


def as_recorded(experiment: Experiment, weights: Path) -> Experiment:
    """The experiment with the title that records of these weights carry; that of imported weights has a mark."""
    return experiment.model_copy(update={"title": experiment.title + MARK}) if are_released(weights) else experiment


def are_released(weights: Path) -> bool:
    """Whether exported weights were imported, and not trained here."""
    return "released" in read_json(weights / NAME)


def check_trained_as(weights: Path, experiment: Experiment, seed: int | None) -> None:
    """Refuse weights of another experiment, scale, seed or configuration.

    Args:
        weights: folder made by `salt train`.
        experiment: the one they should belong to.
        seed: the one they should have; None: any.

    Raises:
        SaltError: naming what differs; settings that do not affect weights (titles, the evaluation) may differ.
    """
    known, known_seed = trained_as(weights)
    wanted = known_seed if seed is None else seed
    if (known.name, known.scale.name, known_seed) != (experiment.name, experiment.scale.name, wanted):
        raise SaltError(
            f"{weights}: trained as {known.name} at scale {known.scale.name} with seed {known_seed}, "
            f"but {experiment.name} at scale {experiment.scale.name} with seed {wanted} is expected"
        )
    there, here = (one.model_dump(mode="json", exclude=NOT_TRAINING) for one in (known, experiment))
    if found := differences(there, here):
        raise SaltError(
            f"{weights}: trained with another configuration: {'; '.join(found)}; "
            "accepted: the same --set as in training, or weights trained anew"
        )


def trained_student(weights: Path, scale: str, overrides: Mapping[str, str]) -> tuple[Experiment, int]:
    """The experiment of trained weights, as its files define it today, and the training seed.

    Args:
        weights: folder made by `salt train` or `salt import-released`.
        scale: the scale's name.
        overrides: dotted key of the experiment -> value, as in training.

    Raises:
        SaltError: the files say something else than the weights' provenance; see `check_trained_as`.
    """
    known, seed = trained_as(weights)
    experiment = load_experiment(known.name, scale, overrides)
    check_trained_as(weights, experiment, seed)
    return as_recorded(experiment, weights), seed


def check_weights_of(name: str, scale: str, option: str, weights: Path | None, none_for: tuple[str, ...]) -> None:
    """Refuse weights that are missing, superfluous, or of another experiment than the one named.

    Args:
        name: the experiment, or one of `none_for`.
        scale: the scale's name.
        option: the command-line option that gives them, for the message.
        weights: the value of that option.
        none_for: names that need no weights.
    """
    if name in none_for:
        if weights is not None:
            raise SaltError(f"{option} {weights}: {name} needs no weights; leave it out")
        return
    if weights is None:
        raise SaltError(f"{option} is missing: the folder that `salt train {name}` made is accepted")
    check_trained_as(weights, load_experiment(name, scale), None)
