"""Every mistake a user can make with files and words: exit code 2, and one line that names it."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from salt.files import sha256
from support.chain import Made, corrupted, refused

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def train(made: Made, tmp_path: Path) -> Callable[..., list[object]]:
    """The command of a training that has not begun."""
    return lambda **other: made.words("train", **({"run_dir": tmp_path / "run", "out": tmp_path / "out"} | other))


# --------------------------------------------------------------------------------------------- words
@pytest.mark.parametrize("verb", ["train", "sample", "score"])
def test_unknown_experiment(salt, made, verb):
    words = made.words(verb)
    words[1] = "sc_dmb"
    refused(salt, words, "experiments/sc_dmb.yaml", "did you mean 'sc_dmd'?")


@pytest.mark.parametrize("verb", ["teacher", "latents", "train", "sample", "score", "defect"])
def test_unknown_scale(salt, made, verb):
    refused(salt, made.words(verb, scale="smok"), "smok", "smoke")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.itertions=3", "unknown key; did you mean 'iterations'?"),
        ("train.iterations", "KEY=VALUE is accepted"),
        ("=3", "KEY=VALUE is accepted"),
        ("train.iterations=", "accepted: section.key=value"),
        ("train.iterations=-1", "greater than 0"),
        ("train.optimiser.lr=nan", "accepted"),
        ("grid.steps=3", "T^(3) is not on the training grid: train_steps=8 must be a multiple of steps=3"),
        ("train.accumulate=3", "must be a multiple of accumulate=3"),
        ("scale.codec.width=12", "scale.codec.width = 12: accepted: a multiple of 8"),
    ],
)
def test_wrong_overrides(salt, train, tmp_path, change, message):
    refused(salt, train(set=change), message)
    assert not list(tmp_path.iterdir())


def test_a_teacher_is_no_student(salt, train):
    words = train()
    words[1] = "teacher"
    refused(salt, words, "`salt teacher` trains this one")


@pytest.mark.parametrize("verb", ["train", "teacher", "sample", "defect"])
def test_unknown_device(salt, made, tmp_path, verb):
    runs = {"run_dir": tmp_path / "run"} if verb in ("train", "teacher") else {}
    refused(salt, made.words(verb, out=tmp_path / "out", device="gpu7", **runs), "--device gpu7: ", "accepted: cpu")
    assert not list(tmp_path.iterdir())


def test_tensorboard_that_is_not_installed(salt, train, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    refused(salt, train(set="train.tensorboard=true"), "train.tensorboard=true needs the package tensorboard")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["train", "teacher"])
def test_a_folder_with_other_things_is_not_replaced(salt, made, tmp_path, verb):
    thesis = tmp_path / "home" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    for out, found in ((thesis.parent, "thesis.tex"), (thesis, "a file")):
        refused(salt, made.words(verb, run_dir=tmp_path / "run", out=out), f"--out {out}: {found} is in the way")
    assert thesis.read_text() == "years of work"


def test_a_run_directory_that_is_a_file(salt, train, tmp_path):
    (tmp_path / "run").write_text("")
    refused(salt, train(), f"--run-dir {tmp_path / 'run'}: a file is in the way")


def test_a_run_directory_of_another_configuration(salt, made, train):
    run_dir = made.folder / "runs" / "student"
    before = sorted(path.name for path in run_dir.iterdir())
    refused(
        salt,
        train(run_dir=run_dir, set="grid.train_steps=16"),
        run_dir,
        "begun with another configuration: grid.train_steps (there 8, now 16)",
    )
    assert sorted(path.name for path in run_dir.iterdir()) == before


def test_sampling_a_student_without_weights(salt, made, tmp_path):
    words = ["sample", "sc_dmd", "--scale", "smoke", "--teacher", made.teacher, "--out", tmp_path]
    refused(
        salt, words, "sc_dmd/seed0: no weights of sc_dmd, seed 0", "`snakemake ablation_sc_dmd --config scale=smoke`"
    )
    refused(salt, [*words, "--weights", tmp_path / "none"], tmp_path / "none" / "provenance.json")


@pytest.mark.parametrize("name", ["teacher", "real"])
def test_weights_for_what_has_none_of_its_own(salt, made, tmp_path, name):
    words = made.words("sample", out=tmp_path / "videos")
    words[1] = name
    refused(salt, words, f"{name}: --weights {made.weights}: only a student has weights of its own")
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------ weights of others
def test_weights_of_another_experiment(salt, made, tmp_path):
    words = made.words("sample", out=tmp_path / "videos")
    words[1] = "dmd_4"
    message = "trained as sc_dmd at scale smoke with seed 0, but dmd_4 at scale smoke with seed 0 is expected"
    refused(salt, words, f"{made.weights}: {message}")
    assert not list(tmp_path.iterdir())


def test_weights_of_another_seed(salt, made, tmp_path):
    message = "with seed 0, but sc_dmd at scale smoke with seed 1 is expected"
    refused(salt, made.words("sample", out=tmp_path / "videos", seed=1), message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["sample", "defect"])
def test_weights_of_another_configuration(salt, made, tmp_path, verb):
    """As when the experiment's file was changed after training, or `--set` of the training is left out."""
    changed = tmp_path / "weights"
    shutil.copytree(made.weights, changed)
    known = json.loads((changed / "provenance.json").read_text())
    known["experiment"]["objectives"]["sc"]["weight"] = 0.5
    known["experiment"]["title"] = "of no matter"
    (changed / "provenance.json").write_text(json.dumps(known))
    words = made.words(verb, out=tmp_path / "out", **({"weights": changed} if verb == "sample" else {}))
    if verb == "defect":
        words[1] = changed
    message = "trained with another configuration: objectives.sc.weight (there 0.5, now 1.0); accepted: the same --set"
    refused(salt, words, f"{changed}: {message}")
    assert not (tmp_path / "out").exists()


