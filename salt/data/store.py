"""A store of latents and their captions, in shards that are written one after another.

A folder holds `shard_00000.safetensors`, ..., each with its captions in its header, and `index.json`: what the latents
are (`about`), how many, and size and SHA-256 of every shard. The index is written last, so its presence means that the
store is complete. Until then `progress.json` lists the complete shards, so a killed writer loses only the shard it was
at, and the same command continues from there. Several writers may share the work: the i-th of n makes every n-th shard
and keeps `progress_{i}.json`; the one that writes the index first makes the shards that are missing, and no others.
Latents `(N, ...)` are stored in float16 and read as float32.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import NonNegativeInt, PositiveInt, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from salt.config.base import Section
from salt.errors import SaltError
from salt.files import sha256, whole_file, write_text
from salt.models.protocol import TextEncoder
from salt.readers import parse_list, read_text

INDEX, PROGRESS = "index.json", "progress"
KEY, HEADER = "latents", "captions"
Make = Callable[[int, int], tuple[Tensor, Sequence[str]]]
"""(start, stop) -> the latents `(stop - start, ...)` with these numbers, and their captions."""
MOST_EMBEDDED = 4 << 30
"""Most bytes of embeddings that are held in memory; beyond it, captions are embedded as they are needed."""
About = TypeVar("About", bound=Section)


class Shard(Section):
    """Identifies a complete shard."""

    bytes: NonNegativeInt
    sha256: str


class Index(Section, Generic[About]):
    """The content of `index.json`."""

    about: About
    total: PositiveInt
    """Latents of the complete store."""
    shard_size: PositiveInt
    """Latents of a shard; the last may have fewer."""
    shards: dict[str, Shard]
    """The complete shards, by name."""

    def identity(self) -> dict[str, Any]:
        """Everything but the progress."""
        return self.about.model_dump() | {"total": self.total, "shard_size": self.shard_size}

    def ranges(self) -> dict[str, tuple[int, int]]:
        """Name of every shard of the complete store -> the numbers (start, stop) of its latents."""
        starts = range(0, self.total, self.shard_size)
        return {f"shard_{i:05d}.safetensors": (n, min(n + self.shard_size, self.total)) for i, n in enumerate(starts)}


# ------------------------------------------------------------------------------------------------ writing
WHOLE = (0, 1)
"""The part of a single writer: everything."""


def write_store(
    folder: Path, about: Section, total: int, shard_size: int, make: Make, command: str, part: tuple[int, int] = WHOLE
) -> None:
    """Write a store, or what is missing of it: complete shards stay as they are.

    Args:
        folder: created if it is missing.
        about: what the latents are.
        total: how many latents.
        shard_size: latents of a shard; the last may have fewer.
        make: a pure function of the numbers, the same however they are split into ranges.
        command: the user's command that writes such stores, for messages.
        part: (i, n): every n-th shard from the i-th on; the index is written only if n is 1.

    Raises:
        SaltError: the folder holds latents of another kind or number, or a broken index; latents are not finite.
        ValueError: `make` gave another number of latents or captions.
    """
    index = Index[type(about)](about=about, total=total, shard_size=shard_size, shards={})  # type: ignore[misc, operator]
    first, parts = part
    path = folder / (f"{PROGRESS}.json" if part == WHOLE else f"{PROGRESS}_{first}.json")
    noted: dict[str, list[Shard]] = {}  # by any writer; two may have made one shard, on two devices
    for other in sorted(folder.glob(f"{PROGRESS}*.json")):
        found = _read(other, type(about), command)
        _same(other, found.identity(), index.identity(), "give another folder, or remove this one")
        for name, shard in found.shards.items():
            noted.setdefault(name, []).append(shard)
        index = found if other == path else index
    folder.mkdir(parents=True, exist_ok=True)
    for name, (start, stop) in list(index.ranges().items())[first::parts]:
        if name in noted and (there := _state(folder / name)) in noted[name]:
            index = _with(index, name, there)
            continue
        latents, captions = make(start, stop)
        if (len(latents), len(captions)) != (stop - start, stop - start):
            raise ValueError(f"{folder / name}: latents {tuple(latents.shape)} and {len(captions)} captions came")
        _write_shard(folder / name, latents.to(torch.float16), captions)
        index = _with(index, name, _state(folder / name))
        write_text(path, index.model_dump_json(indent=1) + "\n")
    if part == WHOLE:
        write_text(folder / INDEX, index.model_dump_json(indent=1) + "\n")


def _with(index: Index[Any], name: str, shard: Shard | None) -> Index[Any]:
    return index.model_copy(update={"shards": dict(sorted((index.shards | {name: shard}).items()))})


def _write_shard(path: Path, latents: Tensor, captions: Sequence[str]) -> None:
    if not bool(latents.isfinite().all()):
        raise SaltError(f"{path}: latents hold NaN, or numbers too large for float16; accepted: finite numbers")
    with whole_file(path) as temporary:
        # one key: safetensors writes several in random order, and the same latents should be the same bytes
        save_file({KEY: latents.contiguous()}, temporary, metadata={HEADER: json.dumps(list(captions))})


def _state(path: Path) -> Shard | None:
    """A shard as it is on disk; None if it is missing."""
    return Shard(bytes=path.stat().st_size, sha256=sha256(path)) if path.is_file() else None


# ------------------------------------------------------------------------------------------------ reading
class Store(Generic[About]):
    """A complete store, as `write_store` leaves it. Latents are memory-mapped, not held in memory.

    Attributes:
        about: what the latents are.
        captions: one for each latent.
    """

    def __init__(
        self, folder: Path, kind: type[About], expect: Mapping[str, Any], command: str, hashed: bool = True
    ) -> None:
        """Open a store.

        Args:
            folder: of the store.
            kind: the class of its `about`.
            expect: required values of some fields of `about`.
            command: as for `write_store`.
            hashed: compare the hashes of all shards, not just their sizes; one of several processes is enough.

        Raises:
            SaltError: the index is missing, broken or incomplete, or `about` is not as expected; a shard is missing or
                was changed.
        """
        index = _read(folder / INDEX, kind, command)
        found = {key: value for key, value in index.identity().items() if key in expect}
        _same(folder / INDEX, found, expect, f"make such a folder with `{command}`, apart from this one")
        self.about, self._shard_size = index.about, index.shard_size
        self.captions: list[str] = []
        self._shards: list[Tensor] = []
        repair = f"go on with the `{command}` command that began it, which makes what is missing or broken"
        for name in index.ranges():
            _check_shard(folder, name, index, repair, hashed)
            with safe_open(folder / name, "pt") as file:
                self._shards.append(file.get_tensor(KEY))
                captions = (file.metadata() or {}).get(HEADER, "")
                self.captions.extend(parse_list(captions, f"{folder / name}: {HEADER}", f"a shard by `{command}`"))

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one latent."""
        return tuple(self._shards[0].shape[1:])

    def latents(self, rows: Sequence[int] | Tensor) -> Tensor:
        """The latents with these numbers, float32 `(len(rows), ...)`."""
        places = [divmod(int(row), self._shard_size) for row in rows]
        return torch.stack([self._shards[shard][row] for shard, row in places]).float()


