"""`salt import-released` and `salt export`: there and back, and diffusers' own pipeline with a student in it."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, UMT5EncoderModel

from salt.config import load_experiment
from salt.config.released import MARK
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.sampling.solvers import Network
from salt.flow.grid import time_grid
from salt.flow.transport import euler_sample
from salt.stages.shared import pipeline
from salt.stages.shared.assets import load_assets
from salt.stages.shared.networks import load_student, trained_as
from salt.training.provenance import hash_files, is_complete
from support.chain import refused

WEIGHTS = "diffusion_pytorch_model.safetensors"


def without_weights(records):
    """Records of released weights without the column that says so."""
    head, *lines = records.splitlines(keepends=True)
    assert head.endswith(",weights\n")
    assert all(line.endswith(",released\n") for line in lines)
    return head.replace(",weights\n", "\n") + "".join(line.replace(",released\n", "\n") for line in lines)


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
    answer = salt("import-released", "sc_dmd", "--scale", "smoke", "--source", exported, "--out", back)
    assert answer.code == 0, answer.err
    ours, theirs = load_file(back / WEIGHTS), load_file(made.weights / WEIGHTS)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    about = json.loads((back / "provenance.json").read_text())
    assert about["released"] == "regular"
    assert list(about["inputs"]["source"]) == ["student.pt"]
    defect = salt("defect", back, "--scale", "smoke", "--teacher", made.teacher, "--out", tmp_path / "defect.csv")
    assert defect.code == 0, defect.err
    found, trained = (tmp_path / "defect.csv").read_text(), (made.records / "sc_dmd_seed0_defect.csv").read_text()
    assert found != trained
    assert without_weights(found).replace(MARK, "") == trained


@pytest.fixture
def published(root, tmp_path, monkeypatch):
    """A row of the student's own kind with published weights, which are looked for below `tmp_path`."""
    row = root / "experiments" / "published.yaml"
    released = "{source: hub/student.pt, page: https://hub}"
    row.write_text(f"extends: sc_dmd\ntitle: Published\nscales: {{smoke: {{released: {released}}}}}\n")
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SALT_ROOT", str(root))  # for what is asked here, beside the command
    yield tmp_path / "hub" / "student.pt"
    row.unlink()


def test_a_row_imports_its_published_weights_and_its_records_say_so(salt, made, exported, published, tmp_path):
    importing = ["import-released", "published", "--scale", "smoke", "--out", tmp_path / "back"]
    answer = salt(*importing)
    assert answer.code == 2
    assert f"{published}: missing, which experiments/published.yaml asks for" in answer.err
    assert "download it there from https://hub" in answer.err
    published.parent.mkdir()
    shutil.copy(exported, published)
    answer = salt(*importing)
    assert answer.code == 0, answer.err
    assert is_complete(made.weights, load_experiment("sc_dmd", "smoke"), 0)
    assert not is_complete(tmp_path / "back", load_experiment("published", "smoke"), 0), "a training would be left out"
    sampling = ["--scale", "smoke", "--teacher", made.teacher, "--weights", tmp_path / "back"]
    answer = salt("sample", "published", *sampling, "--out", tmp_path / "videos")
    assert answer.code == 0, answer.err
    records = tmp_path / "published_seed0_scores.csv"
    words = ["--scale", "smoke", "--videos", tmp_path / "videos", "--details", tmp_path / "details"]
    answer = salt("score", "published", *words, "--out", records)
    assert answer.code == 0, answer.err
    trained = (made.records / "sc_dmd_seed0_scores.csv").read_text()
    title = load_experiment("sc_dmd", "smoke").title
    expected = trained.replace("sc_dmd", "published").replace(title, f"Published{MARK}")
    assert without_weights(records.read_text()) == expected
    assert json.loads((tmp_path / "videos" / "manifest.json").read_text())["released"] is True


def test_the_layout_of_wan_reads_as_wan(salt, made, tmp_path):
    file = tmp_path / "student.safetensors"
    answer = salt("export", made.weights, "--out", file)
    assert answer.code == 0, answer.err
    assert "time_projection.1.weight" in load_file(file)
    answer = salt("import-released", "sc_dmd", "--scale", "smoke", "--source", file, "--out", tmp_path / "back")
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


