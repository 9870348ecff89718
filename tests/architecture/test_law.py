"""The law of the upper floors: rule = verb (dash for underscore) = `salt/stages/<rule>.py` = log = resource entry.


A rule that repeats another for a part of its work, or for long videos, has that rule's name and a suffix.
"""

import re
from pathlib import Path

import pytest
import typer
import yaml

import salt.cli
from salt.cli import app, register

ROOT = Path(__file__).parents[2]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
SUFFIXES = ("_part", "_long")
"""Of rules that repeat another: one of the jobs that share its work, and the same of long videos."""
WITHOUT_RULE = {"export", "show"}
"""Stages that no rule of the workflow needs."""
ASK_ONLY = {"fetch", "plan", "status", "doctor", "vbench-env", "agreement", "compare", "gc"}
"""Verbs that make nothing of the workflow's."""


def own_name(rule: str) -> str:
    """The rule that another repeats, or its own name."""
    for suffix in SUFFIXES:
        rule = rule.removesuffix(suffix)
    return rule


def bodies() -> dict[str, str]:
    """Rule -> its text; of a rule that repeats another, both texts."""
    found: dict[str, str] = {}
    for match in re.finditer(r"^(?:rule (\w+)|use rule (\w+) as (\w+) with):\n((?:(?: .*)?\n)*)", RULES, re.MULTILINE):
        name, base, repeated, text = match.groups()
        found[name or repeated] = text if base is None else found[base] + text
    return found


BODIES = bodies()
STAGES = {path.stem for path in (ROOT / "salt" / "stages").glob("*.py")} - {"__init__"}


def verbs() -> dict[str, str]:
    register()
    return {name.replace("-", "_"): name for name in typer.main.get_command(app).commands}


def test_every_rule_is_a_stage_and_every_stage_a_rule() -> None:
    assert {own_name(rule) for rule in BODIES} == STAGES - WITHOUT_RULE


def test_every_stage_is_a_verb() -> None:
    assert set(verbs()) == STAGES | {name.replace("-", "_") for name in ASK_ONLY}


@pytest.mark.parametrize("rule", BODIES)
def test_a_rule_calls_the_verb_of_its_name(rule: str) -> None:
    calls = re.findall(r"salt ([a-z-]+)", BODIES[rule].split("shell:")[1])
    assert set(calls) == {own_name(rule).replace("_", "-")}


@pytest.mark.parametrize("rule", BODIES)
def test_a_rule_names_its_log_its_benchmark_and_its_resources(rule: str) -> None:
    text = BODIES[rule]
    for kind in ("logs", "benchmarks"):
        assert re.search(rf"/{kind}/{rule}[./]", text), f"{kind} of {rule}"
    assert f'w.resources.asked("{own_name(rule)}")' in text


def test_every_stage_has_one_function_that_its_verb_calls() -> None:
    source = "\n".join(path.read_text() for path in Path(salt.cli.__file__).parent.glob("*.py"))
    for stage in sorted(STAGES):
        text = (ROOT / "salt" / "stages" / f"{stage}.py").read_text()
        assert re.search(r"^def run\(", text, re.MULTILINE), stage
        assert f"from salt.stages.{stage} import run" in source, stage


def test_stage_numbers_and_resources_are_of_rules() -> None:
    resources = yaml.safe_load((ROOT / "workflow" / "resources.yaml").read_text())
    numbers = yaml.safe_load((ROOT / "workflow" / "stages.yaml").read_text())
    assert {name for scale in resources.values() for name in scale} <= {*BODIES, "default"}
    assert set(numbers) == {own_name(rule) for rule in BODIES}
