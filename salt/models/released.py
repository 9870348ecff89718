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

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from salt.errors import SaltError
from salt.foreign import one_line
from salt.models.finite import check_finite
from salt.models.stored import read_tensors

Which = Literal["ema", "regular"]
WRAPPERS = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod", "module")
PREFIXES = ("base_model", "model", "net", "generator", "diffusion_model", "transformer", "pipe", "dit")
HOLDERS: dict[Which, tuple[str, ...]] = {
    "ema": ("generator_ema", "net_ema", "model_ema", "ema_model", "ema"),
    "regular": ("generator", "generator_lora", "net", "model", "state_dict"),
}
"""Under which keys files hold networks; an average may as well lie beside the last state, with its key as a prefix."""
NOT_WEIGHTS = "_extra_state"
"""Ends the names of what Transformer Engine keeps of 8-bit arithmetic, beside weights of full precision."""


def held(path: Path, which: Which | None) -> tuple[dict[str, Any], Which]:
    """A network's content of a released file, under the file's own names; see `released_weights`."""
    loaded = read_tensors(path)
    found: dict[Which, dict[str, dict[str, Any]]] = {"ema": {}, "regular": {}}
    for kind, keys in HOLDERS.items():
        found[kind] = {key: dict(loaded[key]) for key in keys if isinstance(loaded.get(key), Mapping)}
    if not any(found.values()):  # not wrapped
        for name, value in loaded.items():
            first, dot, rest = name.partition(".") if isinstance(name, str) else (name, "", "")
            averaged = bool(dot) and first in HOLDERS["ema"]
            at = found["ema"].setdefault(first, {}) if averaged else found["regular"].setdefault("", {})
            at[rest if averaged else name] = value
    there = [kind for kind, kept in found.items() if kept]
    chosen = which or (there[0] if there else "regular")
    if there and (chosen not in there or (which is None and len(there) > 1)):
        asked = f"--which {which}: " if which else ""
        raise SaltError(f"{path}: {asked}it holds {' and '.join(there)} weights; name one of them")
    if len(found[chosen]) > 1:
        raise SaltError(f"{path}: holds networks under {' and '.join(found[chosen])}; one is expected")
    return next(iter(found[chosen].values()), {}), chosen


def released_weights(path: Path, which: Which | None = None) -> tuple[dict[str, Tensor], Which]:
    """A network's weights from a released file, under Wan's own or diffusers' names without any prefix.

    Args:
        path: as for `read_tensors`.
        which: the moving average of the training ("ema") or its last state ("regular"); None: the only one there is.

    Returns:
        The weights, and which of the two they are.

    Raises:
        SaltError: the requested one is absent, both are present and none was requested, there are none, two names
            become one, or the weights are quantised.
    """
    tensors, chosen = held(path, which)
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        bare, called = bare_name(name, path), one_line(name)
        if bare.endswith(NOT_WEIGHTS):
            continue
        if not isinstance(value, Tensor):
            raise SaltError(f"{path}: {called!r} is a {type(value).__name__}; weights are expected")
        if bare in found:
            raise SaltError(f"{path}: {called!r} and another name both say {one_line(bare)!r}; one network is expected")
        if not value.is_floating_point() or value.itemsize < 2:
            raise SaltError(f"{path}: {called!r} is {value.dtype}: quantised; float32, float16 or bfloat16 is accepted")
        found[bare] = value
    if not found:
        raise SaltError(f"{path}: holds no weights; those of one network are expected")
    return found, chosen


def bare_name(name: Any, path: Path) -> str:
    """The name of weights without wrappers and prefixes.

    Raises:
        SaltError: it is no text.
    """
    if not isinstance(name, str):
        raise SaltError(f"{path}: {one_line(name)} is a {type(name).__name__}; names of weights are expected")
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while parts and parts[0] in PREFIXES:
        del parts[0]
    return ".".join(parts)


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
            original = one_line(min(called.get(name, name) for name in names))
            raise SaltError(
                f"{source}: {kind} weights {original!r} ({len(names)} in all); exactly those of {whose} are expected"
            )
    for name, value in weights.items():
        original = one_line(called.get(name, name))
        if value.shape != expected[name]:
            raise SaltError(
                f"{source}: weights {original!r} are {tuple(value.shape)}, but {whose} has {tuple(expected[name])}"
            )
    check_finite(weights, source, called)
    network.load_state_dict(dict(weights), assign=True)
