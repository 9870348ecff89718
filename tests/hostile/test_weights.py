"""Generated files of weights: safetensors, what torch.save writes, shards with an index, LoRAs."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save, save_file

from salt.errors import SaltError
from salt.models.lora import merge_lora
from salt.models.names import to_original
from salt.models.released import released_weights
from salt.models.wan import build_wan, wan_of
from support.backbones import backbone
from support.readers import DEEP, JSON, NUMBERS, TEXTS, accepts, mutated

BACKBONE = backbone(num_layers=1)
WEIGHTS = {to_original(name): value for name, value in build_wan(BACKBONE, seed=3).transformer.state_dict().items()}
SMALL = {"a": torch.ones(3), "b.weight": torch.ones(2, 2, dtype=torch.bfloat16)}
LORA = {
    "diffusion_model.blocks.0.ffn.0.lora_down.weight": torch.ones(2, 24),
    "diffusion_model.blocks.0.ffn.0.lora_up.weight": torch.ones(24, 2),
    "diffusion_model.blocks.0.ffn.0.alpha": torch.tensor(1.0),
    "diffusion_model.blocks.0.diff_m": torch.ones(1, 6, 24),
}


def read(path: Path) -> None:
    """Take it for a network."""
    wan_of(released_weights(path)[0], BACKBONE, path)


def tried(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    merged = accepts(lambda: merge_lora(WEIGHTS, path), path.parent)
    return accepts(lambda: read(path), path.parent) or merged


def saved(content: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def test_what_is_mutated_is_accepted_unchanged(tmp_path: Path) -> None:
    assert tried(tmp_path / "w.safetensors", save(WEIGHTS))
    assert tried(tmp_path / "l.safetensors", save(LORA))
    for zipped in (True, False):
        assert tried(tmp_path / "w.pt", saved({"generator": WEIGHTS}, zipped))


# -------------------------------------------------------------------------------------------- safetensors
TENSOR = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "BF16", "F16", "I8", "BOOL", "F8_E4M3", "F4", "U64", "C64", "?"]),
        "shape": st.lists(NUMBERS, max_size=4),
        "data_offsets": st.lists(NUMBERS, min_size=2, max_size=2),
    }
)
NAMES = st.sampled_from([*WEIGHTS, *LORA]) | TEXTS
HEADS = st.dictionaries(NAMES, TENSOR | JSON, max_size=4) | JSON


@given(HEADS, st.none() | st.integers(0, 2**64 - 1), st.binary(max_size=64))
@example({}, 2**60, b"")
@example({}, 2**64 - 1, b"")
@example({"a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}}, None, b"")
@example({"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}, None, b"")
def test_heads_of_safetensors(tmp_path: Path, head: Any, announced: int | None, rest: bytes) -> None:
    text = json.dumps(head).encode()
    size = struct.pack("<Q", len(text) if announced is None else announced)
    assert not tried(tmp_path / "w.safetensors", size + text + rest)


@given(mutated(save(WEIGHTS)) | mutated(save(LORA)) | mutated(save(SMALL)) | st.binary(max_size=200))
def test_mutated_safetensors(tmp_path: Path, content: bytes) -> None:
    tried(tmp_path / "w.safetensors", content)


# ----------------------------------------------------------------------------------------------- pickles
@given(mutated(saved({"generator": WEIGHTS})) | mutated(saved(SMALL)))
def test_mutated_files_of_torch(tmp_path: Path, content: bytes) -> None:
    tried(tmp_path / "w.pt", content)


@given(mutated(saved({"generator": WEIGHTS}, zipped=False)) | mutated(saved(LORA, zipped=False)))
def test_mutated_files_of_an_old_torch(tmp_path: Path, content: bytes) -> None:
    tried(tmp_path / "w.pt", content)


GLOBALS = [
    *("os system", "posix system", "builtins eval", "builtins exec", "builtins getattr", "subprocess Popen"),
    *("builtins bytearray", "builtins __import__", "builtins open", "shutil rmtree", "pathlib Path", "torch load"),
    *("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "torch FloatStorage", "torch Size"),
    *("torch.storage UntypedStorage", "torch._utils _rebuild_sparse_tensor", "collections OrderedDict", "torch Tensor"),
    *(
        "torch.nn.parameter Parameter",
        "torch._utils _rebuild_meta_tensor_no_storage",
        "torch float32",
        "_codecs encode",
    ),
    *(
        "torch._tensor _rebuild_from_type_v2",
        "torch device",
        "collections Counter",
        "__builtin__ set",
        "_codecs encode",
    ),
    *("numpy._core.multiarray _reconstruct", "torch.hub load", "torch._utils _rebuild_qtensor", "a b\x1b[31m"),
]


def _long(number: int) -> bytes:
    data = pickle.encode_long(number)
    return b"\x8a" + bytes([len(data)]) + data


STEPS = st.one_of(
    st.sampled_from(GLOBALS).map(lambda name: b"c" + name.replace(" ", "\n").encode() + b"\n"),
    st.integers(-5, 300).map(_long),
    st.sampled_from([2**31, 10**10, 2**40, 2**62]).map(_long),
    st.sampled_from(["touch /tmp/hostile", "storage", "0", "cpu", "generator", "import os"]).map(
        lambda text: b"X" + struct.pack("<I", len(text)) + text.encode()
    ),
    st.sampled_from([b"(", b"}", b"]", b")", b"N", b"\x88", b"\x85", b"\x86", b"\x87", b"t", b"R", b"b", b"s", b"u"]),
    st.sampled_from([b"\x81", b"Q", b"e", b"a", b"q\x00", b"h\x00", b"0", b"2", b"\x93", b"o", b"i", b"\x8f", b"\x90"]),
    st.binary(min_size=1, max_size=3),
)
PROGRAMS = st.lists(STEPS, max_size=25).map(lambda steps: b"\x80\x02" + b"".join(steps) + b".")
ARGUMENTS = [_long(10**10), _long(2**40), b"X\x12\x00\x00\x00touch /tmp/hostile"]
"""Numbers of bytes, and a command."""


def archive(program: bytes, **entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in {"data.pkl": program, "version": b"3\n", "byteorder": b"little"}.items():
            opened.writestr(f"w/{name}", content)
        for name, content in entries.items():
            opened.writestr(f"w/data/{name}", content)
    return file.getvalue()


def bare(program: bytes) -> bytes:
    """As torch wrote before 1.6: a number, the format, the machine, the object, the names of its storages."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    first = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, machine))
    return first + program + pickle.dumps([], 2)


