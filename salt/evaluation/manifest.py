"""What a folder of videos says of itself, and whether it is what is to be scored.

`salt sample` writes `manifest.json` last: of which model the videos are, by which protocol they were sampled, and the
SHA-256 of each. A folder of another model, or with one bit changed, is refused; so a score is of what it says.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from salt.data.prompts import prompts_hash
from salt.errors import SaltError
from salt.evaluation.cells import MANIFEST, ModelCell
from salt.evaluation.scorer import Scorer
from salt.evaluation.vbench.view import first
from salt.evaluation.video import check_stored
from salt.files import sha256
from salt.readers import read_json

SAMPLE_AGAIN = "sample again, which keeps what is whole"


class Manifest(BaseModel):
    """What scoring reads of it; there is more in it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    experiment: str
    seed: int
    scale: str
    cells: list[str]
    protocol: str
    prompts_hash: str
    released: bool = False
    files: dict[str, str] | None = None
    """`{cell}/{prompt_id}/{sampling seed}.mp4` -> SHA-256; None: of a version that did not write them down."""


def read_manifest(videos: Path) -> Manifest:
    """The manifest of a folder of videos.

    Raises:
        SaltError: it is missing or broken.
    """
    path = videos / MANIFEST
    accepted = "the folder of videos that `salt sample` has made to their end"
    try:
        return Manifest.model_validate(read_json(path, accepted, finite=True))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"])) or "it"
        raise SaltError(f"{path}: {place}: {fault['msg']}; accepted: {accepted}") from error


def check_videos(
    videos: Path, cells: Sequence[ModelCell], scorer: Scorer, wanted: Iterable[str] | None = None
) -> Manifest:
    """Refuse videos that are not those of some cells of one model, by this protocol, as they were sampled.

    Args:
        videos: folder made by `salt sample`.
        cells: of the model; at least one.
        scorer: knows protocol and prompts.
        wanted: `{cell}/{prompt_id}/{sampling seed}.mp4` of the videos whose bytes are compared; None: all of the cells.

    Raises:
        SaltError: naming what differs.
    """
    found, path = read_manifest(videos), videos / MANIFEST
    expected = {
        "experiment": cells[0].experiment,
        "seed": cells[0].seed,
        "scale": cells[0].scale,
        "protocol": scorer.protocol(),
        "prompts_hash": prompts_hash(scorer.prompts()),
    }
    for key, value in expected.items():
        if (stated := getattr(found, key)) != value:
            raise SaltError(
                f"{path}: {key} is {stated!r}; accepted: {value!r}, of what is scored. Name the folder of its videos, "
                "or sample again"
            )
    if missing := [cell.name for cell in cells if cell.name not in found.cells]:
        raise SaltError(
            f"{path}: cells are {', '.join(found.cells)}; accepted: {', '.join(missing)} too. {SAMPLE_AGAIN}"
        )
    if wanted is None:
        pairs = [(prompt.id, seed) for prompt in scorer.prompts() for seed in scorer.seeds(prompt)]
        wanted = [f"{cell.name}/{prompt}/{seed}.mp4" for cell in cells for prompt, seed in pairs]
    there = [name for name in wanted if (videos / name).is_file()]  # those that are missing are counted by the scorer
    if found.files is None:
        for name in there:
            check_stored(videos / name, scorer.scale.world.fps)
    elif changed := [name for name in there if sha256(videos / name) != found.files.get(name)]:
        raise SaltError(
            f"{videos}: {len(changed)} of {len(there)} videos are not those that {MANIFEST} names ({first(changed)}): "
            f"replaced, re-encoded or damaged; accepted: as they were sampled. {SAMPLE_AGAIN}"
        )
    return found
