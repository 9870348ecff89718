"""Rule `score_controls`: scores of deliberately corrupted clips, to test what the ground-truth scorer detects."""

from pathlib import Path

from salt.config.scale import Scale
from salt.evaluation.groundtruth.controls import run_controls
from salt.evaluation.groundtruth.ground_truth import GroundTruth
from salt.evaluation.lengths import TrainingLength
from salt.stages.shared.assets import load_assets
from salt.stages.shared.devices import single_thread
from salt.stages.shared.records import write_csv


def run(scale: Scale, teacher: Path, videos: Path, out: Path) -> None:
    """Corrupt clips of the report prompts in every way of `CONTROLS`, and score them.

    Args:
        scale: one with the ground-truth scorer, since VBench's prompts have no clips.
        teacher: folder made by `salt teacher`; its codec makes the round trip.
        videos: folder for the corrupted videos.
        out: the records.
    """
    scorer = GroundTruth(scale, TrainingLength(scale.evaluation))
    single_thread()
    assets = load_assets(teacher, scale)
    tidy, _ = run_controls(
        scorer.prompts(), scale.world, assets.codec, videos, scale=scale.name, protocol=scorer.protocol()
    )
    write_csv(tidy, out)
