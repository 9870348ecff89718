"""The text encoder: zeros where padded, no caption too odd, attributes learnt, files that others can read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.wan import pipeline_wan as wan
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from salt.config.scale import Text
from salt.config.world import World
from salt.data.clips import pretext, vocabulary
from salt.data.world import SHORT_FORMS, Mentions, all_contents, caption
from salt.models.text import (
    UMT5TextEncoder,
    build_text_encoder,
    cleaned,
    fit_text_encoder,
    load_text_encoder,
    save_text_encoder,
)

TEXT = Text(d_model=32, num_layers=1, num_heads=2, d_ff=64, steps=20)
SENTENCE = "a red square moving left on a black background"
"""Nine words, so ten tokens."""


@pytest.fixture(scope="module")
def built() -> tuple[Any, Any]:
    return build_text_encoder(TEXT, vocabulary(World()), seed=2)


@pytest.fixture(scope="module")
def encoder(built: tuple[Any, Any]) -> UMT5TextEncoder:
    return UMT5TextEncoder(*built, TEXT.tokens)


def tokens_of(embedding: Tensor) -> int:
    """How many places of one embedding `(L, D)` are not padding; those that are must come last."""
    used = embedding.abs().amax(-1) > 0
    count = int(used.sum())
    assert used[:count].all()
    return count


# ----------------------------------------------------------------------------------------- embedding
def test_padding_is_zero_and_does_not_change_the_tokens(built: tuple[Any, Any], encoder: UMT5TextEncoder) -> None:
    embedding = encoder.encode([SENTENCE])
    assert embedding.shape == (1, TEXT.tokens, encoder.dim) == (1, 16, 32)
    assert tokens_of(embedding[0]) == 10
    wide = UMT5TextEncoder(*built, 40).encode([SENTENCE])
    torch.testing.assert_close(wide[:, :16], embedding)
    assert not wide[:, 10:].any()


def test_embeddings_are_those_of_diffusers_pipeline(built: tuple[Any, Any], encoder: UMT5TextEncoder) -> None:
    """WanPipeline computes prompt embeddings its own way."""
    from diffusers import WanPipeline

    model, tokenizer = built
    pipeline = WanPipeline(tokenizer=tokenizer, text_encoder=model, vae=None, scheduler=None, transformer=None)
    captions = [SENTENCE, "", "a ring", "a blue cross above a red ring"]
    theirs = pipeline._get_t5_prompt_embeds(captions, max_sequence_length=TEXT.tokens)
    torch.testing.assert_close(encoder.encode(captions), theirs)


WORDS = st.lists(st.sampled_from([*SENTENCE.split(), "“red”", "square，", "&amp;", "\n"]), max_size=40).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_prompts_and_negative_prompts_reach_the_network_as_in_diffusers(
    built: tuple[Any, Any], encoder: UMT5TextEncoder, captions: list[str], negative: str
) -> None:
    """Cleaned, cut at the same token, padded with zeros, and no attention mask beside them, in both branches."""
    from diffusers import WanPipeline

    model, tokenizer = built
    pipeline = WanPipeline(tokenizer=tokenizer, text_encoder=model, vae=None, scheduler=None, transformer=None)
    theirs, unconditional = pipeline.encode_prompt(captions, negative, True, 1, max_sequence_length=TEXT.tokens)
    torch.testing.assert_close(encoder.encode(captions), theirs)
    torch.testing.assert_close(encoder.encode([negative]).expand_as(theirs), unconditional)


@settings(deadline=None)
@given(
    st.text()
    | st.lists(st.sampled_from(["“it’s”", "a，b", "&amp;quot;", "&lt;b&gt;", "\u3000", "sch\xc3\xb6n", "\n"])).map(
        "".join
    )
)
def test_captions_are_cleaned_as_diffusers_cleans_them(text: str) -> None:
    assert cleaned(text) == wan.prompt_clean(text)


def test_the_encoder_sees_clean_captions(encoder: UMT5TextEncoder) -> None:
    """Wan's tokenizer would make unknown pieces of what is not cleaned."""
    assert cleaned("  it’s a “blue”，&amp;amp;\n red ring ") == 'it\'s a "blue",& red ring'
    torch.testing.assert_close(encoder.encode(["a  blue\n ring"]), encoder.encode(["a blue ring"]), rtol=0, atol=0)
    unclean, clean = "a blue &gt; ring", "a blue > ring"
    assert torch.equal(encoder.encode([unclean]), encoder.encode([clean]))


def test_rows_follow_the_captions_whatever_the_batch(built: tuple[Any, Any], encoder: UMT5TextEncoder) -> None:
    captions = [f"a {colour} {shape}" for colour in ("red", "blue") for shape in ("ring", "cross")] * 2 + [SENTENCE]
    together = encoder.encode(captions)
    assert torch.equal(together[:4], together[4:8])
    alone = torch.cat([UMT5TextEncoder(*built, TEXT.tokens).encode([text]) for text in captions])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not together.requires_grad


