"""VBench's lists of prompts: the right file, the extended prompts that belong to it, or what is wrong in one line."""

import json

import pytest
from pydantic import ValidationError

from salt.config import content_hash, load_scale
from salt.config.scale import Evaluation
from salt.config.vbench import OF_ANY_PROMPT, VBench, vbench_folder, vbench_python
from salt.data.prompts import prompts_hash
from salt.data.vbench_prompts import read_vbench_prompts
from salt.errors import SaltError
from salt.files import sha256

ROWS = [
    {"prompt_en": "a red car", "dimension": ["color"], "auxiliary_info": {"color": {"color": "red"}}},
    {"prompt_en": "In a still frame, a stop sign", "dimension": ["temporal_flickering"]},
    {"prompt_en": "a red car", "dimension": ["overall_consistency", "aesthetic_quality"]},
]
LONG = ["A red car drives along a road by the sea.", "A stop sign at a crossing, nothing moves.", "A red car."]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "list.json").write_text(json.dumps(ROWS))
    (tmp_path / "long.txt").write_text("\n".join(LONG) + "\n")
    return tmp_path


def protocol(folder, **changes):
    own = {"prompt_list": "list.json", "prompt_list_hash": None, "extended_list": "long.txt"}
    return VBench(**(own | changes))


def test_ids_are_places_so_that_equal_captions_stay_apart(folder):
    prompts = read_vbench_prompts(folder, protocol(folder))
    assert [(prompt.id, prompt.short, prompt.extended) for prompt in prompts] == [
        (f"v000{i}", row["prompt_en"], long) for i, (row, long) in enumerate(zip(ROWS, LONG, strict=True))
    ]
    assert prompts[0].auxiliary == {"color": {"color": "red"}}
    assert prompts[0].texts("extended") == (LONG[0],)
    assert prompts_hash(prompts) != prompts_hash(read_vbench_prompts(folder, protocol(folder, extended_list=None)))


def test_without_extended_prompts_the_short_ones_stand_for_them(folder):
    prompts = read_vbench_prompts(folder, protocol(folder, extended_list=None))
    assert all(prompt.extended == prompt.short for prompt in prompts)


def test_a_plain_list_asks_for_what_needs_a_caption_only(folder):
    prompts = read_vbench_prompts(folder, protocol(folder, prompt_list="long.txt", extended_list=None))
    assert [prompt.short for prompt in prompts] == LONG
    assert {prompt.asked for prompt in prompts} == {OF_ANY_PROMPT}


def test_a_file_of_another_hash_is_refused(folder):
    found = sha256(folder / "list.json")
    read_vbench_prompts(folder, protocol(folder, prompt_list_hash=found))
    with pytest.raises(
        SaltError, match=rf"list.json: SHA-256 {found[:12]}\.\.\.; accepted: 0000.*prompt_list_hash says"
    ):
        read_vbench_prompts(folder, protocol(folder, prompt_list_hash="0" * 64))
    with pytest.raises(SaltError, match=r"long.txt: SHA-256 .*extended_list_hash says"):
        read_vbench_prompts(folder, protocol(folder, extended_list_hash="0" * 64))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("long.txt", "one\ntwo\n", "2 prompts; accepted: 3, one a line"),
        ("long.txt", "one\n\nthree\n", "2 prompts; accepted: 3"),
        ("long.txt", "\n".join(row["prompt_en"] for row in ROWS), "3 of 3 lines are the short prompts"),
        ("list.json", "[1]", "accepted: a list of VBench"),
        ("list.json", "{", "accepted: a list of VBench"),
        ("list.json", '[{"prompt_en": "x"}]', "KeyError.'dimension'.*accepted: a list of VBench"),
    ],
)
def test_another_file_is_refused(folder, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(SaltError, match=message) as error:
        read_vbench_prompts(folder, protocol(folder))
    assert str(folder / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_reported(folder):
    with pytest.raises(SaltError, match=r"none.json: there is no such file; accepted: .*docs/vbench.md"):
        read_vbench_prompts(folder, protocol(folder, prompt_list="none.json"))


# ------------------------------------------------------------------------------------------- the protocol
def test_scales_without_vbench_keep_their_hash():
    """Their videos and scores stay valid: the key is not even written where it is not used."""
    assert "vbench" not in Evaluation().model_dump(mode="json")
    for name in ("tiny", "smoke", "small"):
        assert "vbench" not in json.dumps(load_scale(name).model_dump(mode="json"))
    assert content_hash(Evaluation(vbench=VBench())) != content_hash(Evaluation())


def test_the_paper_scale_names_its_protocol():
    evaluation = load_scale("paper").evaluation
    assert evaluation.vbench.describe(len(evaluation.seeds), 16, "H.264") == (
        "VBench 0.1.5, 5 samples a prompt, 16 fps, H.264, short text scored, flickering of the first samples"
    )
    assert evaluation.long.vbench.describe(5, 16, "H.264").startswith("VBench-Long 0.1.5, 5 samples a prompt")
    assert len(evaluation.vbench.dimensions()) == 16
    assert evaluation.long.vbench.dimensions() == OF_ANY_PROMPT


@pytest.mark.parametrize(
    "wrong",
    [
        {"flicker": "filtered", "suite": "i2v"},
        {"prompt_list": "../list.json"},
        {"prompt_list_hash": "abc"},
        {"suite": "vbench2"},
        {"scored_text": "standard"},
    ],
)
def test_a_wrong_protocol_is_refused(wrong):
    with pytest.raises(ValidationError):
        VBench(**wrong)


def test_one_scorer_for_a_scale():
    long = load_scale("tiny").evaluation.long
    with pytest.raises(ValidationError, match="one scorer for a scale"):
        Evaluation(long=long, vbench=VBench())
    with pytest.raises(ValidationError, match="suite=long is for long"):
        Evaluation(vbench=VBench(suite="long"))


def test_one_setting_says_where_everything_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("SALT_VBENCH_PYTHON", raising=False)
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path))
    assert (vbench_folder(), vbench_python()) == (tmp_path, tmp_path / "venv" / "bin" / "python")
    monkeypatch.delenv("SALT_VBENCH")
    monkeypatch.setenv("SALT_SCRATCH", str(tmp_path / "scratch"))
    assert vbench_folder() == tmp_path / "scratch" / "vbench"
    monkeypatch.setenv("SALT_VBENCH_PYTHON", "/opt/conda/bin/python")
    assert str(vbench_python()) == "/opt/conda/bin/python"
