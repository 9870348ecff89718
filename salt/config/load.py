"""Reads scale and experiment files into `Scale` and `Experiment`.

An experiment file holds keys of `Experiment` plus `extends: NAME` and `scales: {SCALE: keys for this scale only}`;
a scale file holds keys of `Scale` plus `defaults: keys of Experiment that every experiment inherits`, and may extend
another scale: what files say for that one holds for it as well.
Names are those of the files. `_layers` is the one place that says in which order the files count.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from salt.config.files import (
    accepted,
    as_mapping,
    experiment_names,
    parse_yaml,
    read_mapping,
    relative,
    repository_root,
    scale_names,
)
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.config.validate import Layer, Merged, shown_value, validate
from salt.errors import SaltError

EXPERIMENT_KEYS = tuple(key for key in Experiment.model_fields if key not in ("name", "scale"))
OF_ONE_FILE = "released"
"""The key of an experiment that holds at one scale and for its own file: a checkpoint is of one network."""
NOT_INHERITED = (OF_ONE_FILE, "label", "look")
"""Keys that `extends` does not pass on: what makes an experiment recognisable."""
SCALE_KEYS = tuple(key for key in Scale.model_fields if key != "name")
COMMAND_LINE = "command line"
Entry = TypeVar("Entry")


def load_scale(name: str) -> Scale:
    """The scale `experiments/scales/NAME.yaml`.

    Raises:
        SaltError: no such scale, or its file is wrong: one line with file, key, value and what is accepted.
    """
    own = [Layer(values, source) for source, values, _ in map(_read_scale, scale_chain(name))]
    source = relative(_scale_path(name))
    return validate(Scale, Merged([*own, Layer({"name": name}, source)]), source)


def of_scale(entries: Mapping[str, Entry], name: str) -> Entry:
    """What a file says for a scale, or for the nearest that it extends.

    Raises:
        SaltError: nothing for any of them.
    """
    for scale in reversed(scale_chain(name)):
        if scale in entries:
            return entries[scale]
    raise SaltError(f"scale {name}: no entry for it or what it extends; accepted: one of {', '.join(entries)}")


def scale_chain(name: str) -> list[str]:
    """The scales along `extends`, the base of all first."""
    return _chain(name, _read_scale_keys, scale_names, "scale")


def load_experiment(name: str, scale: str, overrides: Mapping[str, str] = {}) -> Experiment:
    """The experiment `experiments/NAME.yaml` at one scale; `_layers` says what outranks what.

    Args:
        name: stem of the experiment's file.
        scale: stem of the scale's file.
        overrides: `{"grid.steps": "2"}`, values in YAML; `scale.` reaches the scale (`scale.evaluation.prompts`).

    Raises:
        SaltError: an unknown name or a wrong file or override: one line with file, key, value and what is accepted.
    """
    load_scale(scale)  # first by itself, so that mistakes in its file carry its own keys
    source = relative(_experiment_path(name))
    if overrides:
        source += f" with {', '.join(f'{key}={text}' for key, text in overrides.items())}"
    return validate(Experiment, Merged(_layers(name, scale, overrides)), source)


def _layers(name: str, scale: str, overrides: Mapping[str, str]) -> list[Layer]:
    """Everything that has a say in an experiment, weakest first; what comes later wins.

    1. the scale's files along `extends`: their own keys (they become `scale`) and their `defaults`;
    2. the experiment files along `extends`: the base of all first, the experiment itself last;
    3. their parts `scales: {SCALE: ...}`, in the same order for each scale along its `extends`;
    4. the overrides of the command line, in the order given.

    Mappings are merged key by key; every other value, a list too, is replaced as a whole; `null` takes away what was
    set before it, so that the schema's default holds again and an optional section is off (`critic: null`).
    Mind 3: a part for one scale outranks a plain key even of a file that extends it.
    Keys that are `NOT_INHERITED` count in the experiment's own file alone, and in its part for this very scale.
    """
    scales = [_read_scale(link) for link in scale_chain(scale)]
    names = _chain(name, _read_experiment, experiment_names, "experiment")
    chain = [(relative(_experiment_path(link)), _read_experiment(link)) for link in names]
    return [
        Layer({"name": name}, chain[-1][0]),
        *(Layer({"scale": values}, source) for source, values, _ in scales),
        Layer({"scale": {"name": scale}}, scales[-1][0]),
        *(Layer(defaults, source, ("defaults",)) for source, _, defaults in scales),
        *(
            Layer(_inherited({key: keys[key] for key in EXPERIMENT_KEYS if key in keys}, link == name), file)
            for link, (file, keys) in zip(names, chain, strict=True)
        ),
        *(
            Layer(_inherited(keys["scales"][part], (link, part) == (name, scale)), file, ("scales", part))
            for part in scale_chain(scale)
            for link, (file, keys) in zip(names, chain, strict=True)
            if part in keys.get("scales", {})
        ),
        *(_override(key, text) for key, text in overrides.items()),
    ]


def _inherited(part: Mapping[str, Any], own: bool) -> Mapping[str, Any]:
    """What counts of the keys in a file, or in its part for one scale; all of them if they are the experiment's own."""
    return part if own else {key: value for key, value in part.items() if key not in NOT_INHERITED}


