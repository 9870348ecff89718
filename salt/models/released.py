"""Reading the weights of Wan and of its released descendants, however they were wrapped.

Layout of the files (from the repositories' own trainers; all use Wan's names of weights, after a prefix):

| release | file | holds |
|---|---|---|
| Wan 2.1 | safetensors, in shards with an index | the names as they are |
| LightX2V | safetensors | the same |
| Self-Forcing, Salt, Causal-Forcing, Reward-Forcing, One-Forcing | .pt | `generator` (and `generator_ema`); `model.` |
| CausVid | .pt | `generator`; `model.` |
| LongLive | two .pt | `generator`, and `generator_lora` (PEFT names) to be merged |
| rCM | .pt | no wrapping; `net.` |

Averages of FSDP runs carry `_fsdp_wrapped_module.` between the parts of a name.
"""

import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from salt.errors import SaltError
from salt.models.finite import check_finite

Which = Literal["ema", "regular"]
WRAPPERS = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod", "module")
PREFIXES = ("base_model", "model", "net", "generator", "diffusion_model")
HOLDERS: dict[Which, tuple[str, ...]] = {
    "ema": ("generator_ema", "ema_model", "ema"),
    "regular": ("generator", "generator_lora", "model", "state_dict"),
}
_LORA = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_down|lora_up)(\.\w+)?\.weight|"
    r"(?P<other>.+)\.(?P<kind>alpha|diff|diff_b)"
)


def read_tensors(path: Path) -> dict[str, Any]:
    """The content of a file or a folder of weights, on the CPU, read without executing any code stored in it.

    Args:
        path: a `.safetensors` file, a file of `torch.save`, or a folder with one safetensors file or with shards.

    Raises:
        SaltError: missing, damaged, shards missing, or a pickle that holds more than tensors.
    """
    try:
        if path.is_dir():
            return _read_folder(path)
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=not _is_legacy(path))
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())
        raise SaltError(
            f"{path}: refused: it holds more than tensors, and reading it could run code ({reason[:160]})"
        ) from error
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise SaltError(f"{path}: whole weights are expected: {str(error).strip().splitlines()[0]}") from error
    if not isinstance(loaded, Mapping):
        raise SaltError(f"{path}: holds a {type(loaded).__name__}; a mapping of names to tensors is expected")
    return dict(loaded)


def _is_legacy(path: Path) -> bool:
    """Whether a file is a bare pickle, as torch wrote before 1.6, which cannot be mapped into memory."""
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO


