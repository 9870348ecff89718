"""Released networks below `SALT_WEIGHTS`: linked if in diffusers' format, converted if in Wan's original layout."""

import json
from dataclasses import dataclass
from pathlib import Path

from salt.config.released import weights_root
from salt.config.scale import Scale
from salt.errors import SaltError
from salt.files import whole_folder, write_text
from salt.models import original
from salt.stages.shared.assets import (
    IMAGE_ENCODER,
    IMAGE_PROCESSOR,
    LARGER,
    OWN_CONFIG,
    TEXT_ENCODER,
    TOKENIZER,
    TRANSFORMER,
    VAE,
    load_assets,
)
from salt.training.provenance import NAME, hash_files

ORIGINAL = {
    TRANSFORMER: original.TRANSFORMER,
    TEXT_ENCODER: original.TEXT_ENCODER,
    TOKENIZER: f"{original.TOKENIZER}/tokenizer_config.json",
    VAE: original.VAE,
    IMAGE_ENCODER: original.IMAGE_ENCODER,
    IMAGE_PROCESSOR: original.IMAGE_ENCODER,  # Wan's own code has it, not a file
}
"""Part -> the file that must be there in Wan's original layout."""
CONTENT: dict[str, tuple[str, ...]] = {TOKENIZER: ("tokenizer.json", "*.model"), IMAGE_PROCESSOR: ()}
"""Part in diffusers' format -> what must be there beside its configuration, one of these; of networks, weights."""


# --------------------------------------------------------------------------------------------- linked
@dataclass(frozen=True)
class Released:
    """Where a released network or tokenizer lies."""

    source: Path
    """Its folder; in the original layout its file or, of a transformer, the folder with its shards."""
    converted: bool
    """Whether it must be converted from the original layout; else it is linked."""


def released_parts(scale: Scale) -> dict[str, Released]:
    """Part of the folder of assets -> where it lies below `SALT_WEIGHTS`; checks that all of them exist.

    Raises:
        SaltError: a part is missing.
    """
    root = weights_root()
    named = [TRANSFORMER, TEXT_ENCODER, TOKENIZER, VAE]
    if scale.image_tokens:
        named += [IMAGE_ENCODER, IMAGE_PROCESSOR]
    places = {part: (root / scale.assets, part) for part in named}
    if scale.larger is not None:
        places[LARGER] = (root / scale.larger.assets, TRANSFORMER)
    parts = {part: _find(folder, name) for part, (folder, name) in places.items()}
    for part, found in parts.items():
        if found is None:
            folder, name = places[part]
            lacking = _lacking(folder / name, name)
            raise SaltError(
                f"{folder / name}: there is no {lacking}, nor {ORIGINAL[name]} in {_original(folder)}; "
                "accepted: a pipeline in diffusers' format, or Wan's original layout, below SALT_WEIGHTS "
                "(docs/paper_scale.md says where it is downloaded)"
            )
    return {part: found for part, found in parts.items() if found is not None}


def _find(folder: Path, name: str) -> Released | None:
    """A part of a pipeline, in diffusers' format or else in the original layout."""
    if _lacking(folder / name, name) is None:
        return Released(folder / name, converted=False)
    for place in (folder, _original(folder)):
        if found := sorted(place.glob(ORIGINAL[name])):
            if name == TOKENIZER:
                return Released(found[0].parent, converted=False)
            return Released(place if name == TRANSFORMER else found[0], converted=True)
    return None


def _lacking(folder: Path, name: str) -> str | None:
    """What a part in diffusers' format lacks; its configuration alone is no part."""
    config, content = OWN_CONFIG.get(name, "config.json"), CONTENT.get(name, ("*.safetensors",))
    if not (folder / config).is_file():
        return config
    there = not content or any(next(folder.glob(pattern), None) for pattern in content)
    return None if there else " or ".join(content)


def _original(folder: Path) -> Path:
    """The folder of the original layout, named as on the hub: `Wan2.1-T2V-1.3B` for `Wan2.1-T2V-1.3B-Diffusers`."""
    return folder.with_name(folder.name.removesuffix("-Diffusers"))


def link_released(scale: Scale, out: Path) -> None:
    """Make a folder of the released codec, text encoder and teacher, as links or converted from the original layout.

    Every file is hashed, and every network that a scale uses is read once.
    """
    parts = released_parts(scale)
    with whole_folder(out) as folder:
        for part, found in parts.items():
            if found.converted:
                _convert(part, found.source, scale, folder / part)
                continue
            for file in sorted(path for path in found.source.rglob("*") if path.is_file()):
                link = folder / part / file.relative_to(found.source)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.resolve())
        assets = load_assets(folder, scale)
        assets.teacher()
        if scale.larger is not None:
            assets.larger()
        known = {
            "files": hash_files(folder),
            "linked": {part: str(found.source) for part, found in parts.items() if not found.converted},
            "converted": {part: str(found.source) for part, found in parts.items() if found.converted},
        }
        write_text(folder / NAME, json.dumps(known, indent=1) + "\n")


def _convert(part: str, source: Path, scale: Scale, folder: Path) -> None:
    if part == TEXT_ENCODER:
        original.write_text_encoder(source, scale.text, folder)
    elif part == VAE:
        original.write_vae(source, folder)
    elif part == IMAGE_ENCODER:
        original.write_image_encoder(source, folder)
    elif part == IMAGE_PROCESSOR:
        original.write_image_processor(source, folder)
    else:
        larger = scale.larger if part == LARGER else None
        original.write_transformer(source, (larger or scale).backbone, folder)
