"""`salt clips`: the videos whose frames the figures show, whole, in one small picture.

`clips.webp` has a row of frames for each video, `clips.json` says which is which. The captions follow the rule of
`frames`; the first training seed and the first sampling seed, students by the consistency sampler. Large videos are
made smaller.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from salt.config.load import load_experiment, load_scale
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER, Cell
from salt.evaluation.video import Video, downscale
from salt.files import whole_file, write_text
from salt.report.figure_context import FigureContext
from salt.report.frames import SOLVER, pick, read_video, shown_prompts
from salt.report.records import Records
from salt.report.suite import FigureSpec, load_suite

SEED = 0
"""Of training."""
MOST_FRAMES, LONGEST_SIDE = 24, 64
"""Of a video on the sheet."""
QUALITY = 80
"""Of videos that were made smaller; others keep every pixel."""


def shown(scale: Scale) -> list[Cell]:
    """The videos of training length that figures show, each once: of students, then of the teacher."""
    specs = [spec for spec in load_suite().at(scale).figures.values() if "videos" in spec.uses]
    found = [
        Cell(name, "extended", SOLVER, load_experiment(name, scale.name).grid.steps if nfe == "own" else nfe)
        for spec in specs
        for name in spec.experiments
        for nfe in spec.nfe
    ]
    if any(TEACHER in spec.references for spec in specs):
        found.append(Cell(TEACHER, "extended", "euler", scale.evaluation.teacher_nfe))
    return list(dict.fromkeys(found))


def make_clips(scale: str, videos_dir: Path, out_dir: Path) -> list[Path]:
    """Write `clips.webp` and `clips.json`; the same videos give the same bytes.

    Args:
        scale: whose videos these are.
        videos_dir: as for `make_figure`.
        out_dir: made where it is missing.

    Raises:
        SaltError: an unknown scale, or a video that is missing or broken.
    """
    known = load_scale(scale)
    spec = FigureSpec(title="", seeds=1, uses=(), experiments=())
    context = FigureContext("clips", spec, Records(out_dir / "records", known), videos_dir, (SEED,))
    prompts = shown_prompts(context)
    places = [(cell, prompt) for prompt in prompts for cell in shown(known)]
    if not places:
        raise SaltError(f"scale {scale}: no figure shows videos; accepted: a scale whose figures do")
    first = known.evaluation.seeds[0]
    whole = [
        read_video(context, videos_dir / cell.experiment / f"seed{SEED}" / cell.name / prompt.id / f"{first}.mp4")
        for cell, prompt in places
    ]
    step = -(-max(whole[0].shape[1:3]) // LONGEST_SIDE)
    videos = [_small(video, step) for video in whole]
    index = {
        "scale": scale,
        "training_seed": SEED,
        "sampling_seed": first,
        "solver": SOLVER,
        "fps": known.world.fps,
        "frames": len(videos[0]),
        "width": videos[0].shape[2],
        "height": videos[0].shape[1],
        "captions": {prompt.id: prompt.extended for prompt in prompts},
        "videos": [{"experiment": cell.experiment, "nfe": cell.nfe, "caption": prompt.id} for cell, prompt in places],
    }
    out_dir.mkdir(parents=True, exist_ok=True)
    with whole_file(out_dir / "clips.webp") as temporary:
        temporary.write_bytes(sheet(videos, lossless=step == 1))
    write_text(out_dir / "clips.json", json.dumps(index, indent=1, ensure_ascii=False) + "\n")
    return [out_dir / "clips.webp", out_dir / "clips.json"]


def sheet(videos: Sequence[Video], lossless: bool) -> bytes:
    """Videos `(F, H, W, 3)` as WebP: one below the other, frames from left to right."""
    picture = np.concatenate([np.concatenate(list(video), axis=1) for video in videos])
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "WEBP", lossless=lossless, quality=100 if lossless else QUALITY, method=6)
    return out.getvalue()


def _small(video: Video, step: int) -> Video:
    """At most `MOST_FRAMES`, of means over squares of `step` pixels; what does not fill a square is cut off."""
    frames = pick(video, min(len(video), MOST_FRAMES))
    height, width = (side // step * step for side in video.shape[1:3])
    return np.rint(downscale(frames[:, :height, :width], step)).astype(np.uint8)
