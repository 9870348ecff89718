"""The configuration: data in `experiments/*.yaml`, checked by pydantic, read by everything above."""

from salt.config.files import experiment_names, repository_root, scale_names
from salt.config.hashing import content_hash, resolved_yaml, training_hash
from salt.config.load import load_experiment, load_scale
from salt.config.paper import PaperValue, paper_values
from salt.config.scale import Scale
from salt.config.schema import Experiment

__all__ = [
    "Experiment",
    "PaperValue",
    "Scale",
    "content_hash",
    "experiment_names",
    "load_experiment",
    "load_scale",
    "paper_values",
    "repository_root",
    "resolved_yaml",
    "scale_names",
    "training_hash",
]