@given(PROGRAMS, st.booleans())
def test_pickles_of_any_steps(tmp_path: Path, program: bytes, zipped: bool) -> None:
    content = archive(program, **{"0": bytes(64)}) if zipped else bare(program)
    assert not tried(tmp_path / "w.pt", content)


@pytest.mark.parametrize("wrap", [archive, bare])
@pytest.mark.parametrize("name", GLOBALS)
def test_no_function_is_called_with_a_command_or_a_number_of_bytes(tmp_path: Path, name: str, wrap: Any) -> None:
    for argument in ARGUMENTS:
        call = b"c" + name.replace(" ", "\n").encode() + b"\n" + argument + b"\x85R"
        assert not tried(tmp_path / "w.pt", wrap(b"\x80\x02}X\x01\x00\x00\x00a" + call + b"s."))


@pytest.mark.parametrize("name", ["os system", "builtins eval", "builtins bytearray", "a b\x1b[31m"])
@pytest.mark.parametrize("wrap", [archive, bare])
def test_a_refused_pickle_names_the_type(tmp_path: Path, name: str, wrap: Any) -> None:
    program = b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n" + _long(10**10) + b"\x85R."
    (tmp_path / "w.pt").write_bytes(wrap(program))
    with pytest.raises(SaltError, match=name.split("\x1b")[0].replace(" ", ".")) as caught:
        read(tmp_path / "w.pt")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("zipped", [True, False])
def test_no_tensor_is_larger_than_its_file(tmp_path: Path, zipped: bool) -> None:
    (tmp_path / "w.pt").write_bytes(saved({"a": torch.ones(1).expand(2**40)}, zipped))
    with pytest.raises(SaltError, match="'a' is said to be larger than the file"):
        read(tmp_path / "w.pt")


def test_compressed_archives_are_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("w/data.pkl", bytes(100 << 20))
    assert not accepts(lambda: read(tmp_path / "w.pt"), tmp_path)


# ----------------------------------------------------------------------------------------------- shards
INDICES = st.one_of(
    JSON.map(json.dumps),
    st.builds(
        lambda shards: json.dumps({"weight_map": shards}),
        st.dictionaries(NAMES, st.sampled_from(["w.safetensors", "../w.safetensors", "", ".", "/"]) | JSON, max_size=4),
    ),
    mutated(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(WEIGHTS, "w.safetensors")}).encode()),
    st.sampled_from(DEEP),
)


@given(INDICES)
def test_indices(tmp_path: Path, index: str | bytes) -> None:
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    path = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    path.write_bytes(index.encode() if isinstance(index, str) else index)
    accepts(lambda: read(tmp_path), tmp_path)
    accepts(lambda: read(path), tmp_path)
