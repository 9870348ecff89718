"""Generated configurations of networks, tokenizers and folders: a part is what it must be, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from salt.config.scale import Codec
from salt.models.codec import TinyCodec, load_codec, save_codec
from salt.models.image import load_image_encoder
from salt.models.text import load_text_encoder, silent_transformers
from salt.models.vae import load_vae
from salt.models.wan import load_wan
from support.backbones import MINI, backbone
from support.mini import make_pipeline
from support.readers import DEEP, JSON, accepts, changed, fewer, mutated

FEWER = settings(max_examples=fewer())
"""Each case builds a network."""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of part, whole."""
    folder = tmp_path_factory.mktemp("parts") / "pipeline"
    make_pipeline(folder, MINI)
    config = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=7
    )
    codec = TinyCodec(Codec(width=8, blocks=1))
    torch.nn.init.normal_(codec.encoding)
    with silent_transformers():
        CLIPVisionModel(config).save_pretrained(folder / "image_encoder")
        CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=28).save_pretrained(folder / "image_processor")
    save_codec(codec, folder / "codec")
    return folder


PARTS: dict[str, Callable[[Path], object]] = {
    "transformer": lambda folder: load_wan(folder / "transformer", backbone(MINI)),
    "vae": lambda folder: load_vae(folder / "vae"),
    "text_encoder": lambda folder: load_text_encoder(folder, 8),
    "tokenizer": lambda folder: load_text_encoder(folder, 8),
    "image_encoder": load_image_encoder,
    "image_processor": load_image_encoder,
    "codec": lambda folder: load_codec(folder / "codec"),
}
CONFIGS = {"tokenizer": "tokenizer_config.json", "image_processor": "preprocessor_config.json"}


@pytest.mark.parametrize("part", PARTS)
def test_whole_parts_are_accepted(pipeline: Path, part: str) -> None:
    assert accepts(lambda: PARTS[part](pipeline), pipeline)


@pytest.mark.parametrize("part", PARTS)
@FEWER
@given(data=st.data())
def test_configurations(pipeline: Path, part: str, data: st.DataObject) -> None:
    path = pipeline / part / CONFIGS.get(part, "config.json")
    whole = path.read_text()
    texts = changed(json.loads(whole)).map(json.dumps) | JSON.map(json.dumps) | st.sampled_from(DEEP)
    content = data.draw(texts.map(str.encode) | mutated(whole.encode()))
    try:
        path.write_bytes(content)
        accepts(lambda: PARTS[part](pipeline), pipeline)
    finally:
        path.write_text(whole)


@FEWER
@given(data=st.data())
def test_vocabularies(pipeline: Path, data: st.DataObject) -> None:
    path = pipeline / "tokenizer" / "tokenizer.json"
    whole = path.read_text()
    known: dict[str, Any] = json.loads(whole)
    model = known["model"]
    texts = changed(model).map(lambda other: json.dumps(known | {"model": other})) | changed(known).map(json.dumps)
    content = data.draw(texts.map(str.encode) | mutated(whole.encode()))
    try:
        path.write_bytes(content)
        accepts(lambda: PARTS["tokenizer"](pipeline), pipeline)
    finally:
        path.write_text(whole)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_lacks_a_file_is_not_made_up(pipeline: Path, tmp_path: Path, part: str) -> None:
    """Whichever file it is; libraries would fill in defaults of their own."""
    for name in sorted(path.name for path in (pipeline / part).iterdir()):
        shutil.copytree(pipeline, tmp_path / name)
        (tmp_path / name / part / name).unlink()
        assert not accepts(lambda: PARTS[part](tmp_path / name), tmp_path), name  # noqa: B023
