"""`salt show`: one training at a glance: curves as a picture, and videos of the weights. No rule needs it."""

from pathlib import Path

from salt.config.schema import Experiment
from salt.report.learning import draw_curves, read_metrics
from salt.stages.shared.assets import load_assets
from salt.stages.shared.devices import check_device, single_thread
from salt.stages.shared.networks import load_student
from salt.stages.shared.preview import draw_preview


def run(
    experiment: Experiment, run_dir: Path | None, weights: Path | None, teacher: Path, out: Path, device: str
) -> list[Path]:
    """Write `curves.png` of a run, and `sheet.png` with samples of a few validation captions.

    Args:
        experiment: the student's.
        run_dir: with its metrics; None: they are not there.
        weights: the exported ones; None: there are none yet.
        teacher: folder made by `salt teacher`.
        out: the folder.
        device: where samples are made.

    Returns:
        What was written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = []
    if run_dir is not None:
        written.append(out / "curves.png")
        draw_curves({experiment.name: read_metrics(run_dir)}, written[-1])
    if weights is not None:
        check_device(device)
        single_thread()
        assets = load_assets(teacher, experiment.scale).on(device)
        student = load_student(weights, experiment).to(device).eval()
        written.append(out / "sheet.png")
        draw_preview(student, experiment, assets, written[-1], device)
    return written
