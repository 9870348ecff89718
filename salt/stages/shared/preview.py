"""Contact sheets of a network's samples during training, for captions that neither training nor report uses."""

from pathlib import Path

import torch
from torch import nn

from salt.config.schema import Experiment
from salt.data.clips import as_uint8
from salt.evaluation.cells import Cell
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.sampling.sources import Item
from salt.evaluation.video import upscale
from salt.report.frames import contact_sheet
from salt.stages.latents import training_data
from salt.stages.shared.assets import Assets
from salt.stages.shared.sources import source_of

PROMPTS, TEACHER_NFE = 8, 25


@torch.no_grad()
def draw_preview(generator: nn.Module, experiment: Experiment, assets: Assets, path: Path, device: str) -> None:
    """Sample a few validation captions: each by its solver, a student in K steps."""
    teacher, scale = experiment.objectives.flow_matching is not None, experiment.scale
    nfe = TEACHER_NFE if teacher else experiment.grid.steps
    cell = Cell(experiment.name, "extended", experiment.main_solver, nfe)
    items = [Item(prompt, 0) for prompt in training_data(assets).unseen(PROMPTS)]
    length = TrainingLength(scale.evaluation)
    latents = source_of(generator, experiment, assets, device, length).parts(cell, items)
    videos = as_uint8(assets.codec.decode(torch.cat(list(latents), dim=2)).cpu())
    captions = [item.prompt.text("extended") for item in items]
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet([upscale(video, scale.video_scale) for video in videos], captions, path)
