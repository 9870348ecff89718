"""The videos of the page, from the sheet that `salt clips` made: by caption, method and number of steps."""

import json
from pathlib import Path
from typing import Any

from salt.config.load import load_experiment
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.report.page.content import Clip, ClipBlock, ClipRow, Clips
from salt.report.page.markup import base64_of

SOLVERS = {"cm": "consistency", "euler": "Euler"}


def read_clips(scale: Scale, results: Path) -> Clips | None:
    """The videos; None where `salt clips` has not been run.

    Args:
        scale: whose videos these are.
        results: holds `clips.json` and `clips.webp`, or neither.

    Raises:
        SaltError: the one is there without the other, or the index is broken.
    """
    index, sheet = results / "clips.json", results / "clips.webp"
    if not index.exists() and not sheet.exists():
        return None
    try:
        return _clips(scale, json.loads(index.read_text(encoding="utf-8")), base64_of(sheet))
    except (OSError, ValueError, KeyError, TypeError) as error:
        accepted = f"accepted: clips.json and clips.webp as `salt clips --scale {scale.name}` writes them"
        raise SaltError(f"{index}: cannot be read with its sheet: {error!r}; {accepted}") from error


def _clips(scale: Scale, index: dict[str, Any], data: str) -> Clips:
    places = {(v["caption"], v["experiment"], v["nfe"]): row for row, v in enumerate(index["videos"])}
    steps = tuple(sorted({nfe for _, _, nfe in places}))
    methods = list(dict.fromkeys(experiment for _, experiment, _ in places))
    titles = {name: load_experiment(name, scale.name).title for name in methods}

    def clip(caption: str, name: str, nfe: int) -> Clip | None:
        row = places.get((caption, name, nfe))
        label = f"Video: {titles[name]}, {nfe} steps: {index['captions'][caption]}"
        return None if row is None else Clip(label, row)

    return Clips(
        data=data,
        frames=index["frames"],
        rows=len(places),
        aspect=f"{index['width']} / {index['height']}",
        fps=index["fps"],
        steps=steps,
        blocks=tuple(
            ClipBlock(
                text,
                tuple(ClipRow(titles[name], tuple(clip(caption, name, nfe) for nfe in steps)) for name in methods),
            )
            for caption, text in index["captions"].items()
        ),
        note=(
            "Every method starts from the same noise and caption; all videos run together. Captions: the first of each "
            f"kind in the report list, chosen before any video was seen; training seed {index['training_seed']}, sampling "
            f"seed {index['sampling_seed']}, {SOLVERS[index['solver']]} solver."
        ),
    )
