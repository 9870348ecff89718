"""Merging a LoRA into a network of Wan, whatever the two call its weights.

Names may be the original ones or diffusers', with PEFT's parts (`lora_A`, `lora_B`) or kohya's (`lora_down`,
`lora_up`; modules with `_` for `.`). LightX2V's file beside the one of Table 1 holds, besides pairs, whole differences:
`diff` of a weight, `diff_b` of a bias, `diff_m` of a modulation.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from torch import Tensor

from salt.errors import SaltError
from salt.foreign import one_line
from salt.models.finite import check_finite
from salt.models.names import is_original, to_diffusers, to_original
from salt.models.released import bare_name, held
from salt.models.stored import SAFE
from salt.readers import parse_json, read_json

_PART = re.compile(
    r"(?:lora_unet_+)?(?P<module>.+)\.(?:"
    r"(?P<half>lora_A|lora_B|lora_down|lora_up)(?:\.\w+)?\.(?P<of>weight|bias)|(?P<whole>alpha|diff|diff_b|diff_m))"
)
_PARTS = {"lora_down": "lora_A", "lora_up": "lora_B"}
_ACCEPTED = "accepted: lora_A and lora_B, or lora_down and lora_up, with alpha; diff, diff_b and diff_m"
ENDINGS = {"diff": (".weight", ""), "diff_b": (".bias",), "diff_m": (".modulation", ".scale_shift_table")}
"""Whole differences -> the ends of the names of what they are added to."""


class Change(NamedTuple):
    """What one part of a LoRA adds."""

    endings: tuple[str, ...]
    """After the module's name: the one that the network has is changed."""
    shape: tuple[int, ...]
    factors: tuple[Tensor, ...]
    """Its difference, or up and down; of a pair the product is added."""
    scale: float

    def added(self) -> Tensor:
        """The difference itself, in float32."""
        if len(self.factors) == 1:
            return self.scale * self.factors[0].float()
        up, down = (factor.float().flatten(1) for factor in self.factors)
        return (self.scale * (up @ down)).view(self.shape)


def merge_lora(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """W + (alpha / r) B A for every pair of a LoRA file; whole differences are added as they are.

    alpha is read from the file or from PEFT's settings in or beside it; where none says it, it is taken to be r
    (LongLive: both 256). A bias of B is scaled as its weights are (PEFT's `lora_bias`).

    Args:
        weights: under the original names or diffusers'.
        path: a file or folder, wrapped or not.

    Raises:
        SaltError: it holds nothing, or something else than a LoRA; a pair is incomplete, of unequal ranks or there
            twice; a shape differs; the network lacks a module; or nothing would change.
    """
    translate = to_diffusers if is_original(weights) else to_original
    called = {_flat(name): own for own in weights for name in (own, translate(own) or own)}
    merged, changes = dict(weights), False
    modules = _modules(path)
    alpha = _alpha_beside(path)
    for module, parts in modules.items():
        for change in _changes(module, parts, alpha, path):
            found = [called[name] for end in change.endings if (name := _flat(module + end)) in called]
            there = tuple(merged[found[0]].shape) if found else "absent"
            if there != change.shape:
                raise SaltError(
                    f"{path}: {one_line(module)}{change.endings[0]} {change.shape} is changed, which in the network is "
                    f"{there}"
                )
            before, added = merged[found[0]], change.added()
            changes = changes or bool(added.any())
            merged[found[0]] = (before.float() + added).to(before.dtype)
    if not changes:
        raise SaltError(f"{path}: a LoRA that changes nothing: all that it adds is 0")
    return merged


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _modules(path: Path) -> dict[str, dict[str, Tensor]]:
    """Module -> its parts of a LoRA, by name."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in held(path, None)[0].items():
        match = _PART.fullmatch(bare_name(name, path))
        if match is None:
            raise SaltError(f"{path}: {one_line(name)!r} is no part of a LoRA; {_ACCEPTED}")
        half = match["half"] and _PARTS.get(match["half"], match["half"])
        part = f"{half}.{match['of']}" if half else match["whole"]
        if part in found.setdefault(match["module"], {}):
            raise SaltError(f"{path}: {one_line(name)!r} is there twice, of two adapters; one is expected")
        found[match["module"]][part] = _value(name, value, part, path)
    if not found:
        raise SaltError(f"{path}: holds no LoRA; {_ACCEPTED}")
    return found


def _value(name: str, value: Any, part: str, path: Path) -> Tensor:
    """A part, checked: alpha is one number, of whatever type; the others are tensors of floating point."""
    if part == "alpha" and isinstance(value, int | float):
        value = Tensor([value])
    if isinstance(value, Tensor):
        full = value.is_floating_point() and value.itemsize > 1
        if value.numel() == 1 if part == "alpha" else full:
            check_finite({one_line(name): value}, path)
            return value
    what = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    wanted = "one number" if part == "alpha" else "a tensor of float32, float16 or bfloat16"
    raise SaltError(f"{path}: {one_line(name)!r} is {what}; {wanted} is expected")


def _changes(module: str, parts: Mapping[str, Tensor], alpha: float | None, path: Path) -> Iterator[Change]:
    """What one module's parts add."""
    for part, endings in ENDINGS.items():
        if part in parts:
            yield Change(endings, tuple(parts[part].shape), (parts[part],), 1.0)
    down, up = parts.get("lora_A.weight"), parts.get("lora_B.weight")
    if down is None and up is None and not (parts.keys() - ENDINGS):
        return
    if down is None or up is None or "lora_A.bias" in parts:
        raise SaltError(f"{path}: {one_line(module)}: half of a pair; {_ACCEPTED}")
    rank, of_up = (*down.shape, 0)[0], up.numel() // max(1, (*up.shape, 0)[0])
    if min(down.ndim, up.ndim) < 2 or rank == 0 or rank != of_up:
        raise SaltError(
            f"{path}: {one_line(module)}: ranks differ: {tuple(down.shape)} and {tuple(up.shape)}; (r, in) and "
            "(out, r) are expected"
        )
    scale = (float(parts["alpha"]) if "alpha" in parts else rank if alpha is None else alpha) / rank
    yield Change((".weight",), (up.shape[0], *down.shape[1:]), (up, down), scale)
    if (bias := parts.get("lora_B.bias")) is not None:
        yield Change((".bias",), tuple(bias.shape), (bias,), scale)


def _alpha_beside(path: Path) -> float | None:
    """The alpha of PEFT's settings: in a file beside, or in the head of the file, as diffusers keeps them."""
    beside = (path if path.is_dir() else path.parent) / "adapter_config.json"
    settings: dict[str, Any] = {}
    if beside.is_file() and (path.is_dir() or path.stem == "adapter_model"):
        settings = read_json(beside)
    elif path.name.endswith(SAFE):
        with safe_open(path, framework="pt") as file:
            head = (file.metadata() or {}).get("lora_adapter_metadata", "{}")
        settings = {key.rpartition(".")[2]: value for key, value in parse_json(head, str(path)).items()}
    for key in ("use_rslora", "use_dora", "alpha_pattern"):
        if settings.get(key):
            raise SaltError(f"{path}: {key}={one_line(settings[key])}; a LoRA without it is accepted")
    alpha = settings.get("lora_alpha")
    if alpha is None:
        return None
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise SaltError(f"{path}: lora_alpha={one_line(alpha)}; a number is expected")
    return float(alpha)
