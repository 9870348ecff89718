"""The text encoder: UMT5 and its tokenizer in transformers' own format, as Wan's.

The tiny one is a two-layer `UMT5EncoderModel` over a vocabulary of whole words. Wan's umT5 is pretrained on language;
ours is pretrained on a pretext task, before any video is seen: from every token of a caption, predict the attributes of
the scene. Then it is frozen.

Embeddings are `(N, L, D)`, zero where a caption is padded, as diffusers' WanPipeline gives them to the backbone.
"""

import html
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ftfy
import torch
from torch import Tensor, nn
from torch.nn import functional

from salt.config.scale import Text
from salt.errors import SaltError
from salt.foreign import is_of_a_library, one_line, reason
from salt.models.finite import check_answer, check_finite, computing
from salt.models.stored import check_sizes

PADDED_TO = 128
"""Tables of embeddings are padded to a multiple of this: UMT5's 256,300 tokens to 256,384."""
KNOWN = {256_384: ("This is the reason why we", [1460, 339, 312, 19014, 10620, 758, 1])}
"""Size of a table -> a caption and its tokens: of UMT5, by huggingface/transformers,
tests/models/umt5/test_modeling_umt5.py."""
MOST_KEPT = 1 << 30
"""Bytes of embeddings that are cached for captions that recur."""


class UMT5TextEncoder:
    """Captions to embeddings; each distinct caption is encoded once, unless there are very many of them."""

    def __init__(self, model: Any, tokenizer: Any, tokens: int) -> None:
        self.model, self.tokenizer, self.tokens = model.eval().requires_grad_(False), tokenizer, tokens
        self._cache: dict[str, Tensor] = {}

    def to(self, device: str) -> "UMT5TextEncoder":
        """Move the network; embeddings are still returned on the CPU."""
        self.model.to(device)
        return self

    @property
    def dim(self) -> int:
        """D, the width of an embedding."""
        return int(self.model.config.d_model)

    def encode(self, captions: Sequence[str]) -> Tensor:
        """`(N, L, D)` embeddings of cleaned captions, float32; one that is longer than L tokens is truncated."""
        if len(self._cache) * 4 * self.tokens * self.dim > MOST_KEPT:
            self._cache.clear()
        new = sorted({c for c in captions if c not in self._cache})
        for start in range(0, len(new), 256):
            batch = new[start : start + 256]
            with torch.no_grad():
                embeddings, mask = embed(self.model, self.tokenizer, [cleaned(c) for c in batch], self.tokens)
            masked = (embeddings * mask[..., None]).float().cpu()
            self._cache.update(zip(batch, masked, strict=True))
        return torch.stack([self._cache[c] for c in captions])


def cleaned(caption: str) -> str:
    """A caption as Wan's tokenizer is given it: broken text mended (ftfy), HTML read twice, one space between words.

    Wan-Video/Wan2.1@9737cba, wan/modules/tokenizers.py (`clean="whitespace"`), and diffusers' WanPipeline: typographic
    quotation marks, full-width commas and HTML entities become plain characters.
    """
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(caption))).split())


def embed(model: Any, tokenizer: Any, captions: Sequence[str], tokens: int) -> tuple[Tensor, Tensor]:
    """Embeddings `(N, L, D)` and mask `(N, L)` (1 on tokens, 0 on padding)."""
    ids = tokenizer(list(captions), padding="max_length", truncation=True, max_length=tokens, return_tensors="pt")
    ids = ids.to(model.device)
    return model(ids.input_ids, attention_mask=ids.attention_mask).last_hidden_state, ids.attention_mask


def umt5_config(config: Text, words: int) -> Any:
    """The configuration, in transformers' format, of a scale's text encoder over a vocabulary of this many words."""
    from transformers import UMT5Config

    return UMT5Config(
        vocab_size=words,
        d_model=config.d_model,
        d_kv=config.d_model // config.num_heads,
        d_ff=config.d_ff,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        dropout_rate=0.0,
    )


def build_text_encoder(config: Text, words: Sequence[str], seed: int) -> tuple[Any, Any]:
    """A freshly initialised UMT5 encoder and a whole-word tokenizer of `words`."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *sorted(set(words))])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    backend.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = UMT5EncoderModel(umt5_config(config, len(vocabulary)))
        nn.init.normal_(model.shared.weight, std=1.0)  # transformers' default leaves all captions alike
    return model, tokenizer


def fit_text_encoder(
    model: Any, tokenizer: Any, captions: Sequence[str], labels: Tensor, config: Text, seed: int
) -> float:
    """The pretext task: from each token, predict every attribute of the scene.

    Args:
        model: the encoder, trained in place.
        tokenizer: its tokenizer.
        captions: N captions.
        labels: `(N, attributes)` class numbers; "not mentioned" is a class of its own.
        config: its `steps` say how long to train.
        seed: of the batches and of the head that is thrown away.

    Returns:
        The share of attributes predicted correctly on the last batch of tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = (labels.amax(0) + 1).tolist()
    head = nn.Linear(config.d_model, sum(sizes))
    with torch.no_grad():
        head.weight.normal_(std=config.d_model**-0.5, generator=generator)
        head.bias.zero_()
    optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=config.steps)
    model.train()
    right = 0.0
    for _ in range(config.steps):
        chosen = torch.randint(len(captions), (64,), generator=generator)
        embeddings, mask = embed(model, tokenizer, [captions[int(i)] for i in chosen], config.tokens)
        logits = head(embeddings)[mask.bool()].split(sizes, dim=-1)
        target = labels[chosen].repeat_interleave(mask.sum(1), dim=0)
        losses = [functional.cross_entropy(part, target[:, i]) for i, part in enumerate(logits)]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        right = torch.stack([(p.argmax(-1) == target[:, i]).float().mean() for i, p in enumerate(logits)]).mean().item()
    model.eval()
    return right


