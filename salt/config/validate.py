"""Lays configuration layers over each other, validates the result, and says which file is to blame when it is wrong.

Every error of pydantic becomes one line: file, dotted key, value, what is accepted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from salt.config.base import Section
from salt.config.files import accepted
from salt.errors import SaltError

LONGEST_VALUE = 60  # characters of a wrong value that a message repeats

Path = tuple[str, ...]
AnySection = TypeVar("AnySection", bound=Section)


@dataclass(frozen=True)
class Layer:
    """Keys from one place: `source` is the file as messages name it, `prefix` the keys under which they lie in it."""

    values: Mapping[str, Any]
    source: str
    prefix: Path = ()


@dataclass
class Merged:
    """Layers laid over each other, and for every key the index of the last layer that gave or removed it.

    Mappings are merged key by key, every other value is replaced as a whole, null removes what earlier layers gave.
    """

    layers: Sequence[Layer]
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, layer in enumerate(self.layers):
            self._lay(layer.values, self.values, (), index)

    def _lay(self, layer: Mapping[str, Any], into: dict[str, Any], path: Path, index: int) -> None:
        for key, value in layer.items():
            here = (*path, key)
            self.origins[here] = index
            if isinstance(value, dict):
                if not isinstance(into.get(key), dict):
                    into[key] = {}
                self._lay(value, into[key], here, index)
            elif value is None and key in into:
                del into[key]
            else:
                into[key] = value

    def blame(self, path: Path) -> Layer | None:
        """The last layer that touched `path` or a key below it, or, where there is none, the key above it."""
        while path:
            touched = [index for key, index in self.origins.items() if key[: len(path)] == path]
            if touched:
                return self.layers[max(touched)]
            path = path[:-1]
        return None


def validate(model: type[AnySection], merged: Merged, source: str) -> AnySection:
    """The section that the merged layers describe.

    Args:
        model: class of the section.
        merged: its values, and where each comes from.
        source: the file to name when no single layer is to blame: a key that none gives, or two that disagree.

    Raises:
        SaltError: one line with file, key, value and what is accepted.
    """
    try:
        # by way of JSON, where lists are tuples and pydantic is otherwise strict: no 4.0, "4" or true for 4
        return model.model_validate_json(json.dumps(merged.values, default=str), strict=True)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    error = min(
        errors, key=lambda one: one["type"] != "extra_forbidden"
    )  # a misspelt key before what it leaves missing
    location = tuple(str(part) for part in error["loc"])
    path, _ = _walk(model, location)
    given_by_none = error["type"] == "missing" and path not in merged.origins and not path[-1].isdecimal()
    layer = None if given_by_none else merged.blame(path)
    place, prefix = (layer.source, layer.prefix) if layer else (source, ())
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise SaltError(f"{place}: {'.'.join((*prefix, *path))}{_explain(model, path, location, error)}{more}")


def _explain(model: type[Section], path: Path, location: Path, error: Mapping[str, Any]) -> str:
    """What is wrong with the value at `path`, `location` to pydantic, and what is accepted, to stand behind the key."""
    kind, shown = error["type"], shown_value(error["input"])
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")

    def keys(of: Path) -> Mapping[str, FieldInfo]:
        return _section(_walk(model, of)[1], of).model_fields

    if kind == "value_error":  # from a validator over a whole section: it names the values itself
        return f": {message}" if path else message
    if kind == "extra_forbidden":
        return f" = {shown}: unknown key; {accepted(path[-1], keys(location[:-1]))}"
    if kind == "missing" and path[-1].isdecimal():
        return ": missing; accepted: a longer list"
    if kind == "missing":
        description = keys(location[:-1])[path[-1]].description or ""
        return f": missing; accepted: {' '.join(description.split())}"
    if kind == "model_type":
        return f" = {shown}: accepted: a mapping of {', '.join(keys(location))}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        given = f" = {shown_value(error['ctx']['tag'])}:" if kind == "union_tag_invalid" else ": missing;"
        tags = [repr(tag) for one in _walk(model, location)[1] for tag in _tags(one)]
        return f".kind{given} accepted: {' or '.join(tags)}"
    return f" = {shown}: accepted: {message}"


def _section(here: Sequence[type[Section]], location: Path) -> type[Section]:
    """Of several kinds the one that knows most of a location."""
    return max(here, key=lambda one: len(set(location) & one.model_fields.keys()))


def _walk(model: type[Section], location: Path) -> tuple[Path, list[type[Section]]]:
    """A location of pydantic's, which names the kind of a section besides its key.

    Returns:
        The keys of a file, and the classes that the section there may have; of a value, those of the section around it.
    """
    keys: list[str] = []
    here: list[type[Section]] = [model]
    named = False
    for part in location:
        kinds = [one for one in here if part in _tags(one)]
        if kinds and len(here) > 1:
            here = kinds
            continue
        keys.append(part)
        fields = [one.model_fields[part] for one in here if part in one.model_fields and not named]
        named = any(get_origin(field.annotation) is dict for field in fields)  # what follows is no key of a section
        here = [found for field in fields for found in _sections_of(field.annotation)] or here
    return tuple(keys), here


def _sections_of(annotation: Any) -> list[type[Section]]:
    """The classes of sections that an annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections_of(part)]


def _tags(section: type[Section]) -> tuple[Any, ...]:
    """The values of `kind` that say that a section is of this class."""
    return get_args(section.model_fields["kind"].annotation) if "kind" in section.model_fields else ()


def shown_value(value: Any) -> str:
    """A wrong value as messages repeat it: in one line, and short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."
