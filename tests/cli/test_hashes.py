"""What is loaded is what was made: one bit in any file of a teacher or a student is found before it is used."""

import pytest

from support.chain import corrupted, refused

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


def flip(path):
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


@pytest.mark.parametrize("verb", ["latents", "train", "sample", "defect"])
@pytest.mark.parametrize(
    "name",
    ["codec/config.json", "codec/codec.safetensors", "text_encoder/model.safetensors", "tokenizer/tokenizer.json"],
)
def test_one_bit_of_a_codec_or_text_encoder(salt, made, tmp_path, verb, name):
    """None is sampled with, trained with or measured; it is said which file it is."""
    with corrupted(made.teacher / name, flip):
        refused(salt, made.words(verb, out=tmp_path / "x_defect.csv"), made.teacher / name, "in provenance.json")


@pytest.mark.parametrize("verb", ["latents", "train", "defect"])
def test_one_bit_of_a_teacher(salt, made, tmp_path, verb):
    run = {"run_dir": tmp_path / "run"} if verb == "train" else {}
    words = made.words(verb, out=tmp_path / "x_defect.csv", **run)
    with corrupted(made.teacher / TRANSFORMER, flip):
        if verb == "latents":  # they are of the codec alone
            assert salt(*words).code == 0
        else:
            refused(salt, words, made.teacher / TRANSFORMER, "in provenance.json")


@pytest.mark.parametrize("verb", ["sample", "defect"])
@pytest.mark.parametrize("name", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_one_bit_of_a_student(salt, made, tmp_path, verb, name):
    with corrupted(made.weights / name, flip):
        refused(salt, made.words(verb, out=tmp_path / "x_defect.csv"), made.weights / name, "in provenance.json")
        export = ["export", made.weights, "--scale", "smoke", "--teacher", made.teacher]
        for layout, out in (("wan", "w.safetensors"), ("shipped", "shipped"), ("diffusers", "pipeline")):
            refused(salt, [*export, "--layout", layout, "--out", tmp_path / out], made.weights / name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_loaders_would_find_and_nobody_knows(salt, made, tmp_path):
    beside = made.weights / "diffusion_pytorch_model.safetensors.index.json"
    beside.write_text("{}")
    try:
        refused(salt, made.words("sample", out=tmp_path / "videos"), beside, "none was recorded in provenance.json")
    finally:
        beside.unlink()