class Embedded:
    """The embeddings of a store's captions, by number; held in memory unless there are too many of them."""

    def __init__(self, captions: Sequence[str], text_encoder: TextEncoder, empty: str = "") -> None:
        self.empty = text_encoder.encode([empty])
        """The embedding of the empty caption, or of the negative prompt in its place, `(1, L, D)`."""
        self._captions, self._encoder = captions, text_encoder
        distinct = sorted(set(captions))
        place = {text: i for i, text in enumerate(distinct)}
        self._place = torch.tensor([place[text] for text in captions])
        few = len(distinct) * self.empty.nbytes <= MOST_EMBEDDED
        self._all = text_encoder.encode(distinct) if few else None

    def rows(self, rows: Tensor) -> Tensor:
        """The embeddings of the captions with these numbers, `(len(rows), L, D)`."""
        if self._all is None:
            return self._encoder.encode([self._captions[int(row)] for row in rows])
        return self._all[self._place[rows]]


def _check_shard(folder: Path, name: str, index: Index[Any], repair: str, hashed: bool) -> None:
    """Refuse a shard that is not what the index says."""
    if name not in index.shards:
        raise SaltError(f"{folder / INDEX}: shards: {name} is not named; accepted: all of them; {repair}")
    path, wanted = folder / name, index.shards[name]
    if not path.is_file():
        raise SaltError(f"{path}: the shard is missing; {repair}")
    _same(path, {"bytes": path.stat().st_size}, {"bytes": wanted.bytes}, repair)
    if hashed:
        _same(path, {"sha256": sha256(path)}, {"sha256": wanted.sha256}, repair)


def _read(path: Path, kind: type[About], command: str) -> Index[About]:
    accepted = f"an index written by `{command}`"
    text = read_text(path, accepted)
    try:
        return Index[kind].model_validate_json(text)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise SaltError(f"{path}: {key}: {first['msg']}; accepted: {accepted}") from error


def _same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any], remedy: str) -> None:
    """Refuse the first key whose value is not the expected one; a missing key counts as None."""
    for key in sorted(expected):
        if found.get(key) != expected[key]:
            raise SaltError(f"{path}: {key} is {found.get(key)!r}; accepted: {expected[key]!r}; {remedy}")