def _chain(name: str, read: Callable[[str], Mapping[str, Any]], names: Callable[[], list[str]], kind: str) -> list[str]:
    """The files along `extends`, the base of all first."""
    chain = [name]
    while "extends" in (keys := read(chain[-1])):
        path = _experiment_path(chain[-1]) if kind == "experiment" else _scale_path(chain[-1])
        source, base = relative(path), keys["extends"]
        if base not in names():
            near = accepted(str(base), names())
            raise SaltError(f"{source}: extends = {shown_value(base)}: no such {kind}; {near}")
        if base in chain:
            circle = " -> ".join([*chain, base])
            raise SaltError(f"{source}: extends = {base}: the chain {circle} is a cycle; accepted: a chain that ends")
        chain.append(base)
    return chain[::-1]


def _read_experiment(name: str) -> dict[str, Any]:
    """The keys of an experiment's file, the names at its two upper levels checked."""
    path = _experiment_path(name)
    source = relative(path)
    if name not in experiment_names():
        raise SaltError(f"experiment {name!r}: there is no {source}; {accepted(name, experiment_names())}")
    values = read_mapping(path)
    _check_keys(values, (*EXPERIMENT_KEYS, "extends", "scales"), source)
    _check_place(values, source)
    parts = as_mapping(values.get("scales", {}), f"{source}: scales")
    _check_keys(parts, scale_names(), source, "scales.")
    for scale, part in parts.items():
        _check_keys(as_mapping(part, f"{source}: scales.{scale}"), EXPERIMENT_KEYS, source, f"scales.{scale}.")
    return values


def _read_scale_keys(name: str) -> dict[str, Any]:
    """The keys of a scale's file, their names checked."""
    path = _scale_path(name)
    source = relative(path)
    if name not in scale_names():
        raise SaltError(f"scale {name!r}: there is no {source}; {accepted(name, scale_names())}")
    values = read_mapping(path)
    _check_keys(values, (*SCALE_KEYS, "defaults"), source)
    return values


def _read_scale(name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A scale's file as messages name it, its keys, and its `defaults`."""
    values, source = _read_scale_keys(name), relative(_scale_path(name))
    defaults = as_mapping(values.pop("defaults", {}), f"{source}: defaults")
    _check_keys(defaults, EXPERIMENT_KEYS, source, "defaults.")
    _check_place(defaults, source, "defaults.")
    return source, values, defaults


def _override(key: str, text: str) -> Layer:
    """One `a.b.c=value` of the command line."""
    given, parts = f"{COMMAND_LINE}: {key}={text}", key.split(".")
    if not all(parts) or not text.strip():
        raise SaltError(f"{given}: accepted: section.key=value, e.g. grid.steps=4 or train.critic=null")
    if key in ("name", "scale.name"):
        raise SaltError(f"{given}: the name is that of the file; accepted: any other key")
    value = parse_yaml(text, given)
    for part in reversed(parts[1:]):
        value = {part: value}
    return Layer({parts[0]: value}, COMMAND_LINE)


def _check_keys(keys: Iterable[str], names: Sequence[str], source: str, prefix: str = "") -> None:
    for key in keys:
        if key not in names:
            raise SaltError(f"{source}: {prefix}{key}: unknown key; {accepted(key, names)}")


def _check_place(keys: Mapping[str, Any], source: str, prefix: str = "") -> None:
    if OF_ONE_FILE in keys:
        place = f"scales.NAME.{OF_ONE_FILE} in an experiment's file"
        raise SaltError(f"{source}: {prefix}{OF_ONE_FILE}: a checkpoint is of one scale; accepted: {place}")


def _experiment_path(name: str) -> Path:
    return repository_root() / "experiments" / f"{name}.yaml"


def _scale_path(name: str) -> Path:
    return repository_root() / "experiments" / "scales" / f"{name}.yaml"
