"""Whatever an experiment's or a scale's file holds, it is accepted, or refused in one line and within a second."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config import load_experiment, load_scale
from salt.config.files import parse_yaml
from support.hostile import accepted_or_told
from support.repository import DMD, SCALE, small_repository

PIECES = [
    "extends: ",
    "../../etc/passwd",
    "dmd",
    "two",
    "scales: {one: ",
    "&a [*a]",
    "*a",
    "!!binary x",
    "!!python/name:os.system",
    "<<: ",
    "2001-01-01",
    "9" * 400,
    "1e999",
    ".nan",
    "null",
    "true",
    "-",
    "? ",
    "{",
    "}",
    "[" * 50,
    "]",
    ": ",
    ", ",
    "\n",
    "  ",
    "\t",
    '"\\e[2J"',
    "\x00",
    "\u2028",
    "\ufeff",
    "%YAML 9.9\n---\n",
    "---\n",
    "|\n",
    "'",
    '"',
    "#",
    "title: ",
    "grid: {steps: 4, train_steps: 8}",
    "objectives: ",
]


@st.composite
def damaged(draw, text: str) -> str:
    """A file with pieces put in, taken out or doubled."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from([*PIECES, text[start:end] * 2, ""])) + text[end:]
    return text


@given(text=st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.binary(max_size=300)))
def test_any_text(text: str | bytes) -> None:
    accepted_or_told(parse_yaml, text, "a.yaml")


@pytest.mark.parametrize(
    ("name", "text", "load"),
    [("dmd", DMD, load_experiment), ("scales/one", SCALE, load_scale)],
    ids=["experiment", "scale"],
)
@given(data=st.data())
def test_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, load, data: st.DataObject
) -> None:
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    repository = small_repository(tmp_path)
    repository.write(f"{name}.yaml", data.draw(damaged(text)))
    accepted_or_told(load, *(("dmd", "one") if load is load_experiment else ("one",)))
    assert {path.name for path in tmp_path.rglob("*.yaml")} == {"dmd.yaml", "one.yaml", "two.yaml"}