def test_an_exported_pipeline_samples_what_the_student_samples(salt, made, tmp_path):
    """The latents of diffusers' own loop are those of our Euler steps, but for the roundings of its times."""
    words = ["export", made.weights, "--scale", "smoke", "--teacher", made.teacher, "--layout", "diffusers"]
    answer = salt(*words, "--out", tmp_path / "pipeline")
    assert answer.code == 0, answer.err
    pipeline = WanPipeline.from_pretrained(tmp_path / "pipeline", vae=None)
    pipeline.set_progress_bar_config(disable=True)
    known, _ = trained_as(made.weights)
    _, frames, height, width = known.scale.latent_shape
    noise = torch.randn(1, *known.scale.latent_shape, generator=torch.Generator().manual_seed(0))
    caption = report_prompts(known.scale.world, 1)[0].extended
    size = {"height": 8 * height, "width": 8 * width, "num_frames": 4 * (frames - 1) + 1}
    told = {"num_inference_steps": 4, "guidance_scale": 1.0, "max_sequence_length": known.scale.text.tokens}
    theirs = pipeline(caption, latents=noise, output_type="latent", **size, **told).frames
    assets = load_assets(made.teacher, known.scale)
    velocity = Network(load_student(made.weights, known).eval(), assets.text_encoder, None).velocity([caption])
    with torch.no_grad():
        ours = euler_sample(velocity, noise, time_grid(4, known.grid.shift))
    assert torch.norm(theirs - ours) < 0.02 * torch.norm(ours)
    stated = [path for path in (tmp_path / "pipeline").rglob("*") if path.suffix in (".json", ".md")]
    assert len(stated) > 5
    assert not [path for path in stated if str(made.folder) in path.read_text()], "a place on this machine"
    card = (tmp_path / "pipeline" / "README.md").read_text()
    assert f"height={size['height']}, width={size['width']}, num_frames={size['num_frames']}" in card
    assert f"`{known.name}` at scale `smoke`, training seed 0" in card
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    refused(salt, [*words, "--out", tmp_path / "mine"], "thesis.txt is in the way; accepted: a folder that is new")


def test_no_pipeline_of_diffusers_has_levels_of_its_own(made, tmp_path, monkeypatch):
    known, seed = trained_as(made.weights)
    grid = known.grid.model_copy(update={"levels": (1.0, 0.9, 0.7, 0.5)})
    own = known.model_copy(update={"grid": grid})
    monkeypatch.setattr(pipeline, "trained_student", lambda weights, scale, overrides: (own, seed))
    with pytest.raises(SaltError, match=r"\(grid\.levels\), which no scheduler of diffusers can state"):
        pipeline.write_pipeline(made.weights, "smoke", made.teacher, tmp_path / "pipeline")
    assert not (tmp_path / "pipeline").exists()


def test_a_shipped_student_is_the_trained_one_in_half_precision(salt, made, tmp_path):
    answer = salt("export", made.weights, "--scale", "smoke", "--layout", "shipped", "--out", tmp_path / "student")
    assert answer.code == 0, answer.err
    trained, shipped = (load_file(folder / WEIGHTS) for folder in (made.weights, tmp_path / "student"))
    for name, value in trained.items():
        assert shipped[name].dtype == torch.float16
        assert torch.equal(shipped[name], value.half())
    known = json.loads((tmp_path / "student" / "provenance.json").read_text())
    assert known["from"]["weights"] == json.loads((made.weights / "provenance.json").read_text())["weights"]
    assert known["weights"] == hash_files(tmp_path / "student")
    assert str(made.folder) not in (tmp_path / "student" / "config.json").read_text()
    refused(
        salt,
        ["export", made.weights, "--scale", "tiny", "--layout", "shipped", "--out", tmp_path / "other"],
        "trained with another configuration than sc_dmd has at scale tiny today",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import-released", "sc_dmt", "--scale", "smoke", "--source", "a", "--out", "b"], "did you mean"),
        (
            ["import-released", "sc_dmd", "--scale", "smoke", "--source", "{tmp}/none.pt", "--out", "{tmp}/b"],
            "none.pt: a file is expected; there is none",
        ),
        (
            ["import-released", "sc_dmd", "--scale", "tiny", "--source", "{exported}", "--out", "{tmp}/b"],
            "scale's backbone",
        ),
        (
            [
                "import-released",
                "sc_dmd",
                "--scale",
                "smoke",
                "--source",
                "{exported}",
                "--which",
                "ema",
                "--out",
                "{tmp}/b",
            ],
            "--which ema: it holds regular weights",
        ),
        (
            ["import-released", "sc_dmd", "--scale", "smoke", "--out", "{tmp}/b"],
            "has no scales.smoke.released; accepted: one",
        ),
        (
            ["import-released", "published", "--scale", "smoke", "--which", "ema", "--out", "{tmp}/b"],
            "--which and --lora belong to --source; experiments/published.yaml says its own",
        ),
        (["export", "{tmp}", "--out", "{tmp}/a.safetensors"], "one .safetensors file"),
        (["export", "{weights}", "--out", "{tmp}/a.pt"], "a file ending in .safetensors is accepted for --layout wan"),
        (["export", "{teacher}/codec", "--out", "{tmp}/a.safetensors"], "not those of a WanTransformer3DModel"),
    ],
)
@pytest.mark.usefixtures("published")
def test_mistakes_are_one_line_and_leave_nothing(salt, made, exported, tmp_path, words, message):
    places = {"tmp": tmp_path, "exported": exported, "weights": made.weights, "teacher": made.teacher}
    answer = salt(*(word.format(**places) for word in words))
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
