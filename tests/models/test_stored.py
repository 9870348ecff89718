"""Files and folders of weights as people publish them: read, or refused with what they are and the way out."""

import argparse
import json
import os
import re

import pytest
import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from salt.errors import SaltError
from salt.models.names import to_original
from salt.models.released import released_weights
from salt.models.stored import read_tensors
from salt.models.wan import build_wan
from support.backbones import backbone

WEIGHTS = {to_original(n): v for n, v in build_wan(backbone(num_layers=1), seed=3).transformer.state_dict().items()}


def equal(found, expected=WEIGHTS):
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def refused(path, message):
    with pytest.raises(SaltError, match=message) as caught:
        read_tensors(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


# ---------------------------------------------------------------------------------------------- folders
def in_bin(folder):
    torch.save(WEIGHTS, folder / "diffusion_pytorch_model.bin")


def in_bin_shards(folder):
    names = sorted(WEIGHTS)
    for number, part in enumerate((names[::2], names[1::2])):
        torch.save({name: WEIGHTS[name] for name in part}, folder / f"pytorch_model-{number}.bin")
    place = {name: f"pytorch_model-{number % 2}.bin" for number, name in enumerate(names)}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": place}))


def in_a_variant(folder):
    save_file(WEIGHTS, folder / "diffusion_pytorch_model.fp16.safetensors")


def beside_pickles(folder):
    """Wan's own repositories hold the text encoder and the autoencoder beside the transformer."""
    save_file(WEIGHTS, folder / "diffusion_pytorch_model.safetensors")
    torch.save({"other": torch.ones(1)}, folder / "Wan2.1_VAE.pth")


@pytest.mark.parametrize("write", [in_bin, in_bin_shards, in_a_variant, beside_pickles])
def test_folders_that_are_read(tmp_path, write):
    write(tmp_path)
    assert equal(read_tensors(tmp_path))


def test_an_index_is_read_by_its_name(tmp_path):
    in_bin_shards(tmp_path)
    assert equal(read_tensors(tmp_path / "pytorch_model.bin.index.json"))


def test_of_two_files_one_is_to_be_named(tmp_path):
    in_a_variant(tmp_path)
    beside_pickles(tmp_path)
    named = re.search(r"meant, as (.+)$", refused(tmp_path, "holds diffusion_pytorch_model.fp16.safe"))[1]
    assert equal(read_tensors(tmp_path / named))


def test_a_whole_pipeline_names_the_folder_of_its_network(tmp_path):
    (tmp_path / "transformer").mkdir()
    beside_pickles(tmp_path / "transformer")
    (tmp_path / "model_index.json").write_text("{}")
    named = re.search(r"network, as (.+)$", refused(tmp_path, "a whole pipeline"))[1]
    assert equal(read_tensors(tmp_path / named))


def test_a_folder_of_torchs_distributed_checkpoint_says_how_it_is_converted(tmp_path):
    state = {f"net.{name}": value for name, value in WEIGHTS.items()}
    torch.distributed.checkpoint.save(state, checkpoint_id=tmp_path / "iter_3", no_dist=True)
    message = refused(tmp_path / "iter_3", r"could run code; if you trust it")
    assert f"format_utils dcp_to_torch {tmp_path / 'iter_3'} iter_3.pt`" in message
    dcp_to_torch_save(tmp_path / "iter_3", tmp_path / "iter_3.pt")  # what that command calls
    assert equal(released_weights(tmp_path / "iter_3.pt")[0])


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"a": "../out/w.safetensors"}, "'../out/w.safetensors' is not the name of a file beside the index"),
        ({"a": "/w.safetensors"}, "is not the name of a file beside the index"),
        ({"a": "w.safetensors", "b": "w.safetensors"}, "'b' is missing, which .*index.json says is there"),
        ({"a": "w.safetensors", "c": "again.safetensors"}, "'a' is in another shard as well"),
        ({"a": "none.safetensors"}, r"none.safetensors: shard missing \(1 in all\)"),
        ({"a": "x" * 5000}, r"\.\.\.: shard missing"),
        ({"a": 3}, "`weight_map` from names of weights to files"),
        ({}, "`weight_map` from names of weights to files"),
        ([], "`weight_map` from names of weights to files"),
        (None, "`weight_map` from names of weights to files"),
    ],
)
def test_indices_that_lead_elsewhere_or_nowhere(tmp_path, shards, message):
    (tmp_path / "out").mkdir()
    save_file({"a": torch.ones(1)}, tmp_path / "out" / "w.safetensors")
    folder = tmp_path / "in"
    folder.mkdir()
    save_file({"a": torch.ones(1)}, folder / "w.safetensors")
    save_file({"a": torch.ones(1), "c": torch.ones(1)}, folder / "again.safetensors")
    index = folder / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    refused(index, message)


# ------------------------------------------------------------------------------------------------ files
FOREIGN = {
    "a pointer of Git LFS and not the file itself, which `git lfs pull` fetches": b"version https://git-lfs.github.com/",
    "a page of HTML, as of a download that failed": b"<!DOCTYPE html><html>",
    "a GGUF file, of quantised weights": b"GGUF\3\0\0\0",
    "neither safetensors nor a whole file of torch.save": b"whatever",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_files_of_another_kind_are_named(tmp_path, what):
    (tmp_path / "w.pt").write_bytes(FOREIGN[what])
    refused(tmp_path / "w.pt", what)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_named_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, "a file is expected; this is none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"w": torch.ones(2, 2).to_sparse()}, "'w' is sparse or nested; a dense tensor"),
        ({"w": torch.ones(2, device="meta")}, "'w' has no values; a dense tensor"),
        ({"generator": {"w": torch.ones(2, 2).to_sparse()}}, "'w' is sparse or nested"),
        (
            {"args": argparse.Namespace(seed=1)},
            r"it holds more than tensors: argparse\.Namespace, and read",
        ),
        (torch.nn.Linear(2, 2), r"more than tensors: torch\.nn\.modules\.linear\.Linear"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_no_dense_tensor_is_refused(tmp_path, content, message, zipped):
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "w.pt", message)