def test_a_long_caption_is_cut_at_the_last_token(encoder: UMT5TextEncoder) -> None:
    words = (SENTENCE + " " + SENTENCE).split()
    cut = encoder.encode([" ".join(words)])
    assert tokens_of(cut[0]) == TEXT.tokens
    assert torch.equal(cut, encoder.encode([" ".join(words[: TEXT.tokens - 1])]))
    assert not torch.equal(cut, encoder.encode([" ".join(words[: TEXT.tokens - 2])]))


def test_no_caption_of_the_world_is_cut_or_has_an_unknown_word(encoder: UMT5TextEncoder) -> None:
    contents = all_contents(1, World()) + all_contents(2, World())
    captions = [caption(c, m) for c in contents for m in (Mentions(), *SHORT_FORMS[len(c.sprites)])]
    ids = encoder.tokenizer(captions).input_ids
    assert max(map(len, ids)) < Text().tokens
    assert encoder.tokenizer.unk_token_id not in {token for row in ids for token in row}


def test_different_captions_have_different_embeddings(encoder: UMT5TextEncoder) -> None:
    embeddings = encoder.encode([caption(content) for content in all_contents(1, World())]).flatten(1)
    distances = torch.cdist(embeddings, embeddings) + 10 * torch.eye(len(embeddings))
    assert distances.min() > 0.1


# --------------------------------------------------------------------------------------- odd captions
def test_the_empty_caption_is_one_token(encoder: UMT5TextEncoder) -> None:
    embedding = encoder.encode([""])
    assert tokens_of(embedding[0]) == 1
    assert torch.equal(embedding, encoder.encode(["   "]))


def test_unknown_words_are_all_the_same_word(encoder: UMT5TextEncoder) -> None:
    known = encoder.encode(["a red ring"])
    assert torch.equal(encoder.encode(["a mauve ring"]), encoder.encode(["a 🐎 ring"]))
    assert not torch.equal(encoder.encode(["a mauve ring"]), known)


@pytest.mark.parametrize(
    "text",
    [
        "../../etc/passwd",
        "C:\\videos\\*.mp4",
        "👩‍🚀 rides a 🐎",
        "naïve café 赤い",
        "x" * 10_000,
        "a red ring " * 910,
        "👩‍🚀" * 2_500,
        "<pad> </s> <unk>",
        "%s {0} $HOME `ls`",
        "quote ' and \" and ;",
    ],
)
def test_odd_captions_give_finite_embeddings(encoder: UMT5TextEncoder, text: str) -> None:
    embedding = encoder.encode([text])
    assert embedding.isfinite().all()
    assert 1 <= tokens_of(embedding[0]) <= TEXT.tokens


# ------------------------------------------------------------------------------------------- training
def test_the_seed_decides_the_weights_and_nothing_else_does() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, same, other = (build_text_encoder(TEXT, vocabulary(World()), seed)[0].state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["shared.weight"], other["shared.weight"])


def test_the_order_of_the_words_does_not_matter() -> None:
    words = vocabulary(World())
    ids = [build_text_encoder(TEXT, order, 0)[1](SENTENCE).input_ids for order in (words, [*words[::-1], "red"])]
    assert ids[0] == ids[1]


def test_the_pretext_task_is_learnt() -> None:
    """Every attribute of a hundred captions, from every token, by the encoder of the scales."""
    right, model = fit(Text(steps=150), every=97)
    assert right > 0.95
    assert not model.training
    assert fit(Text(steps=3), every=97)[0] < 0.6


def test_fitting_is_reproducible() -> None:
    (right, model), (again, same) = fit(TEXT, every=800), fit(TEXT, every=800)
    assert right == again
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))


def fit(config: Text, every: int) -> tuple[float, Any]:
    """Accuracy and encoder after the pretext task on one caption in so many."""
    captions, labels = pretext(World())
    model, tokenizer = build_text_encoder(config, vocabulary(World()), 0)
    return fit_text_encoder(model, tokenizer, captions[::every], labels[::every], config, seed=1), model


# ---------------------------------------------------------------------------------------------- files
@pytest.fixture(scope="module")
def saved(built: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_text_encoder(*built, folder)
    return folder


def test_a_saved_encoder_comes_back_frozen(saved: Path, encoder: UMT5TextEncoder) -> None:
    loaded = load_text_encoder(saved, TEXT.tokens)
    captions = [SENTENCE, "", "a mauve ring"]
    assert torch.equal(loaded.encode(captions), encoder.encode(captions))
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_plain_transformers_reads_the_files(saved: Path, encoder: UMT5TextEncoder) -> None:
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(saved / "tokenizer")
    ids = tokenizer([SENTENCE], return_tensors="pt")
    assert tokenizer.decode(ids.input_ids[0]) == f"{SENTENCE} </s>"
    model = UMT5EncoderModel.from_pretrained(saved / "text_encoder")
    with torch.no_grad():
        embedding = model(ids.input_ids, attention_mask=ids.attention_mask).last_hidden_state
    torch.testing.assert_close(encoder.encode([SENTENCE])[:, :10], embedding)


def test_loading_and_saving_print_nothing(
    saved: Path, built: tuple[Any, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    load_text_encoder(saved, TEXT.tokens)
    save_text_encoder(*built, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert logging.is_progress_bar_enabled()
