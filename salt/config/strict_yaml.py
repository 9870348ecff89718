"""YAML as this project reads it: plain values alone, and nothing that costs more than its length says.

YAML 1.2's numbers, `true`, `false` and `null`; everything else is text. So there are no dates, no sexagesimals (1:30),
no octals (010), no `yes`, no merges (`<<`). Tags are refused, as are keys that are given twice or are no short text in
one line, and aliases that stand for more than a long file would hold.
"""

import re
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

MOST_BYTES = 100_000
"""Five times the longest file of this repository."""
MOST_VALUES = 20_000
"""Keys and values, those behind an alias counted each time."""
DEEPEST = 30
LONGEST_KEY = 80
MOST_DIGITS = 18
"""Of an integer: it fits into 64 bits."""
_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    "null": r"null|Null|NULL|~|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": rf"[-+]?(?:0|[1-9]\d{{0,{MOST_DIGITS - 1}}})",
    "float": r"[-+]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


def load(text: str | bytes) -> Any:
    """The value of a text.

    Raises:
        yaml.YAMLError: it is not YAML, or one of the above.
    """
    if len(text) > MOST_BYTES:
        raise yaml.YAMLError(f"{len(text)} bytes; accepted: up to {MOST_BYTES}")
    return yaml.load(text, _Loader)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str | None, Any] = {}  # noqa: RUF012 (typed so in yaml's stubs)

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.depth = self.values = 0
        self.below: dict[int, int] = {}
        """A node -> the values in it; of those that are not finished none."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event, before = self.peek_event(), self.values
        if getattr(event, "tag", None) is not None:
            _refuse(event, f"tag {event.tag!r}: leave it out")
        if self.depth == DEEPEST:
            _refuse(event, f"more than {DEEPEST} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self.below:
                _refuse(event, f"alias *{event.anchor}: stands within what it stands for")
            self.values += self.below[id(node)]
        else:
            self.values += 1
            self.below[id(node)] = self.values - before
        if self.values > MOST_VALUES:
            _refuse(event, f"more than {MOST_VALUES} values, those behind an alias counted each time")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != f"{_TAG}str":
                shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else f"of type {key.id}"
                _refuse(key, f"key {shown:.{LONGEST_KEY}} is not text: quote it")
            if len(key.value) > LONGEST_KEY or not key.value.isprintable():
                shown = repr(key.value[:LONGEST_KEY])
                _refuse(key, f"key {shown}: accepted: up to {LONGEST_KEY} characters, all of them printable")
            if key.value in seen:
                _refuse(key, f"key {key.value!r} is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _refuse(at: Any, problem: str) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


for _name, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"(?:{_pattern})$", re.ASCII), None)