# -------------------------------------------------------------------------------------- own captions
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("../../etc/passwd", "mine.txt: line 1: '../../etc/passwd' is no caption of this world; accepted: "),
        ("a" * 10_001, "mine.txt: line 1: 10001 characters; accepted: "),
        ("", "mine.txt: no caption; accepted: "),
        ("a red square\0", "mine.txt: line 1: character 13 is U+0000; accepted: "),
        ("\na red corgi", "mine.txt: line 2: 'a red corgi' is no caption of this world; "),
        ("a red red square", "'a red red square' is no caption of this world; accepted: `a COLOUR SHAPE`"),
    ],
)
def test_captions_that_cannot_be_sampled(salt, made, tmp_path, text, message):
    (tmp_path / "mine.txt").write_text(text)
    refused(salt, made.words("sample", prompts=tmp_path / "mine.txt", out=tmp_path / "videos"), message)
    assert not (tmp_path / "videos").exists()


def test_there_are_no_real_clips_of_own_captions(salt, made, tmp_path):
    words = ["sample", "real", "--scale", "smoke", "--teacher", made.teacher, "--caption", "a red square"]
    refused(salt, [*words, "--out", tmp_path / "videos"], "real: --prompts or --caption: there are no clips")


# -------------------------------------------------------------------------------------- teacher files
def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def poison(path: Path) -> None:
    tensors = load_file(path)
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize("damage", [cut, poison, Path.unlink])
@pytest.mark.parametrize("name", [TRANSFORMER, "codec/codec.safetensors", "text_encoder/model.safetensors"])
def test_broken_weights_of_the_teacher(salt, made, train, name, damage):
    path = made.teacher / name
    with corrupted(path, damage):
        refused(salt, train(), made.teacher, path.parent.name)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("transformer", "num_layers", 3), ("codec", "channels", 6), ("text_encoder", "d_model", 48)],
)
def test_a_teacher_of_another_shape(salt, made, train, name, key, value):
    path = made.teacher / name / "config.json"
    with corrupted(path, lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))):
        refused(salt, train(), made.teacher / name if name != "text_encoder" else made.teacher)


def test_a_teacher_whose_codec_is_not_the_scales(salt, made, root, train):
    scale = root / "experiments" / "scales" / "smoke.yaml"
    there = yaml.safe_load(scale.read_text())["codec"]["channels"]
    with corrupted(scale, lambda path: path.write_text(path.read_text().replace(f"channels: {there}", "channels: 6"))):
        refused(salt, train(), made.teacher, f"codec.channels={there}, but scale smoke has codec.channels=6")


def test_no_teacher_at_all(salt, train, tmp_path):
    refused(salt, train(teacher=tmp_path / "none"), tmp_path / "none")


# -------------------------------------------------------------------------------------------- latents
def of_another_codec(folder: Path) -> None:
    index = folder / "index.json"
    known = json.loads(index.read_text())
    known["about"]["codec"] = "0" * 64
    index.write_text(json.dumps(known))


