"""What a configuration is, as text and as a short hash: for provenance, and to know whether a run is still valid."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from salt.config.base import Section
from salt.config.schema import Experiment
from salt.digest import SHORT, text_digest

NOT_TRAINING: dict[str, Any] = {
    "name": True,
    "title": True,
    "about": True,
    "released": True,
    "solver": True,
    "causal": {"long_memory"},
    "train": {
        *("checkpoint_every", "keep_checkpoints", "preview_every", "tensorboard", "tracker"),
        *("context_parallel", "recompute", "shard", "threads"),
    },
    "scale": {
        **dict.fromkeys(("name", "extends", "beside", "lab", "meaningful", "assets"), True),
        **dict.fromkeys(("larger", "teacher", "training_seeds", "evaluation", "any_step"), True),
        "world": {"video_scale", "fps"},
        "exact": {"explore", "confirm", "measured"},
    },
}
"""The keys that leave the trained weights as they are: names, book-keeping, and how videos are sampled, stored
and scored; `label` and `look` are in no dump.

Teachers count by their files (see `rule train`), not by the names of their folders.
"""


def content_hash(section: Section, exclude: Any = None) -> str:
    """12 hexadecimal digits over the resolved values of a section.

    Neither the order of keys nor the way a number was written (1, 1.0, 1e0) matters; defaults count as if written out.

    Args:
        section: any part of the configuration.
        exclude: fields to leave out, as pydantic's `model_dump(exclude=...)` takes them.
    """
    values = section.model_dump(mode="json", exclude=exclude)
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text_digest(canonical)[:SHORT]


def training_hash(experiment: Experiment) -> str:
    """`content_hash` of what decides the trained weights: a new title or another evaluation does not retrain."""
    return content_hash(experiment, NOT_TRAINING)


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every value in which two dumped configurations differ, by its dotted key, in the order of the keys."""
    old, new = _flat(there), _flat(now)
    return [
        f"{key} (there {json.dumps(old.get(key))}, now {json.dumps(new.get(key))})"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def resolved_yaml(experiment: Experiment) -> str:
    """The whole experiment as YAML, every default written out, in the order of the schema."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
