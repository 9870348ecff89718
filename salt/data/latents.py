"""The bank of latents that training reads: one safetensors file of clips, with their captions in its header.

Latents are `(N, C, T, h, w)`, float16 on disk and float32 in a batch. The clip of a training sample is a function of
the sample's number and the seed alone: epoch after epoch, each a permutation of the bank.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from salt.data.order import Order
from salt.errors import SaltError
from salt.files import whole_file
from salt.models.protocol import Batch, TextEncoder

HEADER = "bank"


def write_bank(
    path: Path,
    clips: int,
    shape: Sequence[int],
    chunks: Iterable[tuple[Tensor, Sequence[str]]],
    about: dict[str, str],
) -> None:
    """Write latents and their captions, chunk after chunk, into one file.

    Args:
        path: appears only when it is complete.
        clips: how many there are in all chunks.
        shape: `(C, T, h, w)` of each.
        chunks: latents `(B, C, T, h, w)` and B captions.
        about: what the file was made from, kept in its header.

    Raises:
        ValueError: there are more or fewer clips.
    """
    # one allocation: small blocks kept between large temporary ones would keep the memory of both
    latents = torch.empty((clips, *shape), dtype=torch.float16)
    captions: list[str] = []
    for chunk, texts in chunks:
        latents[len(captions) : len(captions) + len(texts)] = chunk
        captions.extend(texts)
    if len(captions) != clips:
        raise ValueError(f"{path}: {len(captions)} clips came, {clips} were announced")
    distinct = sorted(set(captions))
    place = {text: i for i, text in enumerate(distinct)}
    tensors = {
        "latents": latents,
        "caption": torch.tensor([place[text] for text in captions], dtype=torch.int32),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        # one key: safetensors writes several in random order, and the same clips should be the same bytes
        save_file(tensors, temporary, metadata={HEADER: json.dumps({"about": about, "captions": distinct})})


class LatentBank:
    """Batches of latents and text embeddings.

    Attributes:
        latents: `(N, C, T, h, w)`, float16.
        captions: of all clips, each once.
        caption_of: `(N,)`, each clip's place among them.
        about: what the file was made from.
    """

    def __init__(self, path: Path, text_encoder: TextEncoder, seed: int) -> None:
        """Read a file that `write_bank` wrote.

        Raises:
            SaltError: it is missing, truncated, empty, no such file, or holds numbers that are not finite.
        """
        try:
            with safe_open(path, "pt") as file:
                header = json.loads(file.metadata()[HEADER])
                self.about: dict[str, str] = header["about"]
                self.latents: Tensor = file.get_tensor("latents")
                self.caption_of: Tensor = file.get_tensor("caption").long()
                self.captions: list[str] = header["captions"]
        except Exception as error:
            raise SaltError(f"{path}: not a bank of latents (made by `salt latents`): {error}") from error
        if not len(self.latents):
            raise SaltError(f"{path}: holds no clips; make the file anew with `salt latents`")
        if not bool(self.latents.isfinite().all()):
            raise SaltError(f"{path}: latents hold NaN or infinity; make the file anew with `salt latents`")
        self._embeddings = text_encoder.encode(self.captions)
        self._empty = text_encoder.encode([""])
        self._order = Order(len(self.latents), seed)

    def batch(self, samples: Sequence[int]) -> Batch:
        """The clips of these samples."""
        rows = self._order.rows(samples)
        text, before = (self._embeddings[self.caption_of[(rows + n) % len(self.latents)]] for n in (0, 1))
        return Batch(self.latents[rows].float(), text, self._empty, tuple(samples), text_before=before)
