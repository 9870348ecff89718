"""`workflow/stages.yaml`: one number for each rule, raised when a change of code changes what the rule computes."""

from pathlib import Path

from pydantic import PositiveInt

from salt.config.base import Section
from salt.config.files import read_mapping, relative
from salt.config.validate import Layer, Merged, validate


class Stages(Section):
    """The numbers; a rule for parts of a work, or for long videos, has the number of the rule that it varies."""

    teacher: PositiveInt
    latents: PositiveInt
    ode_pairs: PositiveInt
    train: PositiveInt
    import_released: PositiveInt
    sample: PositiveInt
    score_vbench: PositiveInt
    score: PositiveInt
    modes: PositiveInt
    defect: PositiveInt
    caches: PositiveInt
    score_controls: PositiveInt
    table: PositiveInt
    figure: PositiveInt
    claims: PositiveInt
    clips: PositiveInt
    training_curves: PositiveInt
    report: PositiveInt
    guide: PositiveInt
    lab_truth: PositiveInt
    lab_arms: PositiveInt
    lab_table: PositiveInt
    lab_figure: PositiveInt
    lab_report: PositiveInt


def load_stages(folder: Path) -> Stages:
    """Read `stages.yaml` in the workflow's folder.

    Raises:
        SaltError: an unknown or missing rule, or no number.
    """
    path = folder / "stages.yaml"
    source = relative(path)
    return validate(Stages, Merged([Layer(read_mapping(path), source)]), source)
