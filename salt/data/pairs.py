"""The store of ODE pairs: a teacher's trajectories from noise to data, in shards that are written one after another.

A trajectory is the teacher's states x_t at the times (*grid, 0): `states` is `(N, S + 1, C, T, h, w)`, noise first and
clean latents last. A causal teacher's trajectories have one state more, again at time 0: the clean latents of the data,
which every chunk saw before it. All is float16 on disk, float32 in a batch.

A folder holds `shard_00000.safetensors`, ..., each with its captions in its header, and `index.json`: what the
trajectories are (`about`), how many, and size and SHA-256 of every shard. It is written last, so its presence means
complete; until then `progress.json` says the same of the shards that are whole, so a killed writer loses the shard it
was at, and the same command goes on from there.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from salt.config.base import Section
from salt.data.order import Order
from salt.errors import SaltError
from salt.files import sha256, whole_file, write_text
from salt.models.protocol import Batch, TextEncoder

INDEX, PROGRESS = "index.json", "progress.json"
HEADER = "captions"
REPAIR = "go on with the `salt ode-pairs` command that began them, which makes what is missing or broken"
Make = Callable[[int, int], tuple[Tensor, Sequence[str]]]
"""(start, stop) -> the states `(stop - start, S + 1, C, T, h, w)` of these trajectories, and their captions."""


class About(Section):
    """All that decides the trajectories of a store, besides how many there are."""

    kind: Literal["bidirectional", "causal"]
    """Of the teacher."""
    teacher: str
    """Hash of its weights."""
    codec: str
    """Hash of the codec's."""
    source: str
    """Hash of what captions, and the clean context of a causal teacher, come from."""
    seed: NonNegativeInt
    """Of the noise."""
    solver_steps: PositiveInt
    """Euler steps, of which `times` are some."""
    shift: PositiveFloat
    """Of the solver's grid."""
    cfg_weight: NonNegativeFloat
    """w of uncond + w (cond - uncond)."""
    times: tuple[NonNegativeFloat, ...]
    """The times of the states, going down to 0."""


class Shard(Section):
    """What a whole shard is known by."""

    bytes: NonNegativeInt
    sha256: str


class Index(Section):
    """The content of `index.json`."""

    about: About
    total: PositiveInt
    """Trajectories there are to be."""
    shard_size: PositiveInt
    """Trajectories of a shard; the last may have fewer."""
    shards: dict[str, Shard]
    """The shards that are whole, by name."""

    def identity(self) -> dict[str, Any]:
        """All but the progress."""
        return self.about.model_dump() | {"total": self.total, "shard_size": self.shard_size}

    def ranges(self) -> dict[str, tuple[int, int]]:
        """The trajectories (start, stop) of every shard there is to be, by the shard's name."""
        starts = range(0, self.total, self.shard_size)
        return {f"shard_{i:05d}.safetensors": (n, min(n + self.shard_size, self.total)) for i, n in enumerate(starts)}


# ------------------------------------------------------------------------------------------------ writing
def write_pairs(folder: Path, about: About, total: int, shard_size: int, make: Make) -> None:
    """Write a store, or what is missing of it: shards that are whole stay as they are.

    Args:
        folder: made where it is missing.
        about: what the trajectories are.
        total: how many trajectories.
        shard_size: how many of them in a shard; the last may have fewer.
        make: a pure function of the trajectories' numbers, whatever the range it is asked for.

    Raises:
        SaltError: the folder holds pairs of another kind or number, or a broken index; a state is not finite.
        ValueError: `make` gave another number of trajectories, captions or states.
    """
    path = folder / PROGRESS
    index = Index(about=about, total=total, shard_size=shard_size, shards={})
    if path.exists():
        found = _read(path)
        _same(path, found.identity(), index.identity(), "give another folder, or remove this one")
        index = found
    folder.mkdir(parents=True, exist_ok=True)
    for name, (start, stop) in index.ranges().items():
        if name in index.shards and _state(folder / name) == index.shards[name]:
            continue
        states, captions = make(start, stop)
        if (len(states), len(captions), states.shape[1]) != (stop - start, stop - start, len(about.times)):
            raise ValueError(f"{folder / name}: states {tuple(states.shape)} and {len(captions)} captions came")
        _write_shard(folder / name, states.to(torch.float16), captions)
        shards = index.shards | {name: _state(folder / name)}
        index = index.model_copy(update={"shards": dict(sorted(shards.items()))})
        write_text(path, index.model_dump_json(indent=1) + "\n")
    write_text(folder / INDEX, index.model_dump_json(indent=1) + "\n")


