"""Rule `defect`: semigroup defect (Eq. 16), cross-step distance and accumulated error of one student."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from salt.errors import SaltError
from salt.evaluation.diagnostics.defect import measure
from salt.evaluation.sampling.solvers import Network
from salt.models.precision import in_precision
from salt.stages.shared.assets import load_assets
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.networks import are_released, load_student, trained_student
from salt.stages.shared.records import write_csv, write_records
from salt.stages.shared.sources import condition_of


def run(
    weights: Path,
    scale: str,
    overrides: Mapping[str, str],
    teacher: Path,
    out: Path,
    device: str,
    alone: bool = False,
) -> None:
    """Measure a student; writes records to `out` and projected trajectories beside it.

    Args:
        weights: the student's, made by `salt train`.
        scale: the scale's name.
        overrides: dotted key of the experiment -> value, as in training.
        teacher: folder made by `salt teacher`.
        out: `NAME_defect.csv`; `NAME_trajectory.csv` is written first.
        device: where states are computed.
        alone: measure Eq. (16) alone.
    """
    experiment, seed = trained_student(weights, scale, overrides)
    if experiment.causal is not None:
        raise SaltError(f"{experiment.name}: samples videos chunk by chunk; the defect is measured on whole clips")
    check_device(device)
    single_thread()
    assets = load_assets(teacher, experiment.scale)
    evaluation = experiment.scale.evaluation
    assets.on(device)

    def network(model: nn.Module, cfg_weight: float | None) -> Network:
        lowered = in_precision(model.to(device).eval(), evaluation.precision, device)
        return Network(lowered, assets.text_encoder, cfg_weight, device, experiment.scale.text.negative)

    student = network(load_student(weights, experiment), None)
    guided = network(assets.teacher(), evaluation.cfg_weight)
    found = measure(student, guided, experiment, seed, assets.latent_shape, condition_of(assets, device), alone)
    write_csv(found.trajectory, out.with_name(out.name.replace("_defect.csv", "_trajectory.csv")))
    write_records(found.records, out, are_released(weights))
