"""A scale of released networks in diffusers' format, from the links to trained students: what the paper's scale does.

Everything is made here and small: Wan's transformer and autoencoder, UMT5, captions, one video.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from diffusers import WanPipeline
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import UMT5EncoderModel

from salt.config.load import load_scale
from salt.data.captions import read_clip
from salt.evaluation.sampling.solvers import Network
from salt.evaluation.video import read_mp4
from salt.models.text import load_text_encoder
from salt.stages.latents import open_bank
from salt.stages.shared.assets import load_assets
from support.backbones import MINI
from support.chain import Salt, refused
from support.mini import CAPTIONS, SCALE, make_pipeline, make_video


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and data as they are downloaded, and a scale `mini` that names them."""
    (root / "experiments" / "scales" / "mini.yaml").write_text(yaml.safe_dump(SCALE))
    changed = {
        "self_forcing": {"causal": {"chunk": 1}, "objectives": {"dmd": {"teacher": "larger"}}},
        "ode_init": {
            "causal": {"chunk": 1},
            "pairs": {"count": 4, "shard_size": 2, "solver_steps": 8, "cfg_weight": 3.0},
        },
    }
    for name, part in changed.items():
        path = root / "experiments" / f"{name}.yaml"
        whole = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(whole | {"scales": whole["scales"] | {"mini": part}}))
    weights = tmp_path_factory.mktemp("weights")
    make_pipeline(weights / "Wan-mini", MINI)
    WanTransformer3DModel(**MINI | {"num_layers": 3}).save_pretrained(weights / "Wan-large" / "transformer")
    make_video(weights / "data" / "ball.mp4")
    lines = [{"caption": caption} for caption in CAPTIONS]
    lines[1]["video"] = "ball.mp4"
    (weights / "data" / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    vbench = tmp_path_factory.mktemp("vbench")
    (vbench / "prompts").mkdir()
    rows = [{"prompt_en": caption, "dimension": ["scene"]} for caption in CAPTIONS[:2]]
    (vbench / "prompts" / "VBench_full_info.json").write_text(json.dumps(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALT_WEIGHTS", str(weights))
        patch.setenv("SALT_VBENCH", str(vbench))
        yield weights


@pytest.fixture(scope="module")
def chain(salt: Salt, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with everything, made verb by verb."""
    out = tmp_path_factory.mktemp("mini")
    for words in (
        ["teacher", "--run-dir", out / "run", "--out", out / "teacher"],
        ["latents", "--teacher", out / "teacher", "--out", out / "latents"],
        ["ode-pairs", "ode_init", *given(out), "--out", out / "pairs"],
        ["train", "ode_init", *given(out), "--pairs", out / "pairs", *places(out, "ode_init")],
        ["train", "self_forcing", *given(out), "--init", out / "ode_init", *places(out, "self_forcing")],
        ["train", "sc_dmd", *given(out), *places(out, "sc_dmd")],
    ):
        answer = salt(*words, "--scale", "mini")
        assert answer.code == 0, answer.err
    return out


def given(out: Path) -> list[object]:
    return ["--teacher", out / "teacher", "--latents", out / "latents"]


def places(out: Path, name: str) -> list[object]:
    return ["--run-dir", out / "runs" / name, "--out", out / name]


# ----------------------------------------------------------------------------------------------- the chain
def test_links_are_hashed_and_copy_nothing(chain: Path, site: Path) -> None:
    known = json.loads((chain / "teacher" / "provenance.json").read_text())
    assert known["linked"]["vae"] == str(site / "Wan-mini" / "vae")
    assert known["linked"]["larger"] == str(site / "Wan-large" / "transformer")
    names = {path.relative_to(chain / "teacher").as_posix() for path in (chain / "teacher").rglob("*.*")}
    assert set(known["files"]) == names - {"provenance.json"}
    assert all((chain / "teacher" / name).is_symlink() for name in known["files"])
    assert len([name for name in names if name.startswith("transformer/") and name.endswith(".safetensors")]) > 1


def test_a_clip_with_a_video_is_that_video_and_the_others_the_teachers_own(
    chain: Path, site: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with safe_open(chain / "latents" / "shard_00000.safetensors", "pt") as file:
        latents = file.get_tensor("latents").float()
        assert json.loads(file.metadata()["captions"]) == CAPTIONS[:4]
    monkeypatch.setenv("SALT_ROOT", str(root))
    assets = load_assets(chain / "teacher", load_scale("mini"))
    clip = read_clip(site / "data" / "ball.mp4", 9, 16, 32, 48)
    video = torch.from_numpy(clip).permute(3, 0, 1, 2)[None].float() / 255
    with torch.no_grad():
        expected = assets.codec.encode(video)[0]
    torch.testing.assert_close(latents[1], expected, rtol=2e-3, atol=2e-3)
    assert latents.shape == (4, 4, 3, 4, 6)
    assert latents[0].std() > 0.3, "from noise of variance 1"


def test_guidance_steers_away_from_the_negative_caption(
    chain: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALT_ROOT", str(root))
    assets = load_assets(chain / "teacher", load_scale("mini"))
    snow, nothing = assets.text_encoder.encode(["snow", ""])
    assert not torch.equal(snow, nothing)
    asked: list[torch.Tensor] = []

    def model(x_t: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        asked.append(text)
        return x_t

    network = Network(model, assets.text_encoder, 3.0, negative=assets.scale.text.negative)
    network.velocity(["rain"])(torch.zeros(1, 4, 1, 2, 2), torch.ones(1))
    assert torch.equal(asked[1][0], snow)
    for empty, expected in (("snow", snow), ("", nothing)):
        batch = open_bank(chain / "latents", assets, 0, empty=empty).batch([0, 1])
        assert torch.equal(batch.empty_text[0], expected)


def test_two_jobs_share_the_latents(salt: Salt, chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salt.stages.latents.SHARD_BYTES", 2 * 2 * 4 * 3 * 4 * 6)
    words = ["latents", "--scale", "mini", "--teacher", chain / "teacher", "--out", tmp_path / "latents"]
    for more in (["--part", "0/2"], ["--part", "1/2"], []):
        answer = salt(*words, *more)
        assert answer.code == 0, answer.err
    shards = sorted((tmp_path / "latents").glob("shard_*"))
    parts = [load_file(shard)["latents"] for shard in shards]
    assert [len(part) for part in parts] == [2, 2]
    assert torch.equal(torch.cat(parts), load_file(chain / "latents" / "shard_00000.safetensors")["latents"])
    refused(salt, [*words, "--part", "2/2"], "--part 2/2: accepted: i/n with 0 <= i < n")


def test_the_text_encoder_computes_in_its_own_precision(chain: Path, site: Path) -> None:
    half, full = (load_text_encoder(chain / "teacher", 8, dtype) for dtype in (torch.bfloat16, torch.float32))
    assert half.model.dtype == torch.bfloat16
    one, other = half.encode(CAPTIONS), full.encode(CAPTIONS)
    assert one.dtype == torch.float32
    assert not torch.equal(one, other)
    torch.testing.assert_close(one, other, rtol=0.1, atol=0.1)
    reference = UMT5EncoderModel.from_pretrained(site / "Wan-mini" / "text_encoder")
    ids = full.tokenizer(CAPTIONS[0], return_tensors="pt")
    torch.testing.assert_close(other[0, : ids.input_ids.shape[1]], reference(**ids).last_hidden_state[0])


def test_students_are_trained_and_sampled(salt: Salt, chain: Path, tmp_path: Path) -> None:
    words = ["sample", "self_forcing", "--scale", "mini", "--teacher", chain / "teacher"]
    answer = salt(*words, "--weights", chain / "self_forcing", "--out", tmp_path / "videos")
    assert answer.code == 0, answer.err
    files = sorted((tmp_path / "videos").rglob("*.mp4"))
    assert [file.relative_to(tmp_path / "videos").as_posix() for file in files][:2] == [
        "extended_cm_2/v0000/0.mp4",
        "extended_cm_2/v0001/0.mp4",
    ]
    assert read_mp4(files[0]).shape == (9, 32, 48, 3)


@pytest.mark.parametrize(
    ("verb", "name", "metric"), [("defect", "sc_dmd", "defect_mean"), ("caches", "self_forcing", "mismatch@chunk2")]
)
def test_students_are_measured_on_the_prompts_of_the_scale(
    salt: Salt, chain: Path, tmp_path: Path, verb: str, name: str, metric: str
) -> None:
    out = tmp_path / f"{name}_seed0_{verb}.csv"
    answer = salt(verb, chain / name, "--scale", "mini", "--teacher", chain / "teacher", "--out", out)
    assert answer.code == 0, answer.err
    records = pd.read_csv(out).set_index("metric")
    assert records.loc[[metric], "n"].tolist() == [2] * len(records.loc[[metric]])
    assert np.isfinite(records["value"]).all()


# ------------------------------------------------------------------------------------------------ mistakes
def test_a_missing_part_is_reported_with_its_place(
    salt: Salt, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["teacher", "--scale", "mini", "--run-dir", tmp_path / "run", "--out", tmp_path / "out"]
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path))
    refused(salt, words, tmp_path / "Wan-mini" / "transformer", "there is no config.json", "docs/paper_scale.md")
    monkeypatch.delenv("SALT_WEIGHTS")
    monkeypatch.setenv("SALT_SCRATCH", str(tmp_path / "large_disk"))
    refused(salt, words, tmp_path / "large_disk" / "released" / "Wan-mini" / "transformer")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_shape_are_refused(
    salt: Salt, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(site, tmp_path / "weights")
    config = tmp_path / "weights" / "Wan-mini" / "transformer" / "config.json"
    config.write_text(config.read_text().replace('"num_layers": 2', '"num_layers": 3'))
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path / "weights"))
    words = ["teacher", "--scale", "mini", "--run-dir", tmp_path / "run", "--out", tmp_path / "out"]
    refused(salt, words, "num_layers=3, but the scale's backbone has num_layers=2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "captions.jsonl: no caption; accepted: UTF-8, in .txt a caption a line"),
        ('{"caption": "a"}\n' * 3, "3 captions; accepted: data.clips=4 or more"),
        ('{"caption": "a"}\n{"caption": " "}\n' * 2, "2 captions; accepted: data.clips=4 or more"),
        ('{"caption": "a"}\n' * 2 + "a caption\n" * 2, "2 captions; accepted: data.clips=4 or more"),
        ('{"words": "a"}\n' * 4, "line 1: no caption, prompt, text among words"),
        ('{"caption": "a", "video": "none.mp4"}\n' * 4, "line 1: there is no file"),
    ],
)
def test_wrong_captions_are_refused(
    salt: Salt, chain: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "captions.jsonl").write_text(text)
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path))
    words = ["latents", "--scale", "mini", "--teacher", chain / "teacher", "--out", tmp_path / "out"]
    refused(salt, words, message)


def test_a_video_that_is_too_short_is_refused(site: Path) -> None:
    with pytest.raises(Exception, match=r"ball\.mp4: 12 frames at 16 a second; accepted: 13 or more"):
        read_clip(site / "data" / "ball.mp4", 13, 16, 32, 48)


def test_frames_are_taken_at_the_rate_of_the_scale(site: Path) -> None:
    levels = [int(frame.mean()) for frame in read_clip(site / "data" / "ball.mp4", 6, 8, 32, 48)]
    np.testing.assert_allclose(levels, [0, 40, 80, 120, 160, 200], atol=4)
    levels = [int(frame.mean()) for frame in read_clip(site / "data" / "ball.mp4", 6, 32, 32, 48)]
    np.testing.assert_allclose(levels, [0, 20, 20, 40, 40, 60], atol=4)


def test_a_student_is_exported_as_a_whole_pipeline(salt: Salt, chain: Path, tmp_path: Path) -> None:
    """Which diffusers opens as it is, and samples videos from."""
    words = ["--scale", "mini", "--teacher", chain / "teacher", "--layout", "diffusers", "--out", tmp_path / "pipeline"]
    answer = salt("export", chain / "sc_dmd", *words)
    assert answer.code == 0, answer.err
    pipeline = WanPipeline.from_pretrained(tmp_path / "pipeline")
    pipeline.set_progress_bar_config(disable=True)
    shape = {"height": 32, "width": 48, "num_frames": 9, "max_sequence_length": 8}
    frames = pipeline(CAPTIONS[0], num_inference_steps=2, guidance_scale=1.0, output_type="np", **shape).frames
    assert frames.shape == (1, 9, 32, 48, 3)
    assert np.isfinite(frames).all()
    assert "height=32, width=48, num_frames=9" in (tmp_path / "pipeline" / "README.md").read_text()
    causal = f"{chain / 'self_forcing'}: self_forcing makes its videos chunk by chunk, which WanPipeline does not"
    refused(salt, ["export", chain / "self_forcing", *words], causal)