def _write_shard(path: Path, states: Tensor, captions: Sequence[str]) -> None:
    if not bool(states.isfinite().all()):
        raise SaltError(f"{path}: states hold NaN, or numbers too large for float16; accepted: finite numbers")
    with whole_file(path) as temporary:
        # one key: safetensors writes several in random order, and the same pairs should be the same bytes
        save_file({"states": states.contiguous()}, temporary, metadata={HEADER: json.dumps(list(captions))})


def _state(path: Path) -> Shard | None:
    """A shard as it lies on the disk; None where it is missing."""
    return Shard(bytes=path.stat().st_size, sha256=sha256(path)) if path.is_file() else None


# ------------------------------------------------------------------------------------------------ reading
class PairBank:
    """Batches of trajectories and text embeddings. States are mapped from the disk, not held in memory.

    Attributes:
        about: what the trajectories are, with the times of their states.
    """

    def __init__(self, folder: Path, text_encoder: TextEncoder, seed: int, expect: Mapping[str, Any]) -> None:
        """Read a store that `write_pairs` finished.

        Args:
            folder: where it lies.
            text_encoder: embeds the captions, once.
            seed: of the order in which samples show the trajectories.
            expect: what `about` must say, for some of its fields.

        Raises:
            SaltError: the index is missing, broken, unfinished or says something else; a shard is missing or changed.
        """
        index = _read(folder / INDEX)
        self.about = index.about
        found = {key: value for key, value in index.identity().items() if key in expect}
        _same(folder / INDEX, found, expect, "make such pairs with `salt ode-pairs`, in another folder")
        self._shard_size = index.shard_size
        self._shards: list[Tensor] = []
        captions: list[str] = []
        for name in index.ranges():
            _check_shard(folder, name, index)
            with safe_open(folder / name, "pt") as file:
                self._shards.append(file.get_tensor("states"))
                captions.extend(json.loads(file.metadata()[HEADER]))
        distinct = sorted(set(captions))
        place = {text: i for i, text in enumerate(distinct)}
        self._caption = torch.tensor([place[text] for text in captions])
        self._embeddings = text_encoder.encode(distinct)
        self._empty = text_encoder.encode([""])
        self._order = Order(index.total, seed)

    def batch(self, samples: Sequence[int]) -> Batch:
        """The trajectories of these samples; `x_0` is the last state."""
        rows = self._order.rows(samples)
        places = [divmod(int(row), self._shard_size) for row in rows]
        states = torch.stack([self._shards[shard][row] for shard, row in places]).float()
        return Batch(states[:, -1], self._embeddings[self._caption[rows]], self._empty, tuple(samples), states)


def _check_shard(folder: Path, name: str, index: Index) -> None:
    """Refuse a shard that is not what the index says."""
    if name not in index.shards:
        raise SaltError(f"{folder / INDEX}: shards: {name} is not named; accepted: all of them; {REPAIR}")
    found = _state(folder / name)
    if found is None:
        raise SaltError(f"{folder / name}: the shard is missing; {REPAIR}")
    _same(folder / name, found.model_dump(), index.shards[name].model_dump(), REPAIR)


def _read(path: Path) -> Index:
    accepted = "accepted: an index written by `salt ode-pairs`"
    try:
        return Index.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SaltError(f"{path}: {key}: {first['msg']}; {accepted}") from error
    except OSError as error:
        raise SaltError(f"{path}: cannot be read ({error.strerror}); {accepted}") from error


def _same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], remedy: str) -> None:
    """Refuse the first key whose values differ; a missing key is None."""
    for key in sorted(expected):
        if found.get(key) != expected[key]:
            raise SaltError(f"{path}: {key} is {found.get(key)!r}; accepted: {expected[key]!r}; {remedy}")