def save_text_encoder(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write both in transformers' own format."""
    with silent_transformers():
        model.save_pretrained(folder / "text_encoder")
        tokenizer.save_pretrained(folder / "tokenizer")


def load_text_encoder(folder: Path, tokens: int, dtype: torch.dtype = torch.float32) -> UMT5TextEncoder:
    """Read `text_encoder/` and `tokenizer/` below a folder.

    Args:
        folder: holds them, weights in one file or in shards with an index.
        tokens: the length to which captions are padded or truncated.
        dtype: what the network computes in.

    Raises:
        SaltError: a file is missing or broken, or weights are missing, unexpected or not finite.
    """
    from transformers import AutoTokenizer, UMT5EncoderModel

    wanted = f"{folder}: text_encoder/ and tokenizer/ in transformers' format are expected"
    own, beside = folder / "text_encoder", folder / "tokenizer"
    model, tokenizer = read_pair(wanted, UMT5EncoderModel, own, AutoTokenizer, beside, dtype)
    with computing(beside):
        known = _check_tokenizer(tokenizer, model.config, beside)
    with computing(own):
        answer, mask = embed(model, tokenizer, [known], min(tokens, 16))
        check_answer(answer[mask.bool()], (int(mask.sum()), model.config.d_model), own, "embeddings")
    return UMT5TextEncoder(model, tokenizer, tokens)


def _check_tokenizer(tokenizer: Any, config: Any, folder: Path) -> str:
    """Refuse a tokenizer that transformers made up, or that is not the one of the text encoder.

    Returns:
        The caption that it was tried with.

    Raises:
        SaltError: its vocabulary does not fit the encoder's table of embeddings, its marks have other numbers, or a
            known caption becomes other tokens.
    """
    if not 0 <= config.vocab_size - len(tokenizer) < PADDED_TO:
        raise SaltError(
            f"{folder}: {len(tokenizer)} tokens, but the text encoder has embeddings of {config.vocab_size}; as many "
            f"are expected, or up to {PADDED_TO - 1} fewer"
        )
    for mark in ("pad_token_id", "eos_token_id"):
        if (found := getattr(tokenizer, mark)) != getattr(config, mark):
            raise SaltError(
                f"{folder}: {mark}={found}; {getattr(config, mark)} is expected, as the text encoder has it"
            )
    caption, expected = KNOWN.get(config.vocab_size) or (_some_words(tokenizer), None)
    ids = tokenizer(caption).input_ids
    back = tokenizer.decode(ids, skip_special_tokens=True)
    if (ids != expected) if expected else (back != caption or not caption or ids[-1] != config.eos_token_id):
        raise SaltError(
            f"{folder}: {caption!r} becomes tokens {ids[:16]}, in words {one_line(back)!r}; "
            f"{expected or 'the same words'} are expected: those of the text encoder"
        )
    return caption


def _some_words(tokenizer: Any) -> str:
    """A caption of plain words that a tokenizer has."""
    words = (token.strip("\u2581") for token in sorted(tokenizer.get_vocab()))
    return " ".join([word for word in words if word.isascii() and word.isalpha()][:3])


def read_pair(wanted: str, kind: Any, network: Path, reader: Any, beside: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """A network of one of transformers' classes, and the tokenizer or image processor that prepares its input.

    Args:
        wanted: which files are expected where, for messages.
        kind: the network's class.
        network: its folder, with the weights in one file or in shards with an index.
        reader: the class of the tokenizer or image processor.
        beside: the folder of that.
        dtype: to which the weights are converted.

    Raises:
        SaltError: one of them is missing or broken, or weights are missing, unexpected, of another shape or not finite.
    """
    for folder in (network, beside):
        if not folder.is_dir():  # transformers would take the path for a name on its hub
            raise SaltError(f"{wanted}: there is no {folder.name}/")
    with silent_transformers():  # a configuration may lie within that of a larger network, which transformers knows
        config = network / "config.json"
        check_sizes(config, lambda _: kind(kind.config_class.from_pretrained(network, local_files_only=True)), network)
    try:
        with silent_transformers():
            model, report = kind.from_pretrained(
                network,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # they are in the report
                output_loading_info=True,
            )
            made = reader.from_pretrained(beside, local_files_only=True)
    except BaseException as error:  # transformers lets errors of the libraries below it through
        if not is_of_a_library(error):
            raise
        raise SaltError(f"{wanted}: {reason(error)}") from error
    for trouble in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[trouble]:
            raise SaltError(f"{wanted}: {trouble.replace('_keys', '')} weights {one_line(min(report[trouble]))!r}")
    check_finite(model.state_dict(), f"{wanted}: {network.name}")
    return model, made


@contextmanager
def silent_transformers() -> Iterator[None]:
    """Silence transformers and its progress bars, where an error is reported in one line of ours."""
    from transformers.utils import logging

    before, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bar:
            logging.enable_progress_bar()
