"""`salt import` and `salt export`: there and back, and diffusers' own pipeline with a student in it."""

import json

import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, UMT5EncoderModel

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def exported(salt, made, tmp_path_factory):
    """The chain's student as Self-Forcing would keep it."""
    file = tmp_path_factory.mktemp("exported") / "student.pt"
    answer = salt("export", made.weights, "--layout", "self-forcing", "--out", file)
    assert answer.code == 0, answer.err
    return file


def test_there_and_back_gives_the_same_weights_and_they_sample(salt, made, exported, tmp_path):
    loaded = torch.load(exported, weights_only=True)
    assert set(loaded) == {"generator"}
    assert "model.blocks.0.self_attn.q.weight" in loaded["generator"]
    back = tmp_path / "back"
    answer = salt("import", "sc_dmd", "--scale", "smoke", "--source", exported, "--out", back)
    assert answer.code == 0, answer.err
    ours, theirs = load_file(back / WEIGHTS), load_file(made.weights / WEIGHTS)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    about = json.loads((back / "provenance.json").read_text())
    assert about["released"] == "regular"
    assert list(about["inputs"]["source"]) == ["student.pt"]
    defect = salt("defect", back, "--scale", "smoke", "--teacher", made.teacher, "--out", tmp_path / "defect.csv")
    assert defect.code == 0, defect.err
    assert (tmp_path / "defect.csv").read_bytes() == (made.records / "sc_dmd_seed0_defect.csv").read_bytes()


def test_the_layout_of_wan_reads_as_wan(salt, made, tmp_path):
    file = tmp_path / "student.safetensors"
    answer = salt("export", made.weights, "--out", file)
    assert answer.code == 0, answer.err
    assert "time_projection.1.weight" in load_file(file)
    answer = salt("import", "sc_dmd", "--scale", "smoke", "--source", file, "--out", tmp_path / "back")
    assert answer.code == 0, answer.err


def test_diffusers_pipeline_runs_a_student(made):
    """With an autoencoder made here; the text encoder is the scale's own."""
    transformer = WanTransformer3DModel.from_pretrained(made.weights)
    channels = transformer.config.in_channels
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=8, z_dim=channels, num_res_blocks=1, latents_mean=[0.0] * channels, latents_std=[1.0] * channels
    )
    pipeline = WanPipeline(
        tokenizer=AutoTokenizer.from_pretrained(made.teacher / "tokenizer"),
        text_encoder=UMT5EncoderModel.from_pretrained(made.teacher / "text_encoder"),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    frames = pipeline(
        "a red square",
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=2,
        guidance_scale=1.0,
        output_type="np",
        max_sequence_length=16,
    ).frames
    assert frames.shape == (1, 5, 32, 32, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "sc_dmt", "--scale", "smoke", "--source", "a", "--out", "b"], "did you mean"),
        (
            ["import", "sc_dmd", "--scale", "smoke", "--source", "{tmp}/none.pt", "--out", "{tmp}/b"],
            "none.pt: whole weights",
        ),
        (["import", "sc_dmd", "--scale", "tiny", "--source", "{exported}", "--out", "{tmp}/b"], "scale's backbone"),
        (
            ["import", "sc_dmd", "--scale", "smoke", "--source", "{exported}", "--which", "ema", "--out", "{tmp}/b"],
            "--which ema: it holds regular weights",
        ),
        (["export", "{tmp}", "--out", "{tmp}/a.safetensors"], "one .safetensors file"),
        (["export", "{weights}", "--out", "{tmp}/a.pt"], "a file ending in .safetensors is accepted for --layout wan"),
        (["export", "{teacher}/codec", "--out", "{tmp}/a.safetensors"], "not those of a WanTransformer3DModel"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(salt, made, exported, tmp_path, words, message):
    places = {"tmp": tmp_path, "exported": exported, "weights": made.weights, "teacher": made.teacher}
    answer = salt(*(word.format(**places) for word in words))
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
