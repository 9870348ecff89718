"""The manifest of videos that no sampling made."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salt.data.prompts import prompts_hash
from salt.evaluation.cells import MANIFEST, ModelCell
from salt.evaluation.scorer import Scorer
from salt.files import sha256


def write_manifest(videos: Path, cells: Sequence[ModelCell], scorer: Scorer, **changes: Any) -> Path:
    """Say of a folder that `salt sample` made it, of this model and by this protocol; `changes`: what it says else."""
    said = {
        "experiment": cells[0].experiment,
        "seed": cells[0].seed,
        "scale": cells[0].scale,
        "cells": [cell.name for cell in cells],
        "protocol": scorer.protocol(),
        "prompts_hash": prompts_hash(scorer.prompts()),
        "files": {path.relative_to(videos).as_posix(): sha256(path) for path in sorted(videos.rglob("*.mp4"))},
    }
    (videos / MANIFEST).write_text(json.dumps(said | changes))
    return videos / MANIFEST
