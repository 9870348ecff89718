"""The protocol of scoring with the real VBench, and where its parts lie on this machine."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from salt.config.base import Section

Suite = Literal["vbench", "i2v", "long"]
Formula = Literal["repository", "leaderboard"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
OF_ANY_PROMPT = (
    "subject_consistency",
    "background_consistency",
    "temporal_flickering",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "imaging_quality",
    "temporal_style",
    "overall_consistency",
)
"""Dimensions that need no more than a caption; the first seven are those of quality."""
OF_A_LIST = (
    "object_class",
    "multiple_objects",
    "human_action",
    "color",
    "spatial_relationship",
    "scene",
    "appearance_style",
)
"""Dimensions that look for objects, colours or actions that VBench's list names."""
OF_IMAGES = ("camera_motion", "i2v_subject", "i2v_background")
FULL_INFO = "5dd2de80ee43cda750b2b72ea7023657c0b90d3702041c7e4608c65dbe50dccd"
"""SHA-256 of `VBench_full_info.json` in the wheel of vbench 0.1.5: 946 prompts."""
FILTERED_SAMPLES = 25
"""Videos of a prompt among which the static filter chooses."""


class VBench(Section):
    """Everything but the videos that determines a score of VBench; all of it enters the protocol hash."""

    suite: Suite = "vbench"
    """vbench, i2v (VBench-I2V) or long (VBench-Long)."""
    version: str = "0.1.5"
    """Version of the package; any other one in the environment is refused."""
    prompt_list: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\.(json|txt)$")] = "VBench_full_info.json"
    """File of the prompts in the folder `prompts`: a list of VBench's, or a text file with one prompt a line."""
    prompt_list_hash: Digest | None = FULL_INFO
    """SHA-256 of that file; None: not checked, and the file's own hash enters the protocol."""
    extended_list: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+\.txt$")] | None = "all_dimension_extended.txt"
    """Text file of the extended prompts beside it, one a line in the same order; None: there are none."""
    extended_list_hash: Digest | None = None
    """SHA-256 of that file; None: not checked, and the file's own hash enters the protocol."""
    scored_text: Literal["short", "extended"] = "short"
    """The prompt with which videos are compared; VBench always uses the standard (short) one."""
    flicker: Literal["plain", "filtered"] = "plain"
    """Videos of temporal flickering: the first samples, or those of 25 that VBench's static filter keeps, at most 5."""
    i2v_formula: Formula = "repository"
    """Total of VBench-I2V: as in its scripts (camera motion counts, flickering does not) or on its leaderboard (the
    other way round)."""
    image_ratio: Literal["1-1", "8-5", "7-4", "16-9"] = "7-4"
    """The crop of VBench-I2V's images with which videos begin; 832 x 480 is nearest to 7-4."""
    seconds: PositiveInt = 2
    """Length of VBench-Long's clips; the default is its value for custom prompts."""
    consistency: Literal["slow_fast", "in_clip"] = "slow_fast"
    """VBench-Long's subject and background consistency: half of it between clips (its `dev_flag`), or within clips."""

    @model_validator(mode="after")
    def _filter(self) -> "VBench":
        if self.flicker == "filtered" and self.suite != "vbench":
            raise ValueError(f"flicker=filtered is VBench's own; accepted for suite={self.suite}: plain")
        return self

    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that are scored."""
        if self.suite == "i2v":
            return OF_ANY_PROMPT[:7] + OF_IMAGES
        return OF_ANY_PROMPT if self.prompt_list.endswith(".txt") else OF_ANY_PROMPT + OF_A_LIST

    def describe(self, samples: int, fps: int, codec: str) -> str:
        """The protocol in words, for tables."""
        names = {"vbench": "VBench", "i2v": "VBench-I2V", "long": "VBench-Long"}
        own = {
            "vbench": f"flickering of {'the first samples' if self.flicker == 'plain' else '5 static of 25 samples'}",
            "i2v": f"formula of the {self.i2v_formula}, images {self.image_ratio}",
            "long": f"clips of {self.seconds} s, consistency {self.consistency}",
        }
        return (
            f"{names[self.suite]} {self.version}, {samples} samples a prompt, {fps} fps, {codec}, "
            f"{self.scored_text} text scored, {own[self.suite]}"
        )


def vbench_folder() -> Path:
    """The folder of everything that VBench needs: `SALT_VBENCH`, else `vbench` in the scratch folder.

    It holds `venv/` (or `SALT_VBENCH_PYTHON` names the Python of a conda environment), `weights/`, `prompts/`,
    `images/` and `checkout/`.
    """
    return Path(os.environ.get("SALT_VBENCH") or Path(os.environ.get("SALT_SCRATCH", "scratch"), "vbench")).absolute()


def vbench_python() -> Path:
    """The Python of VBench's environment."""
    return Path(os.environ.get("SALT_VBENCH_PYTHON") or vbench_folder() / "venv" / "bin" / "python")
