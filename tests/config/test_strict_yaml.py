"""YAML's traps are closed: what looks like a date is text, and no few lines stand for gigabytes."""

from pathlib import Path

import pytest
import yaml

from salt.config.files import parse_yaml, repository_root
from salt.config.strict_yaml import MOST_BYTES, load
from salt.errors import SaltError

BOMB = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 9))
REAL = [
    path
    for place in ("experiments", "workflow")
    for path in sorted((repository_root() / place).rglob("*.yaml"))
    if path.parent.name != "slurm"
]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_our_own_files_say_what_others_read_in_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ours = load(text)
    assert ours == yaml.safe_load(yaml.safe_dump(ours))
    assert list(ours) == list(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("yes", "yes"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("{<<: 1}", {"<<": 1}),
        ("9" * 5000, "9" * 5000),
        ("1e9e9", "1e9e9"),
        ("+5", 5),
        ("1e-6", 1e-6),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("True", True),
        ("~", None),
        ("a: ", {"a": None}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
def test_numbers_are_plain_and_the_rest_is_text(text: str, value: object) -> None:
    assert load(text) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x [1, *x]", r"a\.yaml, line 1: not valid YAML: alias \*x: stands within what it stands for"),
        ("a: *x", r"a\.yaml, line 1: not valid YAML: found undefined alias 'x'"),
        (BOMB, r"a\.yaml, line 5: not valid YAML: more than 20000 values"),
        ("!!python/object/apply:os.system [x]", "line 1: not valid YAML: tag .*leave it out"),
        ("a: !!timestamp 2001-99-99", "tag .*leave it out"),
        ("[" * 40 + "]" * 40, "more than 30 levels"),
        ("a: {b: 1, b: 2}", "key 'b' is given twice"),
        ("1: 2", "key '1' is not text: quote it"),
        ("[a]: 2", "key of type sequence is not text"),
        ("k" * 100 + ": 1", "key 'k{80}': accepted: up to 80 characters"),
        ('"\\e[2J": 1', r"key '\\x1b\[2J': accepted"),
        ("x" * (MOST_BYTES + 1), "100001 bytes; accepted: up to 100000"),
    ],
)
def test_what_is_refused_names_its_line(text: str, told: str) -> None:
    with pytest.raises(SaltError, match=told) as refused:
        parse_yaml(text, "a.yaml")
    assert str(refused.value).startswith("a.yaml")
    assert str(refused.value).isprintable()
