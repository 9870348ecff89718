"""Files of weights as they come, read without running any code stored in them.

A file is safetensors, or what `torch.save` wrote; a folder holds one of these, or shards with an index. What else is
published is refused by its name, with how to convert it. No file takes more memory than it has bytes.
"""

import pickle
import pickletools
import re
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from salt.errors import SaltError
from salt.foreign import check_file, one_line, reason
from salt.readers import read_json

SAFE, PICKLED, INDEX = ".safetensors", (".pt", ".pth", ".bin", ".ckpt"), ".index.json"
DCP = ".metadata"
"""The file that a folder of torch.distributed.checkpoint has."""
MOST_STEPS = 10_000_000
"""Steps of a pickle that are looked at; those of a network of a thousand tensors are 30,000."""
_TENSORS = re.compile(
    r"collections[. ](OrderedDict|Counter)"
    r"|torch\._utils[. ]_rebuild_(tensor(_v[23])?|parameter(_with_state)?|sparse_tensor|meta_tensor_no_storage|qtensor)"
    r"|torch\._tensor[. ]_rebuild_from_type_v2"
    r"|torch(\.storage)?[. ]\w*Storage"
    r"|torch[. ](Size|device|Tensor|per_(tensor|channel)_\w+|(b|q|qu)?(float|int|uint|bool|complex)\w*)"
    r"|torch\.nn\.parameter[. ]Parameter"
    r"|torch\.serialization[. ]_get_layout"
    r"|_codecs[. ]encode|(builtins|__builtin__)[. ](set|complex)"
)
"""What tensors, and the numbers and texts beside them, are made of. Of what torch itself would accept, this lacks what
takes memory by a number alone, as `bytearray` does."""
_FOREIGN = {
    b"gguf": "a GGUF file, of quantised weights; float32, float16 or bfloat16 in safetensors is accepted",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself, which `git lfs pull` fetches",
    b"<!doctype": "a page of HTML, as of a download that failed; download the file again",
    b"<html": "a page of HTML, as of a download that failed; download the file again",
}
"""How files begin that cannot be read, in small letters -> what they are, and the way out."""


def read_tensors(path: Path) -> dict[str, Any]:
    """The content of a file or a folder of weights, on the CPU, read without executing any code stored in it.

    Args:
        path: a `.safetensors` file, an index of shards (`.index.json`), a file of `torch.save`, or a folder with one of
            these.

    Raises:
        SaltError: missing, damaged, shards missing, of another format, or a pickle that holds more than tensors.
    """
    file = _file_in(path) if path.is_dir() else path
    check_file(file)
    return _read_shards(file) if file.name.endswith(".json") else _read_file(file)


