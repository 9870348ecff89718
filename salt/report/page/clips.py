"""The videos of the page, from the sheet that `salt clips` made: by caption, method and number of steps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from salt.config.load import load_experiment
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.evaluation.cells import TEACHER
from salt.readers import read_json
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
    accepted = f"clips.json and clips.webp as `salt clips --scale {scale.name}` writes them"
    known = read_json(index, accepted)
    try:
        return _clips(scale, known, base64_of(sheet))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SaltError(f"{index}: cannot be read with its sheet: {error!r}; accepted: {accepted}") from error


def _clips(scale: Scale, index: dict[str, Any], data: str) -> Clips:
    places = {(v["caption"], v["experiment"], v["nfe"]): row for row, v in enumerate(index["videos"])}
    experiments = {name: load_experiment(name, scale.name) for _, name, _ in places if name != TEACHER}
    nfes = {name: {nfe for _, other, nfe in places if other == name} for name in experiments}
    methods = sorted(experiments, key=lambda name: (-len(nfes[name]), experiments[name].causal is not None))
    steps = tuple(sorted(set().union(*nfes.values())))

    def clip(caption: str, name: str, title: str, nfe: int) -> Clip | None:
        row = places.get((caption, name, nfe))
        return None if row is None else Clip(f"{title}, {nfe} steps", row)

    def methods_of(caption: str) -> Iterator[ClipRow]:
        for name in methods:
            title = experiments[name].title
            yield ClipRow(title, tuple(clip(caption, name, title, nfe) for nfe in steps))

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
                clip(caption, TEACHER, "the guided teacher", scale.evaluation.teacher_nfe),
                tuple(methods_of(caption)),
            )
            for caption, text in index["captions"].items()
        ),
        note=(
            "Every method starts from the same noise and caption, and all videos run together. The captions are the "
            f"first of each kind in the report list; training seed {index['training_seed']}, sampling seed "
            f"{index['sampling_seed']}, {SOLVERS[index['solver']]} solver."
        ),
    )
