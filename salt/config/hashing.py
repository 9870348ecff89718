"""What a configuration is, as text and as a short hash: for provenance, and to know whether a run is still valid."""

import hashlib
import json
from typing import Any

import yaml

from salt.config.base import Section
from salt.config.schema import Experiment

HASH_DIGITS = 12

NOT_TRAINING: dict[str, Any] = {
    "name": True,
    "title": True,
    "about": True,
    "released": True,
    "solver": True,
    "train": {
        *("checkpoint_every", "keep_checkpoints", "preview_every", "tensorboard"),
        *("context_parallel", "recompute", "shard", "threads"),
    },
    "scale": {
        **dict.fromkeys(("name", "extends", "beside", "meaningful", "assets"), True),
        **dict.fromkeys(("larger", "teacher", "training_seeds", "evaluation"), True),
        "world": {"video_scale", "fps"},
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
    return hashlib.sha256(canonical.encode()).hexdigest()[:HASH_DIGITS]


def training_hash(experiment: Experiment) -> str:
    """`content_hash` of what decides the trained weights: a new title or another evaluation does not retrain."""
    return content_hash(experiment, NOT_TRAINING)


def resolved_yaml(experiment: Experiment) -> str:
    """The whole experiment as YAML, every default written out, in the order of the schema."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
