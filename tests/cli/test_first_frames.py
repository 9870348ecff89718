"""Image-to-video at a scale of released networks: from the links to sampled students, as Table 1 is made.

Everything is made here and small: Wan's I2V transformer and autoencoder, UMT5, CLIP, captioned videos, images.
"""

import json
import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from salt.config.load import load_scale
from salt.evaluation.sampling.conditioning import FirstFrames
from salt.evaluation.scorers import evaluation_prompts
from salt.evaluation.video import read_mp4
from salt.stages.latents import open_bank
from salt.stages.shared.assets import load_assets
from support.backbones import MINI
from support.chain import Salt, refused
from support.mini import CAPTIONS, SCALE, make_pipeline, make_video

ANIMATED = SCALE | {
    "assets": "Wan-i2v",
    "data": {"captions": "data/images.jsonl", "clips": 4},
    "first_frame": {"tokens": 17},
    "backbone": MINI | {"in_channels": 12, "image_dim": 24, "added_kv_proj_dim": 32},
    "evaluation": SCALE["evaluation"]
    | {
        "short_nfe": [],
        "vbench": {"suite": "i2v", "prompt_list": "i2v.json", "prompt_list_hash": None, "extended_list": None},
    },
}
ANIMATED.pop("larger")


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, captioned videos and VBench-I2V's images, and a scale `animated` that names them."""
    (root / "experiments" / "scales" / "animated.yaml").write_text(yaml.safe_dump(ANIMATED))
    weights, vbench = tmp_path_factory.mktemp("weights"), tmp_path_factory.mktemp("vbench")
    make_pipeline(weights / "Wan-i2v", ANIMATED["backbone"])
    clip = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=7
    )
    CLIPVisionModel(clip).save_pretrained(weights / "Wan-i2v" / "image_encoder")
    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=28)
    processor.save_pretrained(weights / "Wan-i2v" / "image_processor")
    make_video(weights / "data" / "ball.mp4")
    lines = [{"caption": caption, "video": "ball.mp4"} for caption in CAPTIONS]
    (weights / "data" / "images.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [
        {"prompt_en": caption, "dimension": ["i2v_subject"], "image_name": f"{caption}.png"} for caption in CAPTIONS[:2]
    ]
    (vbench / "prompts").mkdir()
    (vbench / "prompts" / "i2v.json").write_text(json.dumps(rows))
    for number, row in enumerate(rows):
        write_picture(vbench / "images" / "7-4" / row["image_name"], 60 + 100 * number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALT_WEIGHTS", str(weights))
        patch.setenv("SALT_VBENCH", str(vbench))
        yield weights


def write_picture(path: Path, level: int) -> None:
    """A plain picture, 40 x 70."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="image2") as file:
        stream = file.add_stream("png")
        stream.height, stream.width, stream.pix_fmt = 40, 70, "rgb24"
        frame = av.VideoFrame.from_ndarray(np.full((40, 70, 3), level, np.uint8), format="rgb24")
        file.mux(stream.encode(frame))
        file.mux(stream.encode())


@pytest.fixture(scope="module")
def chain(salt: Salt, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with everything, made verb by verb."""
    out = tmp_path_factory.mktemp("animated")
    given = ["--teacher", out / "teacher", "--latents", out / "latents"]
    for words in (
        ["teacher", "--run-dir", out / "run", "--out", out / "teacher"],
        ["latents", "--teacher", out / "teacher", "--out", out / "latents"],
        ["train", "sc_dmd", *given, "--run-dir", out / "run", "--out", out / "sc_dmd"],
        sampling(out, out / "videos"),
    ):
        answer = salt(*words, "--scale", "animated")
        assert answer.code == 0, answer.err
    return out


def sampling(out: Path, videos: Path, *more: object) -> list[object]:
    return ["sample", "sc_dmd", "--teacher", out / "teacher", "--weights", out / "sc_dmd", "--out", videos, *more]


# ----------------------------------------------------------------------------------------------- the chain
def test_clips_are_kept_with_their_first_frames(
    chain: Path, root: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALT_ROOT", str(root))
    assets = load_assets(chain / "teacher", load_scale("animated"))
    batch = open_bank(chain / "latents", assets, 0).batch([0, 1, 2])
    assert batch.image is not None
    assert batch.image.features is not None
    assert batch.image.features.shape == (3, 17, 24)
    frame = torch.from_numpy(read_mp4(site / "data" / "ball.mp4")[:1, :32, :48]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = assets.encode_first_frames(frame)
    torch.testing.assert_close(batch.image.latents[:1], expected.latents, rtol=5e-3, atol=5e-3)
    torch.testing.assert_close(batch.image.features[:1], expected.features, rtol=5e-3, atol=5e-3)
    torch.testing.assert_close(batch.image.latents[:, :, 0], batch.x_0[:, :, 0], rtol=2e-3, atol=2e-3)


def test_videos_begin_with_the_images_of_their_prompts(
    chain: Path, root: Path, salt: Salt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks are conditioned on them: other images, other videos, from the same noise and captions."""
    monkeypatch.setenv("SALT_ROOT", str(root))
    scale = load_scale("animated")
    for prompt, level in zip(evaluation_prompts(scale), (60, 160), strict=True):
        frame = FirstFrames(scale).frame(prompt, 0)
        assert frame.shape == (32, 48, 3)
        assert np.abs(frame.astype(int) - level).max() <= 1
    frame = FirstFrames.frame
    monkeypatch.setattr(FirstFrames, "frame", lambda *given: 255 - frame(*given))
    answer = salt(*sampling(chain, tmp_path), "--scale", "animated")
    assert answer.code == 0, answer.err
    before, after = (sorted(folder.rglob("*.mp4")) for folder in (chain / "videos", tmp_path))
    assert len(before) == len(after) == 2 * 2
    assert all(one.read_bytes() != other.read_bytes() for one, other in zip(before, after, strict=True))
    manifest = json.loads((chain / "videos" / "manifest.json").read_text())
    assert "image_encoder" in manifest["weights"]


def test_videos_of_other_images_are_made_anew(
    chain: Path, salt: Salt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(os.environ["SALT_VBENCH"], tmp_path / "vbench")
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path / "vbench"))
    videos = tmp_path / "videos"
    shutil.copytree(chain / "videos", videos)
    before = [path.read_bytes() for path in sorted(videos.rglob("*.mp4"))]
    write_picture(tmp_path / "vbench" / "images" / "7-4" / f"{CAPTIONS[1]}.png", 20)
    answer = salt(*sampling(chain, videos), "--scale", "animated")
    assert answer.code == 0, answer.err
    changed = [path.read_bytes() != old for path, old in zip(sorted(videos.rglob("*.mp4")), before, strict=True)]
    assert sum(changed) == len(before) / 2, "those of the other image, and no others"


def test_own_captions_bring_their_pictures(chain: Path, salt: Salt, tmp_path: Path) -> None:
    write_picture(tmp_path / "mine.png", 90)
    lines = [{"caption": "a red ball", "image": "mine.png"}, {"caption": "rain", "image": str(tmp_path / "mine.png")}]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    answer = salt(*sampling(chain, tmp_path / "v", "--prompts", tmp_path / "own.jsonl"), "--scale", "animated")
    assert answer.code == 0, answer.err
    assert len(list((tmp_path / "v").rglob("own0001/*.mp4"))) == 2
    known = json.loads((tmp_path / "v" / "prompts.json").read_text())["prompts"]
    assert len({prompt["image_hash"] for prompt in known}) == 1


# ------------------------------------------------------------------------------------------------ mistakes
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("own.txt", "rain\n", "1 of 1 prompts have no image (own0000 names none)"),
        ("own.jsonl", '{"caption": "rain"}\n', "1 of 1 prompts have no image (own0000 names none)"),
        ("own.jsonl", '{"caption": "rain", "image": "none.png"}\n', "line 1: there is no file"),
        ("own.jsonl", "rain\n", "line 1: Expecting value"),
    ],
)
def test_captions_without_a_picture_are_refused(
    chain: Path, salt: Salt, tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    words = sampling(chain, tmp_path / "v", "--prompts", tmp_path / name)
    refused(salt, [*words, "--scale", "animated"], message)
    assert not list(tmp_path.rglob("*.mp4"))


def test_a_missing_image_is_reported_before_any_video(
    chain: Path, salt: Salt, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(os.environ["SALT_VBENCH"], tmp_path / "vbench")
    (tmp_path / "vbench" / "images" / "7-4" / f"{CAPTIONS[1]}.png").unlink()
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path / "vbench"))
    words = sampling(chain, tmp_path / "v")
    refused(salt, [*words, "--scale", "animated"], f"1 of 2 prompts have no image ({tmp_path}", f"{CAPTIONS[1]}.png")
    assert not list(tmp_path.rglob("*.mp4"))


def test_training_captions_need_videos(
    chain: Path, salt: Salt, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images.jsonl").write_text('{"caption": "rain"}\n' * 4)
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path))
    words = ["latents", "--scale", "animated", "--teacher", chain / "teacher", "--out", tmp_path / "out"]
    refused(salt, words, "'rain' has no video", '{"caption": ..., "video": FILE}')


def test_a_text_to_video_network_is_refused(
    salt: Salt, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(site, tmp_path / "weights")
    shutil.rmtree(tmp_path / "weights" / "Wan-i2v" / "transformer")
    make_pipeline(tmp_path / "weights" / "Wan-i2v", MINI)
    monkeypatch.setenv("SALT_WEIGHTS", str(tmp_path / "weights"))
    words = ["teacher", "--scale", "animated", "--run-dir", tmp_path / "run", "--out", tmp_path / "out"]
    refused(salt, words, "in_channels=4, but the scale's backbone has in_channels=12")


def test_causal_students_are_refused(chain: Path, salt: Salt, tmp_path: Path) -> None:
    words = [
        "train",
        "ar_teacher",
        "--scale",
        "animated",
        "--teacher",
        chain / "teacher",
        "--latents",
        chain / "latents",
    ]
    message = "networks of scale animated are conditioned on a first frame, which causal ones do not take"
    refused(salt, [*words, "--run-dir", tmp_path / "run", "--out", tmp_path / "out"], message)
