"""Contact sheets of a network's samples on validation captions, drawn while it trains."""

from pathlib import Path

import torch
from torch import nn

from salt.cli.assets import Assets
from salt.config.schema import Experiment
from salt.data.clips import as_uint8
from salt.data.prompts import report_prompts
from salt.evaluation.solvers import Draw, Network, generate, initial_noise, renoise_of
from salt.evaluation.video import upscale
from salt.flow.grid import time_grid
from salt.report.frames import contact_sheet

PROMPTS, TEACHER_NFE = 8, 25


def draw_preview(generator: nn.Module, experiment: Experiment, assets: Assets, path: Path, device: str) -> None:
    """Sample a few validation captions: a student by the CM solver in K steps, a teacher guided by Euler steps."""
    student = experiment.objectives.flow_matching is None
    nfe, solver = (experiment.grid.steps, "cm") if student else (TEACHER_NFE, "euler")
    scale = experiment.scale
    prompts = report_prompts(scale.world, PROMPTS, "validation")
    network = Network(generator, assets.text_encoder, None if student else scale.evaluation.cfg_weight, device)
    draws = [Draw(0, prompt.index) for prompt in prompts]
    with torch.no_grad():
        noise = initial_noise(draws, assets.latent_shape).to(device)
        velocity = network.velocity([prompt.extended for prompt in prompts])
        latents = generate(velocity, noise, time_grid(nfe, experiment.grid.shift), solver, renoise_of(draws))
        videos = as_uint8(assets.codec.decode(latents.cpu()))
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(
        [upscale(video, scale.world.video_scale) for video in videos], [prompt.extended for prompt in prompts], path
    )
