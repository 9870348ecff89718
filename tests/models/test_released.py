"""Released files of every kind, made here in small: wrapped, prefixed, averaged, sharded, adapted, hostile, broken."""

import itertools
import json
import os

import pytest
import torch
from safetensors.torch import save_file

from salt.config.backbone import Backbone
from salt.errors import SaltError
from salt.models.names import to_original
from salt.models.released import released_weights
from salt.models.stored import read_tensors
from salt.models.wan import build_wan, empty_wan, wan_of
from support.backbones import backbone

BACKBONE = backbone()


@pytest.fixture(scope="module")
def weights():
    """Of a small network, under diffusers' names."""
    return dict(build_wan(BACKBONE, seed=3).transformer.state_dict())


@pytest.fixture(scope="module")
def original(weights):
    return {to_original(name): value for name, value in weights.items()}


def equal(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


def prefixed(weights, prefix, infix=""):
    return {f"{prefix}{infix}{name}": value for name, value in weights.items()}


def inside(name, infix):
    """Self-Forcing's averages: a wrapper before every module of a name."""
    return ".".join(f"{infix}.{part}" if not part.isdigit() else part for part in name.split("."))


PREFIXES = ("", "model.", "net.", "generator.", "diffusion_model.", "generator.model.")
INFIXES = ("", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.", "module.")


@pytest.mark.parametrize(("prefix", "infix"), itertools.product(PREFIXES, INFIXES))
def test_every_prefix_and_every_wrapper_comes_off(tmp_path, original, prefix, infix):
    torch.save(prefixed(original, prefix, infix), tmp_path / "w.pt")
    found, which = released_weights(tmp_path / "w.pt")
    assert which == "regular"
    assert equal(found, original)


def test_wrappers_between_all_parts_come_off(tmp_path, original):
    wrapped = {f"model.{inside(name, '_fsdp_wrapped_module')}": value for name, value in original.items()}
    torch.save({"generator_ema": wrapped}, tmp_path / "w.pt")
    found, which = released_weights(tmp_path / "w.pt")
    assert which == "ema"
    assert equal(found, original)


FORMATS = {
    "Self-Forcing": ("generator", "generator_ema", "critic"),
    "CausVid": ("generator",),
    "Infinite-Forcing": ("ema_model",),
    "diffusers training": ("state_dict",),
    "Wan-AI mirror": ("model",),
}


@pytest.mark.parametrize("keys", FORMATS.values(), ids=FORMATS)
def test_holders_are_unwrapped(tmp_path, original, keys):
    held = {key: prefixed({n: v + i for n, v in original.items()}, "model.") for i, key in enumerate(keys)}
    torch.save(held | {"step": 600}, tmp_path / "w.pt")
    both = {"generator", "generator_ema"} <= set(keys)
    if both:
        with pytest.raises(SaltError, match="holds ema and regular weights; name one"):
            released_weights(tmp_path / "w.pt")
    found, which = released_weights(tmp_path / "w.pt", "regular" if both else None)
    assert equal(found, original)
    assert which == ("ema" if keys[0] == "ema_model" else "regular")
    if both:
        averaged, _ = released_weights(tmp_path / "w.pt", "ema")
        assert equal(averaged, {name: value + 1 for name, value in original.items()})


def test_an_average_that_is_not_there_is_refused(tmp_path, original):
    torch.save({"generator": original}, tmp_path / "w.pt")
    with pytest.raises(SaltError, match=r"w\.pt: --which ema: it holds regular weights"):
        released_weights(tmp_path / "w.pt", "ema")


@pytest.mark.parametrize("average", ["net_ema", "ema", "generator_ema", "model_ema"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_an_average_beside_the_last_state(tmp_path, original, average, wrapped):
    """Under its own key, or in one mapping with a prefix, as rCM's trainer keeps `net` and `net_ema`."""
    later = {name: value + 1 for name, value in original.items()}
    both = {"net": original, average: later} if wrapped else prefixed(original, "net.") | prefixed(later, f"{average}.")
    torch.save(both, tmp_path / "w.pt")
    with pytest.raises(SaltError, match="holds ema and regular weights; name one"):
        released_weights(tmp_path / "w.pt")
    for which, expected in (("ema", later), ("regular", original)):
        found, chosen = released_weights(tmp_path / "w.pt", which)
        assert equal(found, expected)
        assert chosen == which


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "holds no weights"),
        ({"generator": {}}, "holds no weights"),
        ({"generator": {"a": torch.ones(1)}, "model": {"a": torch.ones(1)}}, "networks under generator and model"),
        ({3: torch.ones(1)}, "3 is a int; names of weights are expected"),
        ({"generator": {("a", "b"): torch.ones(1)}}, "is a tuple; names of weights are expected"),
        ({"generator": {"model": {"a": torch.ones(1)}}}, "'model' is a dict; weights are expected"),
    ],
)
def test_files_without_one_network(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(SaltError, match=message):
        released_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("kept", [None, torch.zeros(8, dtype=torch.uint8)])
def test_what_transformer_engine_keeps_is_left_out(tmp_path, original, kept):
    torch.save({"generator": original | {"blocks.0.self_attn._extra_state": kept}}, tmp_path / "w.pt")
    assert equal(released_weights(tmp_path / "w.pt")[0], original)


@pytest.mark.parametrize("names", ["weights", "original"])
@pytest.mark.parametrize("shards", [1, 3])
def test_safetensors_with_and_without_shards(tmp_path, request, names, shards):
    expected = request.getfixturevalue(names)
    write_shards(tmp_path, expected, shards)
    found, _ = released_weights(tmp_path)
    assert equal(found, expected)
    network = wan_of(found, BACKBONE, tmp_path)
    assert equal(dict(network.transformer.state_dict()), request.getfixturevalue("weights"))


def write_shards(folder, weights, shards):
    files = [f"diffusion_pytorch_model-{i + 1:05d}-of-{shards:05d}.safetensors" for i in range(shards)]
    place = {name: files[i % shards] for i, name in enumerate(weights)}
    for file in files:
        save_file({name: weights[name].contiguous() for name in weights if place[name] == file}, folder / file)
    if shards > 1:
        index = {"metadata": {}, "weight_map": place}
        (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return files


def test_a_lacking_shard_and_a_lying_index_are_named(tmp_path, weights):
    files = write_shards(tmp_path, weights, 2)
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    body = json.loads(index.read_text())
    body["weight_map"]["not.there"] = files[0]
    index.write_text(json.dumps(body))
    with pytest.raises(SaltError, match=rf"{files[0]}: 'not.there' is missing"):
        read_tensors(tmp_path)
    (tmp_path / files[1]).unlink()
    with pytest.raises(SaltError, match=rf"{files[1]}: shard missing \(1 in all\)"):
        read_tensors(tmp_path)


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, original):
    torch.save({"generator": original, "config": Hostile(tmp_path / "run")}, tmp_path / "w.pt")
    with pytest.raises(SaltError, match=r"w\.pt: refused: it holds more than tensors"):
        read_tensors(tmp_path / "w.pt")
    assert not (tmp_path / "run").exists()


def test_a_file_of_an_old_torch_is_read(tmp_path, original):
    torch.save(original, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    assert equal(read_tensors(tmp_path / "w.pt"), original)


def damaged(kind, path, original):
    torch.save(original, path)
    if kind == "missing":
        path.unlink()
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
    elif kind == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "list":
        torch.save(list(original.values()), path)


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "empty", "list"])
def test_damaged_files_are_one_line(tmp_path, original, kind, ending):
    path = tmp_path / f"w{ending}"
    damaged(kind, path, original)
    with pytest.raises(SaltError, match=str(path)) as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.head.bias"), r"missing weights 'proj_out.bias' \(1 in all\)"),
        (lambda w: w.update(extra=torch.ones(1)), "unexpected weights 'extra'"),
        (lambda w: w.update({"head.head.bias": torch.ones(5)}), r"'head.head.bias' are \(5,\), but .* \(2,\)"),
        (lambda w: w["head.head.bias"].fill_(float("nan")), "'head.head.bias' hold NaN"),
    ],
)
def test_a_network_takes_exactly_its_weights(tmp_path, original, change, message):
    changed = {name: value.clone() for name, value in original.items()}
    change(changed)
    with pytest.raises(SaltError, match=message):
        wan_of(changed, BACKBONE, tmp_path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": torch.ones(1), "model.a": torch.ones(1)}, "both say 'a'|another name both say"),
        ({"a": torch.ones(1, dtype=torch.int8)}, "'a' is torch.int8: quantised"),
        ({"a": torch.ones(1).to(torch.float8_e4m3fn)}, "'a' is torch.float8_e4m3fn: quantised"),
        ({"a": torch.ones(1), "b": 3}, "'b' is a int; weights are expected"),
    ],
)
def test_what_is_no_network_is_refused(tmp_path, weights, message):
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(SaltError, match=message):
        released_weights(tmp_path / "w.pt")


def test_dtypes_are_kept(tmp_path, original):
    torch.save({name: value.bfloat16() for name, value in original.items()}, tmp_path / "w.pt")
    network = wan_of(released_weights(tmp_path / "w.pt")[0], BACKBONE, tmp_path)
    assert {value.dtype for value in network.parameters()} == {torch.bfloat16}


def test_the_size_of_the_paper_needs_no_memory():
    values = BACKBONE.model_dump() | {"num_layers": 40, "num_attention_heads": 40, "attention_head_dim": 128}
    network = empty_wan(Backbone(**values | {"ffn_dim": 13824}))
    assert {value.device.type for value in network.parameters()} == {"meta"}