def _read_folder(folder: Path) -> dict[str, Tensor]:
    indices, files = sorted(folder.glob("*.safetensors.index.json")), sorted(folder.glob("*.safetensors"))
    if len(indices) > 1 or (not indices and len(files) != 1):
        raise SaltError(
            f"{folder}: one .safetensors file, or one index of shards, is expected; there are "
            f"{len(files)} files and {len(indices)} indices"
        )
    if not indices:
        return _read_safetensors(files[0])
    shard_of = json.loads(indices[0].read_text(encoding="utf-8"))["weight_map"]
    if lacking := sorted({name for name in shard_of.values() if not (folder / name).is_file()}):
        raise SaltError(f"{folder / lacking[0]}: shard missing ({len(lacking)} in all), named in {indices[0].name}")
    shards = {name: _read_safetensors(folder / name) for name in sorted(set(shard_of.values()))}
    for name, shard in shard_of.items():
        if name not in shards[shard]:
            raise SaltError(f"{folder / shard}: {name!r} is missing, which {indices[0].name} says is there")
    return {name: value for shard in shards.values() for name, value in shard.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt", device="cpu") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)


def released_weights(path: Path, which: Which | None = None) -> tuple[dict[str, Tensor], Which]:
    """A network's weights from a released file, under Wan's own or diffusers' names without any prefix.

    Args:
        path: as for `read_tensors`.
        which: the moving average of the training ("ema") or its last state ("regular"); None: the only one there is.

    Returns:
        The weights, and which of the two they are.

    Raises:
        SaltError: the requested one is absent, both are present and none was requested, two names become one, or the
            weights are quantised.
    """
    loaded = read_tensors(path)
    held = {kind: [key for key in keys if isinstance(loaded.get(key), Mapping)] for kind, keys in HOLDERS.items()}
    there = [kind for kind, keys in held.items() if keys]
    if not there:  # not wrapped
        there, tensors = ["regular"], loaded
    chosen = which or there[0]
    if chosen not in there or (which is None and len(there) > 1):
        raise SaltError(
            f"{path}: {f'--which {which}: ' if which else ''}it holds {' and '.join(there)} weights; name one of them"
        )
    if held[chosen]:
        tensors = loaded[held[chosen][0]]
    return _bare_names(tensors, path), chosen


def _bare_names(tensors: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The same tensors under their names without wrappers and prefixes."""
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        parts = [part for part in name.split(".") if part not in WRAPPERS]
        while parts and parts[0] in PREFIXES:
            del parts[0]
        bare = ".".join(parts)
        if not isinstance(value, Tensor):
            raise SaltError(f"{path}: {name!r} is a {type(value).__name__}; weights are expected")
        if bare in found:
            raise SaltError(f"{path}: {name!r} and another name both say {bare!r}; one network is expected")
        if not value.is_floating_point() or value.itemsize < 2:
            raise SaltError(f"{path}: {name!r} is {value.dtype}: quantised; float32, float16 or bfloat16 is accepted")
        found[bare] = value
    return found


def fill(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    source: Path,
    whose: str,
    called: Mapping[str, str] | None = None,
) -> None:
    """Give a network on the meta device exactly these weights, in the dtypes they have.

    Args:
        network: without values.
        weights: under the network's own names.
        source: where they come from, for messages.
        whose: what the network belongs to, for messages ("the scale's backbone").
        called: the network's own name -> name in the source, where they differ.

    Raises:
        SaltError: weights are missing, unexpected, of another shape, or not finite.
    """
    expected = {name: value.shape for name, value in network.state_dict().items()}
    called = called or {}
    for kind, names in (("missing", expected.keys() - weights), ("unexpected", weights.keys() - expected)):
        if names:
            original = min(called.get(name, name) for name in names)
            raise SaltError(
                f"{source}: {kind} weights {original!r} ({len(names)} in all); exactly those of {whose} are expected"
            )
    for name, value in weights.items():
        original = called.get(name, name)
        if value.shape != expected[name]:
            raise SaltError(
                f"{source}: weights {original!r} are {tuple(value.shape)}, but {whose} has {tuple(expected[name])}"
            )
    check_finite(weights, source, called)
    network.load_state_dict(dict(weights), assign=True)


def merge_lora(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """W + (alpha / r) B A for every pair of a LoRA file; `diff` and `diff_b` are added to weights and biases.

    alpha is read from the file; where it is absent, as in PEFT's files, it is taken to be r (LongLive: both 256).

    Args:
        weights: under the names that the file uses.
        path: with PEFT's names (`lora_A`, `lora_B`) or kohya's (`lora_down`, `lora_up`), wrapped or not.

    Raises:
        SaltError: a pair is incomplete, a shape differs, or the network lacks a module.
    """
    tensors, _ = released_weights(path)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        match = _LORA.fullmatch(name)
        if match is None:
            raise SaltError(
                f"{path}: {name!r}: the parts of a LoRA are expected: lora_A and lora_B, or lora_down and lora_up"
            )
        part = (match["part"] or match["kind"]).replace("lora_down", "lora_A").replace("lora_up", "lora_B")
        parts.setdefault(match["module"] or match["other"], {})[part] = value
    merged = dict(weights)
    for module, part in parts.items():
        for target, delta in _deltas(module, part, path).items():
            if target not in merged or merged[target].shape != delta.shape:
                there = tuple(merged[target].shape) if target in merged else "absent"
                raise SaltError(
                    f"{path}: {module}: {target} {tuple(delta.shape)} is changed, which in the network is {there}"
                )
            merged[target] = (merged[target].float() + delta).to(merged[target].dtype)
    return merged


def _deltas(module: str, part: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights that one module's part of a LoRA changes, and what it adds to each, in float32."""
    found = {
        f"{module}.{kind}": part[key].float() for key, kind in (("diff", "weight"), ("diff_b", "bias")) if key in part
    }
    if ("lora_A" in part) != ("lora_B" in part):
        raise SaltError(f"{path}: {module}: half of a pair; lora_A and lora_B (or lora_down and lora_up) are expected")
    if "lora_A" in part:
        down, up = part["lora_A"].float(), part["lora_B"].float()
        rank = down.shape[0]
        alpha = float(part["alpha"]) if "alpha" in part else float(rank)
        found[f"{module}.weight"] = alpha / rank * (up @ down)
    return found
