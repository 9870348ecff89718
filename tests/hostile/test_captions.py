"""Whatever a file of captions holds, its captions are read, or it is refused in one line and within a second."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config.data import Data
from salt.config.vbench import VBench
from salt.data.captions import read_captions
from salt.data.prompts import read_prompts
from salt.data.vbench_prompts import read_vbench_prompts
from support.hostile import JSON, accepted_or_told, damaged_bytes, damaged_text

CAPTIONS = ["a red square", "two “cats” & a dog, 3/4", "90° => 45°", ""]
FORMS = {
    "a.txt": "\n".join(CAPTIONS),
    "a": "\r\n".join(CAPTIONS),
    "a.jsonl": "\n".join(json.dumps({"caption": text, "image": "a.png", "video": "a.png"}) for text in CAPTIONS),
    "a.csv": "id,caption,image\n" + "\n".join(f'{i},"{text}",a.png' for i, text in enumerate(CAPTIONS)),
    "a.tsv": "prompt\timage\n" + "\n".join(f"{text}\ta.png" for text in CAPTIONS),
}
PIECES = ('"', "'", ",", "\t", "=>", "../", "/dev/zero", "caption", "image", "{", "}", *JSON)
ROWS = [
    {"prompt_en": text, "dimension": ["scene"], "auxiliary_info": {"scene": {"a": 1}}, "image_name": "a.png"}
    for text in CAPTIONS
]


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_any_file_of_captions(tmp_path: Path, name: str, data: st.DataObject) -> None:
    (tmp_path / "a.png").touch()
    text = FORMS[name]
    body = data.draw(damaged_text(text, PIECES) | damaged_bytes(text.encode()) | st.binary(max_size=200))
    (tmp_path / name).write_bytes(body)
    accepted_or_told(read_prompts, tmp_path / name, data.draw(st.integers(1, 3)))
    if name in ("a.txt", "a.jsonl"):  # what a scale's `data` may name
        accepted_or_told(read_captions, tmp_path / name, Data(captions=name, clips=2), 1)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", name}


@given(data=st.data())
def test_any_list_of_vbench(tmp_path: Path, data: st.DataObject) -> None:
    text, more = json.dumps(ROWS), "\n".join(f"{text} at length" for text in CAPTIONS)
    (tmp_path / "list.json").write_bytes(data.draw(damaged_text(text, PIECES) | damaged_bytes(text.encode())))
    (tmp_path / "more.txt").write_bytes(data.draw(st.just(more.encode()) | damaged_text(more, PIECES)))
    for plain in ("list.json", "more.txt"):
        protocol = VBench(
            prompt_list=plain, prompt_list_hash=None, extended_list=data.draw(st.sampled_from((None, "more.txt")))
        )
        accepted_or_told(read_vbench_prompts, tmp_path, protocol)
