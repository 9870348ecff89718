"""Rule `caches`: the effect of the KV cache on one causal student."""

from collections.abc import Mapping
from pathlib import Path

from salt.evaluation.diagnostics.cache_study import measure_caches
from salt.models.precision import in_precision
from salt.stages.shared.assets import load_assets
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.networks import are_released, load_student, trained_student
from salt.stages.shared.records import write_records


def run(weights: Path, scale: str, overrides: Mapping[str, str], teacher: Path, out: Path, device: str) -> None:
    """Measure a causal student under caches of every quality; arguments as for `salt.stages.defect.run`."""
    experiment, seed = trained_student(weights, scale, overrides)
    check_device(device)
    single_thread()
    assets = load_assets(teacher, experiment.scale)
    network = load_student(weights, experiment).to(device).eval()
    model = in_precision(network, experiment.scale.evaluation.precision, device)
    codec = assets.on(device).codec
    found = measure_caches(model, assets.text_encoder, codec, experiment, seed, assets.latent_shape, device)
    write_records(found, out, are_released(weights))
