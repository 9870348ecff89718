"""Videos of all cells of one model, on disk as `{cell}/{prompt_id}/{sampling seed}.mp4`.

A source yields latents in parts: whole clips in one part, those of a causal student chunk by chunk. Each part is
decoded given the last latent frame before it, and appended to the files, so that no whole video is ever in memory.

To resume, call it again: complete files stay, incomplete ones never appear, and a batch is computed whole if one of its
videos is missing, so that the result is that of an unbroken call. In every cell's folder, `made_from.json` names the
protocol and the weights of its videos; if these differ from what is asked for now, all videos of the cell are made
anew. `videos.sha256` says what each file must be: one that was changed since is made again. `prompts.json` says what
each prompt id stands for. `manifest.json` is written last, so its presence means that the videos are complete.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from salt.config.scale import Scale
from salt.data.clips import as_uint8
from salt.data.prompts import OwnPrompt, prompts_hash, write_prompts
from salt.data.vbench_prompts import AnyPrompt
from salt.errors import SaltError
from salt.evaluation.cells import MANIFEST, ModelCell
from salt.evaluation.sampling.conditioning import conditioning_of
from salt.evaluation.sampling.solvers import first_broken
from salt.evaluation.sampling.sources import Item, Source
from salt.evaluation.scorer import Scorer
from salt.evaluation.video import decoded, growing_mp4, upscale
from salt.files import in_the_way, sha256, write_text
from salt.models.protocol import Codec
from salt.readers import Unreadable, read_json, read_text

MADE_FROM, PROMPTS, HASHES = "made_from.json", "prompts.json", "videos.sha256"
DIGITS = 64
"""Of a SHA-256."""


@torch.no_grad()
def sample_cells(
    cells: Sequence[ModelCell],
    source: Source,
    codec: Codec,
    scorer: Scorer,
    out: Path,
    weights: Mapping[str, str],
    commit: str | None,
    own: Sequence[OwnPrompt] = (),
    released: bool = False,
) -> Path:
    """Make every video of the cells that is not there yet.

    Args:
        cells: of one trained model and one length, see `cells_of` and `long_cells`.
        source: yields latents on the device of `codec`.
        codec: decodes the latents.
        scorer: of the videos; it has the prompts and their sampling seeds.
        out: folder of the videos.
        weights: name -> hash of every file that determines the videos (network, codec, text encoder).
        commit: of the program, for the manifest; None outside a git checkout.
        own: a user's captions in place of the report prompts; each variant of a cell is the caption itself.
        released: whether the weights were published by others, for the manifest.

    Returns:
        `manifest.json`, written last.

    Raises:
        SaltError: latents are not finite, or the scale has too few prompts.
    """
    scale = scorer.scale
    prompts: Sequence[AnyPrompt | OwnPrompt] = own or scorer.prompts()
    each = [(prompt, scorer.seeds(prompt)) for prompt in prompts]
    every = dict.fromkeys(seed for _, seeds in each for seed in seeds)
    items = [Item(prompt, seed) for seed in every for prompt, seeds in each if seed in seeds]
    origin = {
        "protocol": scorer.protocol(),
        "prompts_hash": prompts_hash(prompts),
        **conditioning_of(scale).identity(prompts),
        "weights": dict(weights),
        **source.settings(),
    }
    manifest = out / MANIFEST
    manifest.unlink(missing_ok=True)
    files: dict[str, str] = {}
    with tqdm(total=len(cells) * len(items), unit="video", dynamic_ncols=True, mininterval=5, delay=5) as bar:
        for cell in cells:
            bar.set_description(cell.name, refresh=False)
            folder = _claim(out / cell.name, origin)
            hashes = Hashes(folder)
            for batch in _batches(items, scale.evaluation.batch_size):
                missing = [not hashes.agree(item.path(folder)) for item in batch]
                if any(missing):  # the whole batch: the rounding of a sample depends on what it is computed with
                    _write(folder, batch, missing, finite(source.parts(cell, batch), cell, batch), codec, scale)
                hashes.add([item.path(folder) for item in batch])
                bar.update(len(batch))
            files |= {f"{cell.name}/{item.file}": hashes.known[item.file] for item in items}
    known = {
        "experiment": cells[0].experiment,
        "method": cells[0].method,
        **({"released": True} if released else {}),
        "seed": cells[0].seed,
        "scale": scale.name,
        "cells": [cell.name for cell in cells],
        "videos": len(cells) * len(items),
        "sampling_seeds": list(scale.evaluation.seeds),
        **origin,
        "commit": commit,
        "files": files,
    }
    write_prompts(out / PROMPTS, prompts)
    write_text(manifest, json.dumps(known, indent=1) + "\n")
    return manifest


def _claim(folder: Path, origin: dict[str, Any]) -> Path:
    """Empty a cell's folder unless its videos have this origin; write the origin before any video."""
    if found := in_the_way(folder, "folder"):
        raise SaltError(f"{folder}: {found} is in the way of a cell's videos; accepted: a folder, or nothing")
    path = folder / MADE_FROM
    try:
        same = read_json(path, finite=True) == origin
    except Unreadable:
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_text(path, json.dumps(origin, indent=1) + "\n")
    return folder


