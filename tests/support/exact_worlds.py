"""Small experiments in exact worlds, and students there whose faults are known."""

from typing import Any

from torch import Tensor, nn

from salt.config import load_experiment
from salt.config.lab import Exact
from salt.config.schema import Experiment
from salt.data.exact import modes_of
from salt.models.exact import ExactTeacher

SHIFT = 5.0


def exact(world: dict[str, Any] | None = None, **measured: Any) -> Exact:
    """The lab's mixture, or another world, with few samples and steps."""
    spread = [0.15, 0.25]
    mixture = {
        "kind": "mixture",
        "captions": {
            caption: [
                {"weight": left, "mean": [-1.0, style], "spread": spread},
                {"weight": 1 - left, "mean": [1.0, style], "spread": spread},
            ]
            for caption, left, style in (("left", 0.65, -0.5), ("right", 0.35, 0.5))
        },
    }
    few = {"samples": 256, "nfe": [1, 2, 4], "directions": 8, "teacher_nfe": 20} | measured
    return Exact.model_validate({"world": mixture if world is None else world, "measured": few, "members": 2})


def chain(**measured: Any) -> Exact:
    """The lab's chain, shortened."""
    return exact({"kind": "chain", "chunks": 3, "generated": 4}, **{"cache": [2, 4], **measured})


def experiment_in(world: Exact, **overrides: str) -> Experiment:
    """DMD-8 at the scale `lab`, in a given world; `objectives__dmd__cfg_weight="4"` changes a key."""
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    known = load_experiment("dmd_8", "lab", keys)
    return known.model_copy(update={"scale": known.scale.model_copy(update={"exact": world})})


class Shifted(nn.Module):
    """The exact teacher, whose samples by Euler each member moves by a vector of its own."""

    def __init__(self, world: Exact, by: Tensor) -> None:
        super().__init__()
        self.by = nn.Parameter(by)
        self.members = len(by)
        self._teacher = ExactTeacher(modes_of(world.world))

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        by = self.by.repeat_interleave(len(x_t) // self.members, 0)
        # not of x_t: where a member would go next does not depend on where it was moved
        return self._teacher(x_t - (1 - t)[:, None, None, None, None] * by.view_as(x_t), t, text) - by.view_as(x_t)
