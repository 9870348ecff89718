"""ODE pairs: a teacher's trajectories from noise to data, in a store (`salt.data.store`).

A trajectory is the teacher's states x_t at the times (*grid, 0), `(S + 1, C, T, h, w)`, that of most noise first and
clean latents last. A causal teacher's trajectories have one more state, again at time 0: the clean latents of the data,
to which every chunk attended as its past.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from salt.config.base import Section
from salt.data.order import Order
from salt.data.store import WHOLE, Embedded, Make, Store, write_store
from salt.models.protocol import Batch, TextEncoder

COMMAND = "salt ode-pairs"


class About(Section):
    """Everything that determines the trajectories of a store, except how many there are."""

    kind: Literal["bidirectional", "causal"]
    """Kind of the teacher."""
    teacher: str
    """Hash of the teacher's weights."""
    codec: str
    """Hash of the codec's weights."""
    text: str
    """Hashes of the text encoder's weights and of its configuration."""
    precision: str
    """The precision the teacher computed in."""
    source: str
    """Hash of the source of captions and, with a causal teacher, of the clean context."""
    seed: NonNegativeInt
    """Seed of the noise."""
    solver_steps: PositiveInt
    """Euler steps, besides those that end at `times` off their grid."""
    shift: PositiveFloat
    """Shift of the solver's grid."""
    cfg_weight: NonNegativeFloat
    """w of uncond + w (cond - uncond)."""
    times: tuple[NonNegativeFloat, ...]
    """The times of the states, going down to 0."""


def write_pairs(
    folder: Path, about: About, total: int, shard_size: int, make: Make, part: tuple[int, int] = WHOLE
) -> None:
    """Write trajectories, or what is missing of them: see `write_store`.

    Raises:
        ValueError: as for `write_store`, or `make` gave another number of states.
    """

    def states(start: int, stop: int) -> tuple[Tensor, Sequence[str]]:
        made, captions = make(start, stop)
        if made.shape[1] != len(about.times):
            raise ValueError(f"{folder}: states {tuple(made.shape)} and {len(captions)} captions came")
        return made, captions

    write_store(folder, about, total, shard_size, states, COMMAND, part)


class PairBank:
    """Batches of trajectories and text embeddings.

    Attributes:
        about: what the trajectories are, with the times of their states.
    """

    def __init__(
        self, folder: Path, text_encoder: TextEncoder, seed: int, expect: Mapping[str, Any], hashed: bool = True
    ) -> None:
        """Open a store that `write_pairs` completed.

        Args:
            folder: of the store.
            text_encoder: embeds the captions.
            seed: of the order of the trajectories.
            expect: required values of some fields of `about`.
            hashed: see `Store`.

        Raises:
            SaltError: see `Store`.
        """
        self._store = Store(folder, About, expect, COMMAND, hashed)
        self.about = self._store.about
        self._text = Embedded(self._store.captions, text_encoder)
        self._order = Order(len(self._store), seed)

    def batch(self, samples: Sequence[int]) -> Batch:
        """The trajectories of these samples; `x_0` is the last state."""
        rows = self._order.rows(samples)
        states = self._store.latents(rows)
        return Batch(states[:, -1], self._text.rows(rows), self._text.empty, tuple(samples), states)
