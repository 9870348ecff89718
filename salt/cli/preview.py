"""Contact sheets of a network's samples on captions of neither training nor report, drawn while it trains."""

from pathlib import Path

import torch
from torch import nn

from salt.cli.assets import Assets
from salt.cli.latents import captions_file
from salt.cli.records import source_of
from salt.config.scale import Scale
from salt.config.schema import Experiment
from salt.data.captions import read_captions
from salt.data.clips import as_uint8
from salt.data.prompts import OwnPrompt, Prompt, report_prompts
from salt.evaluation.cells import Cell
from salt.evaluation.sampling.sources import Item
from salt.evaluation.video import upscale
from salt.report.frames import contact_sheet

PROMPTS, TEACHER_NFE = 8, 25


@torch.no_grad()
def draw_preview(generator: nn.Module, experiment: Experiment, assets: Assets, path: Path, device: str) -> None:
    """Sample a few validation captions: each by its solver, a student in K steps."""
    teacher, scale = experiment.objectives.flow_matching is not None, experiment.scale
    nfe = TEACHER_NFE if teacher else experiment.grid.steps
    cell = Cell(experiment.name, "extended", experiment.main_solver, nfe)
    items = [Item(prompt, 0) for prompt in _prompts(scale)]
    latents = source_of(generator, experiment, assets, device).parts(cell, items)
    videos = as_uint8(assets.codec.decode(torch.cat(list(latents), dim=2)).cpu())
    captions = [item.prompt.text("extended") for item in items]
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet([upscale(video, scale.video_scale) for video in videos], captions, path)


def _prompts(scale: Scale) -> list[Prompt] | list[OwnPrompt]:
    """Of the world's validation split, or the captions that follow those of the latent bank; its last if none do."""
    if scale.data is None:
        return report_prompts(scale.world, PROMPTS, "validation")
    lines = read_captions(captions_file(scale.data), scale.data, PROMPTS)
    lines = lines[scale.data.clips :] or lines[-PROMPTS:]
    return [
        OwnPrompt(f"own{index:04d}", index, line.caption, image=None if line.video is None else str(line.video))
        for index, line in enumerate(lines)
    ]
