"""A text encoder's folder that lacks something, or in which a library made something up, is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from salt.config.scale import Text
from salt.config.world import World
from salt.data.clips import vocabulary
from salt.errors import SaltError
from salt.models import text
from salt.models.text import build_text_encoder, load_text_encoder, save_text_encoder

TEXT = Text(d_model=32, num_layers=1, num_heads=2, d_ff=64, steps=20)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_text_encoder(*build_text_encoder(TEXT, vocabulary(World()), seed=2), folder)
    return folder


def cut_weights(folder: Path) -> None:
    path = folder / "text_encoder" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def no_weights(folder: Path) -> None:
    (folder / "text_encoder" / "model.safetensors").unlink()


def no_model(folder: Path) -> None:
    shutil.rmtree(folder / "text_encoder")


def no_tokenizer(folder: Path) -> None:
    shutil.rmtree(folder / "tokenizer")


def broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer" / "tokenizer.json").write_text("{")


def another_shape(folder: Path) -> None:
    path = folder / "text_encoder" / "config.json"
    path.write_text(path.read_text().replace('"d_model": 32', '"d_model": 48'))


def poisoned(folder: Path) -> None:
    change(folder, lambda tensors: tensors["shared.weight"].view(-1)[5:6].fill_(torch.nan))


def all_zeros(folder: Path) -> None:
    change(folder, lambda tensors: [value.zero_() for value in tensors.values()])


def in_a_pickle(folder: Path) -> None:
    """transformers would read it, and no hash of weights would cover it."""
    path = folder / "text_encoder" / "model.safetensors"
    torch.save(load_file(path), path.with_name("pytorch_model.bin"))
    path.unlink()


def no_marks(folder: Path) -> None:
    (folder / "tokenizer" / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')


def made_up(folder: Path) -> None:
    """transformers makes a tokenizer of 104 tokens of this."""
    (folder / "tokenizer" / "tokenizer.json").unlink()
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"TokenizersBackend"', '"T5Tokenizer"'))


def other_words(folder: Path) -> None:
    edit_words(folder, lambda words: words.update({f"w{i}": len(words) + i for i in range(3)}))


def words_in_another_case(folder: Path) -> None:
    """As many tokens, none of which any caption has."""
    edit_words(folder, lambda words: [words.update({f"{i}": words.pop(word)}) for i, word in enumerate([*words][3:])])


def edit_words(folder: Path, edit: Callable[[dict[str, int]], object]) -> None:
    path = folder / "tokenizer" / "tokenizer.json"
    known = json.loads(path.read_text())
    edit(known["model"]["vocab"])
    path.write_text(json.dumps(known))


def one_too_few(folder: Path) -> None:
    change(folder, lambda tensors: tensors.pop("shared.weight"))


def one_too_many(folder: Path) -> None:
    change(folder, lambda tensors: tensors.update(left_over=torch.zeros(2)))


def change(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / "text_encoder" / "model.safetensors"
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    "damage",
    [
        cut_weights,
        no_weights,
        no_model,
        no_tokenizer,
        broken_tokenizer,
        another_shape,
        poisoned,
        one_too_few,
        one_too_many,
        all_zeros,
        in_a_pickle,
        no_marks,
        made_up,
        other_words,
        words_in_another_case,
    ],
)
def test_a_broken_folder_is_reported_in_one_line(
    saved: Path, tmp_path: Path, damage: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "teacher"
    shutil.copytree(saved, folder)
    damage(folder)
    with pytest.raises(SaltError, match=f"{folder}.*expected") as caught:
        load_text_encoder(folder, TEXT.tokens)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_as_large_as_umt5s_must_give_its_tokens(monkeypatch: pytest.MonkeyPatch, saved: Path) -> None:
    words = len(vocabulary(World())) + 3
    monkeypatch.setattr(text, "KNOWN", {words: ("a red ring", [3, 4, 5, 1])})
    with pytest.raises(SaltError, match=r"'a red ring' becomes tokens .*; \[3, 4, 5, 1\] are expected"):
        load_text_encoder(saved, TEXT.tokens)
    ids = build_text_encoder(TEXT, vocabulary(World()), 0)[1]("a red ring").input_ids
    monkeypatch.setattr(text, "KNOWN", {words: ("a red ring", ids)})
    load_text_encoder(saved, TEXT.tokens)


class PanicException(BaseException):
    """What Rust code raises where it is at an end: no `Exception`."""


def test_a_panic_of_a_librarys_rust_code_is_one_line(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(text, "embed", panic)
    with pytest.raises(SaltError, match="cannot compute a known input: index out of bounds"):
        load_text_encoder(saved, TEXT.tokens)
