"""The `--config` of the workflow, names and values checked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from salt.config.files import accepted
from salt.errors import SaltError

WeightsFrom = Literal["trained", "released"]


@dataclass(frozen=True)
class Settings:
    """Which scale is run, with how many seeds, and where the files go."""

    scale: str = "tiny"
    seeds: int | None = None
    """Training seeds of every experiment; None: as experiments/tables.yaml says."""
    out: str = "."
    """Folder of results/ and paper_figures/."""
    scratch: str = "scratch"
    """Folder of weights, videos and logs; $SALT_SCRATCH where it is not given."""
    weights: WeightsFrom | None = None
    """released: published weights where an experiment has them; trained: nowhere; None: where it says `always`."""
    only: tuple[str, ...] = ()
    """Tables and figures that are made, of whose models nothing is sampled and measured that they do not print; empty:
    all of them, and everything of each model."""

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> "Settings":
        """The settings that `--config` gives, over the defaults.

        Raises:
            SaltError: an unknown key, or a value that is not accepted.
        """
        known = [field.name for field in fields(cls)]
        for key, value in config.items():
            if key not in known:
                raise SaltError(f"--config {key}={value}: unknown key; {accepted(key, known)}")
        given = {"scratch": os.environ.get("SALT_SCRATCH", cls.scratch)} | dict(config)
        seeds, weights = given.get("seeds"), given.get("weights", cls.weights)
        if seeds is not None and (not isinstance(seeds, int) or seeds < 1):
            raise SaltError(f"--config seeds={seeds}: accepted: the number of training seeds, 1 or more")
        if weights is not None and weights not in get_args(WeightsFrom):
            raise SaltError(f"--config weights={weights}: accepted: {', '.join(get_args(WeightsFrom))}")
        only = tuple(str(given["only"]).split(",")) if "only" in given else ()
        scale, out, scratch = (str(given.get(key, getattr(cls, key))) for key in ("scale", "out", "scratch"))
        for key, folder in (("out", out), ("scratch", scratch)):
            if not folder.strip() or any(character in "{}" or not character.isprintable() for character in folder):
                raise SaltError(f"--config {key}={folder!r}: accepted: a folder's name without braces and line breaks")
        if only and out == cls.out:
            raise SaltError(
                f"--config only={','.join(only)}: records of a part would replace those in results/; accepted: with "
                "out=FOLDER"
            )
        return cls(scale, seeds, out, scratch, weights, only)