def shorter(folder: Path) -> None:
    """Every shard, and what the index knows of it: clips of another world."""
    index = folder / "index.json"
    known = json.loads(index.read_text())
    for name, shard in known["shards"].items():
        with safe_open(folder / name, "pt") as file:
            about, latents = file.metadata(), file.get_tensor("latents")
        save_file({"latents": latents[:, :, :2].contiguous()}, folder / name, metadata=about)
        shard |= {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    index.write_text(json.dumps(known))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: cut(folder / "shard_00000.safetensors"), "shard_00000.safetensors: bytes is "),
        (lambda folder: (folder / "shard_00000.safetensors").unlink(), "the shard is missing"),
        (lambda folder: (folder / "index.json").unlink(), "index.json: cannot be read"),
        (of_another_codec, "index.json: codec is '0000"),
        (shorter, "latents (4, 2, 6, 6); accepted: (4, 3, 6, 6)"),
    ],
)
def test_broken_latents(salt, made, train, tmp_path, damage, message):
    folder = tmp_path / "latents"
    shutil.copytree(made.latents, folder)
    damage(folder)
    refused(salt, train(latents=folder), folder, message, "`salt latents`")


# ------------------------------------------------------------------------------------------- training
@pytest.mark.parametrize("role", ["train.optimiser", "train.critic.optimiser"])
def test_a_loss_that_is_not_finite_stops_the_run(salt, train, tmp_path, role):
    refused(salt, train(set=f"{role}.lr=1e30"), tmp_path / "run", "loss is nan", "nothing was updated with it")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("greedy", [lambda *given: torch.empty(1 << 55), lambda *given: bytes(1 << 55)])
def test_too_little_memory(salt, made, tmp_path, monkeypatch, greedy):
    monkeypatch.setattr("salt.stages.sample.sample_cells", greedy)
    refused(salt, made.words("sample", out=tmp_path / "videos"), "out of memory (", "evaluation.batch_size")


# ------------------------------------------------------------------------------------- shipped assets
@pytest.fixture
def shipped(made: Made, root: Path) -> Path:
    folder = root / "assets" / "shipped"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made.teacher, folder)
    return folder


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)


def add(path: Path) -> None:
    path.with_name("notes.txt").write_text("mine")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (TRANSFORMER, flip, TRANSFORMER),
        ("codec/config.json", flip, "codec/config.json"),
        (TRANSFORMER, Path.unlink, TRANSFORMER),
        (TRANSFORMER, add, "transformer/notes.txt"),
        ("provenance.json", Path.unlink, "no shipped teacher"),
        ("provenance.json", cut, "provenance.json: cannot be read as JSON"),
        ("provenance.json", lambda path: path.write_text("[]"), "provenance.json: a list in place of a JSON object"),
        ("provenance.json", lambda path: path.write_text("{}"), "`weights` or `files` is expected"),
    ],
)
def test_changed_shipped_assets(salt, shipped, tmp_path, name, damage, message):
    damage(shipped / name)
    words = ["teacher", "--scale", "shipped", "--run-dir", tmp_path / "run", "--out", tmp_path / "out"]
    refused(salt, words, shipped, message)
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------------------- videos
@pytest.fixture
def videos(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.videos, tmp_path / "videos"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "1 missing (p0002/0.mp4)"),
        (lambda path: shutil.copy(path, path.with_name("1.mp4")), "1 extra (p0002/1.mp4)"),
        (cut, "p0002/0.mp4"),
        (lambda path: path.write_bytes(b""), "p0002/0.mp4"),
        (lambda path: path.write_text("no video"), "p0002/0.mp4"),
        (lambda path: shutil.rmtree(path.parents[1]), "6 missing (p0000/0.mp4; "),
    ],
)
def test_a_folder_of_videos_that_is_not_whole(salt, made, videos, tmp_path, damage, message):
    damage(videos / "short_cm_2" / "p0002" / "0.mp4")
    out = tmp_path / "records" / "sc_dmd_seed0_scores.csv"
    words = made.words("score", videos=videos, out=out, details=tmp_path / "details")
    refused(salt, words, videos, message)
    assert not out.exists()


# --------------------------------------------------------------------------------------------- defect
def test_weights_of_another_scale(salt, made):
    message = "trained as sc_dmd at scale smoke with seed 0, but sc_dmd at scale tiny"
    refused(salt, made.words("defect", scale="tiny"), made.weights, message)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"experiment": 3, "seed": 0}'])
def test_weights_without_provenance(salt, made, text):
    path = made.weights / "provenance.json"
    with corrupted(path, lambda path: path.write_text(text)):
        refused(salt, made.words("defect"), path, "not the provenance of weights made by `salt train`")


@pytest.mark.parametrize("damage", [cut, poison])
def test_broken_weights_of_a_student(salt, made, tmp_path, damage):
    path = made.weights / "diffusion_pytorch_model.safetensors"
    with corrupted(path, damage):
        refused(salt, made.words("defect", out=tmp_path / "x_defect.csv"), path)
        refused(salt, made.words("sample", out=tmp_path / "videos"), path)
