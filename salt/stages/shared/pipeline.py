"""A student as a whole pipeline in diffusers' format: networks, tokenizer, scheduler, and a card that says what it is.

The scheduler makes the Euler steps of Eq. (5) on the student's own grid. (That of `FlowMatchEulerDiscreteScheduler` is
another: its last level lies next to 0, where a student of few steps was never trained.)
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from salt.config.hashing import training_hash
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.files import whole_folder, write_text
from salt.readers import read_json
from salt.stages.shared.assets import CODEC, OWN_CONFIG, TEXT_ENCODER, TOKENIZER, TRANSFORMER, VAE
from salt.stages.shared.networks import trained_student
from salt.training.provenance import NAME, check_unchanged

SCHEDULER = "scheduler"
SPATIAL, TEMPORAL = 8, 4
"""What diffusers takes for the strides of an autoencoder that is not there."""
CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-video
tags: [distillation, few-step, {name}]
---
# {title}, {steps} steps

Experiment `{name}` at scale `{scale}`, training seed {seed}: {about}

```python
from diffusers import WanPipeline

pipeline = WanPipeline.from_pretrained("{folder}"{without})
{call}
```

* {decoding}
* Without guidance (`guidance_scale=1.0`): it is distilled into the student.
* The scheduler makes Euler steps on the student's own grid, of shift {shift:g}; any number of steps is accepted.
* Captions of up to {tokens} tokens.

Training: configuration {hash}, {iterations} iterations. `transformer/{provenance}` holds all settings, the hashes of
inputs and weights, the commit and the versions of libraries.
"""


def write_pipeline(weights: Path, scale: str, assets: Path, out: Path) -> None:
    """Write the pipeline of a student, which `WanPipeline.from_pretrained` opens.

    Args:
        weights: folder made by `salt train` or `salt import-released`.
        scale: the scale's name.
        assets: folder made by `salt teacher`; its autoencoder, text encoder and tokenizer are copied.
        out: the folder; an existing one is replaced.

    Raises:
        SaltError: the weights are of another scale or configuration, or no pipeline of diffusers samples as they do.
    """
    experiment, seed = trained_student(weights, scale, {})
    if experiment.causal is not None:
        raise SaltError(
            f"{weights}: {experiment.name} makes its videos chunk by chunk, which WanPipeline does not; accepted: "
            "--layout self-forcing"
        )
    if experiment.scale.image_to_video:
        raise SaltError(
            f"{weights}: scale {scale} is of image-to-video; accepted for --layout diffusers: text-to-video"
        )
    if experiment.grid.levels is not None:
        raise SaltError(
            f"{weights}: {experiment.name} is evaluated at levels of its own (grid.levels), which no scheduler of "
            "diffusers can state; accepted: --layout wan or self-forcing, which hold weights alone"
        )
    parts = [TEXT_ENCODER, TOKENIZER, CODEC if experiment.scale.vae is None else VAE]
    for source in (weights, *(assets / part for part in parts)):
        check_unchanged(source)
    with whole_folder(out) as folder:
        shutil.copytree(weights, folder / TRANSFORMER)
        for part in parts:
            shutil.copytree(assets / part, folder / part)
        _scheduler(experiment.grid.shift).save_pretrained(folder / SCHEDULER)
        write_text(folder / "model_index.json", json.dumps(_index(folder), indent=1) + "\n")
        write_text(folder / "README.md", card(experiment, seed, out.name))


def _scheduler(shift: float) -> Any:
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=1
    )


def _index(folder: Path) -> dict[str, Any]:
    """What `from_pretrained` loads; parts that are not there are null."""
    path = folder / TOKENIZER / OWN_CONFIG[TOKENIZER]
    kind = read_json(path).get("tokenizer_class")
    if not isinstance(kind, str):
        raise SaltError(f"{path}: tokenizer_class = {kind!r:.60}; accepted: the name of a class of transformers")
    there = {
        SCHEDULER: ["diffusers", "DPMSolverMultistepScheduler"],
        TEXT_ENCODER: ["transformers", "UMT5EncoderModel"],
        TOKENIZER: ["transformers", kind],
        TRANSFORMER: ["diffusers", "WanTransformer3DModel"],
        VAE: ["diffusers", "AutoencoderKLWan"] if (folder / VAE).is_dir() else [None, None],
        "transformer_2": [None, None],
    }
    return {"_class_name": "WanPipeline", "_diffusers_version": version("diffusers"), **there}


def card(experiment: Experiment, seed: int, folder: str) -> str:
    """The model card: what the weights are, and how they are sampled."""
    scale, (_, frames, height, width) = experiment.scale, experiment.scale.latent_shape
    if scale.vae is None:
        size = f"height={SPATIAL * height}, width={SPATIAL * width}, num_frames={TEMPORAL * (frames - 1) + 1}"
        without = ", vae=None"
        call = f'latents = pipeline(caption, {size}, guidance_scale=1.0,\n    output_type="latent", '
        decoding = "`codec/` is the scale's own, unknown to diffusers: `salt.models.codec.load_codec` reads it."
    else:
        size = f"height={scale.vae.height}, width={scale.vae.width}, num_frames={scale.world.frames}"
        without = ""
        call = f"frames = pipeline(caption, {size}, guidance_scale=1.0,\n    "
        decoding = "The autoencoder is the released one."
    return CARD.format(
        name=experiment.name,
        title=experiment.title,
        about=" ".join(experiment.about.split()),
        steps=experiment.grid.steps,
        scale=scale.name,
        seed=seed,
        folder=folder,
        without=without,
        call=f"{call}num_inference_steps={experiment.grid.steps}, max_sequence_length={scale.text.tokens}).frames",
        decoding=decoding,
        shift=experiment.grid.shift,
        tokens=scale.text.tokens,
        hash=training_hash(experiment),
        iterations=experiment.train.iterations,
        provenance=NAME,
    )
