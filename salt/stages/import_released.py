"""Rule `import_released`: published weights in place of an experiment's own, in diffusers' format."""

import json
from pathlib import Path

from salt.config.schema import Experiment
from salt.files import write_text
from salt.models.lora import merge_lora
from salt.models.released import Which, released_weights
from salt.models.wan import save_wan, wan_of
from salt.training.provenance import NAME, provenance


def run(experiment: Experiment, source: Path, which: Which | None, lora: Path | None, out: Path) -> None:
    """Write released weights in diffusers' format, and their origin as `provenance.json`.

    Args:
        experiment: the experiment whose weights they replace; they must have the shape of its backbone.
        source: a file or a folder.
        which: the moving average or the last state, if the source holds both.
        lora: a LoRA to merge into them.
        out: a folder laid out as by `salt train`.
    """
    weights, kind = released_weights(source, which)
    if lora is not None:
        weights = merge_lora(weights, lora)
    save_wan(wan_of(weights, experiment.scale.backbone, source), out)
    inputs = {"source": source} if lora is None else {"source": source, "lora": lora}
    about = provenance(experiment, 0, inputs, out) | {"released": kind, "iterations": None}
    write_text(out / NAME, json.dumps(about, indent=1))