class Hashes:
    """SHA-256 of the videos of a cell, written down as they are made, in the form that `sha256sum --check` reads."""

    def __init__(self, folder: Path) -> None:
        """Take over what an earlier call wrote down, but for lines that a kill cut off."""
        self.file, self.known, text = folder / HASHES, dict[str, str](), ""
        with suppress(Unreadable):
            text = read_text(self.file, "as `salt sample` wrote it")
        lines = (line.partition("  ") for line in text.split("\n"))
        self.known = {name: digest for digest, _, name in lines if len(digest) == DIGITS and name.endswith(".mp4")}
        if text != _listed(self.known):
            write_text(self.file, _listed(self.known))

    def agree(self, path: Path) -> bool:
        """Whether a video is as it was written down or, where it was not, can be decoded."""
        if not path.is_file():
            return False
        name = self._name(path)
        if name in self.known:
            return sha256(path) == self.known[name]
        try:
            for _ in decoded(path):
                pass
        except SaltError:
            return False
        return True

    def add(self, paths: Iterable[Path]) -> None:
        """Write down videos that are whole."""
        new = {self._name(path): sha256(path) for path in paths}
        new = {name: digest for name, digest in new.items() if self.known.get(name) != digest}
        self.known |= new
        if new:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(_listed(new))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.file.parent).as_posix()


def _listed(hashes: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in hashes.items())


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """Up to `size` items at a time, all with the same number of captions."""
    for _, group in groupby(sorted(items, key=Item.captions), key=Item.captions):
        alike = list(group)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def finite(parts: Iterable[Tensor], cell: ModelCell, batch: Sequence[Item]) -> Iterator[Tensor]:
    """The parts of some videos of a cell as a source yields them.

    Raises:
        SaltError: latents are not finite.
    """
    for latents in parts:
        place = first_broken(latents)
        if place is not None:
            prompt, seed = batch[place]
            raise SaltError(
                f"{cell.experiment} seed {cell.seed}, cell {cell.name}: latents of prompt {prompt.id}, sampling seed "
                f"{seed}, hold NaN or infinity; accepted: finite ones. The weights are broken: train again"
            )
        yield latents


def _write(
    folder: Path, batch: Sequence[Item], missing: Sequence[bool], parts: Iterable[Tensor], codec: Codec, scale: Scale
) -> None:
    """Decode and append part after part of what is missing; files get their names when all parts are written."""
    wanted = [place for place, absent in enumerate(missing) if absent]
    with ExitStack() as files:
        append = [files.enter_context(growing_mp4(batch[place].path(folder), scale.world.fps)) for place in wanted]
        decode = codec.stream()
        for latents in parts:
            videos = as_uint8(decode(latents).cpu())
            for grow, place in zip(append, wanted, strict=True):
                grow(upscale(videos[place], scale.video_scale))