def _file_in(folder: Path) -> Path:
    """The one file of weights, or index of shards, in a folder."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    indices = [name for name in names if name.endswith(".json") and ".index." in name]
    shards = {shard for index in indices for shard in shard_of(folder / index).values()}
    safe = [name for name in names if name.endswith(SAFE) and name not in shards]
    pickled = [name for name in names if name.endswith(PICKLED) and name not in shards]
    found = [*indices, *safe] or pickled
    if len(found) == 1:
        return folder / found[0]
    if found:
        raise SaltError(
            f"{folder}: holds {' and '.join(found[:3])}; name the one that is meant, as {folder / found[0]}"
        )
    if DCP in names:
        raise SaltError(
            f"{folder}: a folder of torch.distributed.checkpoint, whose {DCP} is a pickle that could run code; if you "
            f"trust it: `python -m torch.distributed.checkpoint.format_utils dcp_to_torch {folder} {folder.name}.pt`"
        )
    if (folder / "model_index.json").is_file():
        raise SaltError(f"{folder}: a whole pipeline; name the folder of its network, as {folder / 'transformer'}")
    raise SaltError(f"{folder}: one {SAFE} file, or one index of shards, is expected; there is none")


# ------------------------------------------------------------------------------------------------ shards
def shard_of(index: Path) -> dict[str, str]:
    """Name of weights -> name of the file that holds them, which lies beside the index.

    Raises:
        SaltError: the index is no index, or a file is missing or lies elsewhere, where no hash would cover it.
    """
    found = read_json(index).get("weight_map")
    if not isinstance(found, dict) or not found or not all(isinstance(shard, str) for shard in found.values()):
        raise SaltError(f"{index}: an index of shards is expected: `weight_map` from names of weights to files")
    shards = sorted(set(found.values()))
    for shard in shards:
        if shard in ("", ".", "..") or "/" in shard or "\0" in shard:
            raise SaltError(f"{index}: {one_line(shard)!r} is not the name of a file beside the index")
    if lacking := [shard for shard in shards if not _is_file(index.with_name(shard))]:
        name = one_line(lacking[0])
        raise SaltError(f"{index.parent}/{name}: shard missing ({len(lacking)} in all), named in {index.name}")
    return found


def check_indices(folder: Path) -> None:
    """Refuse a folder with an index of shards that leads elsewhere, or beside which another whole file of weights lies.

    diffusers and transformers follow any path, and choose in silence.
    """
    for index in sorted(folder.glob(f"*{SAFE}{INDEX}")):
        shard_of(index)
        if (whole := folder / index.name.removesuffix(INDEX)).exists():
            raise SaltError(f"{folder}: holds {index.name} and {whole.name}; one of them is expected")


def check_sizes(config: Path, build: Callable[[dict[str, Any]], nn.Module], folder: Path) -> None:
    """Refuse a configuration of a network larger than its weights, before memory is taken for it.

    Args:
        config: a JSON file.
        build: the network of a configuration; called on the meta device.
        folder: with the weights, in one file or in shards.

    Raises:
        SaltError: the folder has no whole safetensors, the configuration is none, or the network has more than twice as
            many numbers (a table may be stored once and used twice).
    """
    known, sizes = read_json(config), stored_sizes(folder)
    inner = [pair for part in known.values() if isinstance(part, dict) for pair in part.items()]
    for key, value in [*known.items(), *inner]:
        count = len(value) if isinstance(value, list) else value if key.startswith("num_") else 0
        if isinstance(count, int) and count > max(len(sizes), 64):
            raise SaltError(f"{config}: {one_line(key)}={one_line(value)}, but there are {len(sizes)} weights")
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = build(known)
    except Exception as error:  # whatever the class makes of wrong values
        raise SaltError(f"{config}: no such network can be built: {reason(error)}") from error
    if (announced := sum(map(torch.numel, network.state_dict().values()))) > 2 * sum(sizes.values()):
        raise SaltError(f"{config}: a network of {announced} numbers, but {sum(sizes.values())} are stored")


def stored_sizes(folder: Path) -> dict[str, int]:
    """Name -> how many numbers, of the safetensors in a folder, by their heads."""
    check_indices(folder)
    found: dict[str, int] = {}
    for path in sorted(folder.glob(f"*{SAFE}")):
        check_file(path)
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                found |= {name: prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except Exception as error:
            raise SaltError(f"{path}: whole weights are expected: {_foreign(path) or reason(error)}") from error
    if not found:
        pickled = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLED)
        there = f"{pickled[0]} is accepted once its tensors are saved with safetensors" if pickled else "there is none"
        raise SaltError(f"{folder}: weights in {SAFE} are expected; {there}")
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _read_shards(index: Path) -> dict[str, Any]:
    named = shard_of(index)
    found: dict[str, Any] = {}
    for shard in sorted(set(named.values())):
        tensors = _read_file(index.with_name(shard))
        if lacking := [name for name, at in named.items() if at == shard and name not in tensors]:
            where = index.with_name(shard)
            raise SaltError(f"{where}: {one_line(lacking[0])!r} is missing, which {index.name} says is there")
        if twice := found.keys() & tensors.keys():
            raise SaltError(f"{index.with_name(shard)}: {one_line(min(twice))!r} is in another shard as well")
        found |= tensors
    return found


# ------------------------------------------------------------------------------------------------- files
def _read_file(path: Path) -> dict[str, Any]:
    """The tensors of a file; each is dense, and no larger than the file."""
    check_file(path)
    try:
        loaded = _read_safetensors(path) if path.name.endswith(SAFE) else _read_pickled(path)
    except SaltError:
        raise
    except Exception as error:  # of a damaged file, safetensors' and torch's own readers raise almost anything
        raise SaltError(f"{path}: whole weights are expected: {_foreign(path) or reason(error)}") from error
    if not isinstance(loaded, Mapping):
        raise SaltError(f"{path}: holds a {type(loaded).__name__}; a mapping of names to tensors is expected")
    size = path.stat().st_size
    for name, value in _all_tensors(loaded):
        if value.layout is not torch.strided or value.is_nested or value.is_meta:
            what = "has no values" if value.is_meta else "is sparse or nested"
            raise SaltError(f"{path}: {one_line(name)!r} {what}; a dense tensor is expected")
        if max(value.numel() * value.itemsize, value.untyped_storage().nbytes()) > size:
            raise SaltError(f"{path}: {one_line(name)!r} is said to be larger than the file")
    return dict(loaded)


def _foreign(path: Path) -> str | None:
    """What a file is that holds no weights, where its beginning says so."""
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    return next((what for begins, what in _FOREIGN.items() if start.startswith(begins)), None)


def _all_tensors(found: Mapping[Any, Any]) -> Iterator[tuple[Any, Tensor]]:
    """Those of a mapping, and of the mappings in it: as deep as checkpoints hold networks."""
    for name, value in found.items():
        inner = value.items() if isinstance(value, Mapping) else [(name, value)]
        yield from ((at, tensor) for at, tensor in inner if isinstance(tensor, Tensor))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)


def _read_pickled(path: Path) -> Any:
    """What `torch.save` wrote: a zip archive, or before torch 1.6 a bare pickle, which cannot be mapped into memory."""
    with path.open("rb") as file:
        bare = file.read(1) == pickle.PROTO
    if not bare and not zipfile.is_zipfile(path):
        raise ValueError("neither safetensors nor a whole file of torch.save")
    for name in _types(path, bare):
        if not _TENSORS.fullmatch(name):
            raise SaltError(
                f"{path}: refused: it holds more than tensors: {one_line(name).replace(' ', '.')}, and reading it "
                "could run code; if you trust it, torch.load(..., weights_only=False) reads it; torch.save its tensors"
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats of pickles and storages
        return torch.load(path, map_location="cpu", weights_only=True, mmap=not bare)


def _types(path: Path, bare: bool) -> Iterator[str]:
    """`module name` of every type and function that a file of `torch.save` names; none of them is looked up."""
    with path.open("rb") as file:
        if bare:
            for _ in range(5):  # a number, the format, the machine, the object, the names of its storages
                yield from _types_of(file)
            return
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ValueError("an archive that is compressed or announces more than it holds")
            for entry in entries:
                if entry.filename.endswith(".pkl"):
                    with archive.open(entry) as pickled:
                        yield from _types_of(pickled)


def _types_of(pickled: IO[bytes]) -> Iterator[str]:
    """Those that one pickle names; a newer protocol, which torch does not read, has their names among its texts."""
    texts: deque[object] = deque(maxlen=2)
    for step, (code, named, _) in enumerate(pickletools.genops(pickled)):
        if step == MOST_STEPS:
            raise ValueError(f"a pickle of more than {MOST_STEPS} steps")
        if code.name == "GLOBAL":
            yield str(named)
        elif code.name == "STACK_GLOBAL":
            yield " ".join(map(str, texts))
        elif isinstance(named, str):
            texts.append(named)
