"""No accepted value destroys a training, or has no effect, without a word; lengths that networks need fit together."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import salt.config
from salt.config import load_experiment
from salt.config.base import Section
from salt.errors import SaltError
from support.repository import DMD, SCALE, Repository

for module in pkgutil.iter_modules(salt.config.__path__):
    importlib.import_module(f"salt.config.{module.name}")

MAY_BE_EMPTY = {
    "Contrast.minus",
    "Contrast.plus",
    "Control.minus",
    "Control.plus",
    "Evaluation.short_nfe",  # no short captions, as in image-to-video
    "PaperClaim.distributions",
    "Scale.limits",
    "World.speed_shares",  # where no object turns round
}
UNBOUNDED = {
    "Mode.mean",
    "PaperRow.values",
    "PaperValue.value",
    "SCM.log_mean",
}


def sections(of: type[Section] = Section) -> Iterator[type[Section]]:
    for one in of.__subclasses__():
        yield one
        yield from sections(one)


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A field's schema, and those of its alternatives and items."""
    yield schema
    for alternative in schema.get("anyOf", ()):
        yield from parts(alternative)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key])


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    for section in {one for one in sections() if one.__module__.startswith("salt.config")}:
        for key, schema in section.model_json_schema()["properties"].items():
            yield from ((f"{section.__name__}.{key}", part) for part in parts(schema))


def test_no_list_may_be_empty_but_those_that_mean_none() -> None:
    lists = {name for name, part in fields() if part.get("type") == "array" and not part.get("minItems")}
    assert lists == MAY_BE_EMPTY


def test_every_number_says_where_it_begins() -> None:
    bounds = {"minimum", "exclusiveMinimum", "enum", "const"}
    numbers = {name for name, part in fields() if part.get("type") in ("integer", "number") and not bounds & set(part)}
    assert numbers == UNBOUNDED


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("train: {ema: {decay: 1.0}}", "train.ema.decay = 1.0: accepted: less than 1"),
        ("train: {ema: {start: 5}}", "train.ema.start=5, but train.iterations=5: what it puts off would never be"),
        ("train: {threads: 100000}", "train.threads = 100000: accepted: less than or equal to 512"),
        ("objectives: {dmd: {cfg_weight: 0}}", "objectives.dmd.cfg_weight = 0: accepted: greater than 0"),
        ("objectives: {dmd: {noise: {u_max: 0}}}", "objectives.dmd.noise.u_max = 0: accepted: greater than 0"),
        ("objectives: {dmd: {weight: 0}, sc: {weight: 0}}", "objectives: every weight is 0"),
        ("objectives: {dmd: {}, scm: {warmup: 5}}", "objectives.scm.warmup=5, but train.iterations=5"),
        ('rollout: {kind: autoregressive, steps: {"2": 0, "4": 1}}', "rollout.steps.2 = 0: accepted: greater than 0"),
        (
            "objectives: {flow_matching: {caption_drop: 1}}",
            "objectives.flow_matching.caption_drop = 1: accepted: less than 1",
        ),
    ],
)
def test_what_would_destroy_a_training_or_do_nothing_is_refused(repository: Repository, keys: str, told: str) -> None:
    section = keys.partition(":")[0]
    kept = "".join(line for line in DMD.splitlines(keepends=True) if not line.startswith(f"{section}:"))
    repository.write("dmd.yaml", f"{kept}{keys}\n")
    with pytest.raises(SaltError) as refused:
        load_experiment("dmd", "one")
    assert f"experiments/dmd.yaml: {told}" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("text_dim: 64", "text_dim: 32", "backbone.text_dim=32: accepted: 64, as text.d_model says"),
        ("ffn_dim: 8", "ffn_dim: 8, patch_size: [1, 0, 2]", "backbone.patch_size.1 = 0: accepted: greater than 0"),
        ("ffn_dim: 8", "ffn_dim: 8, patch_size: [1, 3, 2]", "backbone.patch_size=[1, 3, 2]: accepted: 1 latent frame"),
        ("ffn_dim: 8", "ffn_dim: 8, patch_size: [2, 2, 2]", "backbone.patch_size=[2, 2, 2]: accepted: 1 latent frame"),
        ("attention_head_dim: 12", "attention_head_dim: 4", "backbone.attention_head_dim=4: accepted: an even number"),
        ("attention_head_dim: 12", "attention_head_dim: 13", "backbone.attention_head_dim=13: accepted: an even"),
        ("ffn_dim: 8", "ffn_dim: 8, freq_dim: 3", "backbone.freq_dim=3: accepted: an even number"),
        ("ffn_dim: 8", "ffn_dim: 8, rope_max_seq_len: 3", "backbone.rope_max_seq_len=3: accepted: 4 or more"),
        ("defaults", "text: {num_heads: 3}\ndefaults", "text.d_model=64: accepted: a multiple of num_heads=3"),
        ("defaults", "evaluation: {seeds: []}\ndefaults", "evaluation.seeds = []: accepted: "),
        ("defaults", "evaluation: {seeds: [0, 1, 0]}\ndefaults", "evaluation.seeds: 0 is given twice; accepted: each"),
        ("defaults", "evaluation: {nfe: []}\ndefaults", "evaluation.nfe = []: accepted: "),
        ("defaults", "evaluation: {prompts: 5}\ndefaults", "evaluation: prompts=5: accepted: 6 or more"),
        ("defaults", "world: {pair_gaps: []}\ndefaults", "world.pair_gaps = []: accepted: "),
    ],
)
def test_networks_and_evaluations_that_cannot_be_are_refused(
    repository: Repository, old: str, new: str, told: str
) -> None:
    repository.write("scales/one.yaml", SCALE.replace(old, new))
    with pytest.raises(SaltError) as refused:
        load_experiment("dmd", "one")
    assert str(refused.value).startswith("experiments/scales/one.yaml: ")
    assert told in str(refused.value)
