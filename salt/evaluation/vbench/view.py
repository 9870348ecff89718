"""VBench's view of stored videos: links under the names it expects, and the list of prompts and videos it reads.

Videos are stored as `{prompt_id}/{sampling seed}.mp4`. The links are `{prompt}-{i}.mp4`, all in one folder, as VBench
and VBench-Long expect; a prompt whose text is not a plain file name is linked under its id, so that no prompt can
determine where a file lies. No two prompts share a name, even on file systems that ignore case.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salt.config.vbench import FILTERED_SAMPLES, VBench
from salt.data.vbench_prompts import VBenchPrompt
from salt.errors import SaltError
from salt.files import sha256

NAMED = 5
"""How many files an error message names."""
READS_NAMES = ("human_action", "camera_motion")
"""Dimensions that parse the caption from the name of the file."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,.'()-]*")
_LONGEST_NAME = 200  # of 255 bytes, since VBench-Long appends to it


@dataclass(frozen=True)
class DimensionJob:
    """What is scored, by which protocol, and where the results go."""

    dimension: str
    protocol: VBench
    protocol_hash: str
    prompts: Sequence[VBenchPrompt]
    seeds: Sequence[int]
    videos: Path
    out: Path
    part: tuple[int, int] = (0, 1)
    """The i-th of n parts of the prompts."""
    device: str = "cpu"
    names: Mapping[str, str] = field(default_factory=dict)
    """Stored name -> file below `videos`, of videos that have other names there."""

    @property
    def results(self) -> Path:
        """The file of the scores."""
        index, parts = self.part
        own = f".{index}of{parts}" if parts > 1 else ""
        return self.out / f"{self.dimension}{own}_eval_results.json"

    @property
    def filtered(self) -> bool:
        """Whether the static filter chooses the videos."""
        return self.dimension == "temporal_flickering" and self.protocol.flicker == "filtered"

    def chosen(self) -> list[VBenchPrompt]:
        """The prompts of this part that ask for the dimension."""
        index, parts = self.part
        return [prompt for prompt in self.prompts if self.dimension in prompt.asked][index::parts]

    def stored(self, prompt: VBenchPrompt) -> list[str]:
        """The videos of a prompt, below `videos`, in the order of sampling seeds."""
        seeds = range(FILTERED_SAMPLES) if self.filtered else self.seeds
        return [f"{prompt.id}/{seed}.mp4" for seed in seeds]

    def file(self, stored: str) -> Path:
        """Where a video lies."""
        return self.videos / self.names.get(stored, stored)

    def expected(self) -> list[str]:
        """The stored names of all videos of this part."""
        return [name for prompt in self.chosen() for name in self.stored(prompt)]


def view_name(prompt: VBenchPrompt, dimension: str, taken: set[str]) -> str:
    """The name under which a prompt's videos are linked: its text if that is a plain file name, else its id.

    Raises:
        SaltError: the dimension parses the caption from the name, and the caption is not a plain name.
    """
    text = prompt.short
    plain = _PLAIN.fullmatch(text) and len(text) <= _LONGEST_NAME and ".mp4" not in text
    if plain and text.lower() not in taken:
        taken.add(text.lower())
        return text
    if dimension in READS_NAMES:
        raise SaltError(
            f"{prompt.id}: {dimension} reads the prompt from the name of a file; accepted: letters, digits, spaces and "
            f",.'()- only, up to {_LONGEST_NAME}, each prompt once; this one is {text[:60]!r}"
        )
    return prompt.id


def make_view(job: DimensionJob, view: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Link the videos of a job into an empty folder.

    Returns:
        VBench's list of prompts and videos; and for the stem of every link, the stored name of the video.
    """
    rows: list[dict[str, Any]] = []
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for prompt in job.chosen():
        name, links = view_name(prompt, job.dimension, taken), []
        for number, stored in enumerate(job.stored(prompt)):
            link = view / f"{name}-{number}.mp4"
            link.symlink_to(job.file(stored).resolve())
            links.append(str(link))
            stems[link.stem] = stored
        row = {
            "prompt_en": prompt.text(job.protocol.scored_text),
            "dimension": [job.dimension],
            "video_list": links,
            "image_name": prompt.image,
        }
        rows.append(row | ({"auxiliary_info": prompt.auxiliary} if prompt.auxiliary else {}))
    return rows, stems


def images_of(job: DimensionJob, folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of the first frames of VBench-I2V; empty for other suites.

    Raises:
        SaltError: an image is missing.
    """
    if job.protocol.suite != "i2v":
        return {}
    images = folder / "images" / job.protocol.image_ratio
    missing = [str(prompt.image) for prompt in job.chosen() if not (images / str(prompt.image)).is_file()]
    if missing:
        raise SaltError(
            f"{images}: {len(missing)} images are missing ({first(missing)}); accepted: those of VBench-I2V"
        )
    return {str(prompt.image): sha256(images / str(prompt.image)) for prompt in job.chosen()}


def link_images(job: DimensionJob, folder: Path, view: Path) -> None:
    """Link VBench-I2V's images and DreamSim's weights below the working directory, where they are looked for."""
    if job.protocol.suite != "i2v":
        return
    crop = view / "vbench2_beta_i2v" / "data" / "crop"
    crop.mkdir(parents=True)
    (crop / job.protocol.image_ratio).symlink_to((folder / "images" / job.protocol.image_ratio).resolve())
    (view / "models").symlink_to((folder / "weights" / "home" / ".cache").resolve())


def first(names: Sequence[str]) -> str:
    """The first names of a list, for a message."""
    return "; ".join(names[:NAMED]) + ("; ..." if len(names) > NAMED else "")


def stem_of(path: str) -> str:
    """The stem of a video in the view, or of the video of a clip, `split_clip/STEM/...`."""
    parts = Path(path).parts
    return parts[parts.index("split_clip") + 1] if "split_clip" in parts else Path(path).stem
