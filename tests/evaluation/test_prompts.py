"""Which prompts a scale is evaluated on, and protocols that must stay what the committed records say."""

import json

import pytest

from salt.config import content_hash, load_scale
from salt.config.memory import Memory
from salt.config.scale import VAE, Long
from salt.config.vbench import VBench
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.diagnostics.cache_study import caches_protocol
from salt.evaluation.diagnostics.defect import defect_protocol
from salt.evaluation.lengths import length_of_cells
from salt.evaluation.scorers import diagnosed_prompts, evaluation_prompts, scorer_of

PINNED = {
    "smoke": ["f8c9af1a9dbb", "26ed196e6d1a", "be72c6c0afdc", "ece88e4819fa", "6d3bf577cd25", "72b7862301a3"],
    "tiny": ["a24f9ede32d7", "bbffd9c76b41", "92ef8b0ed57d", "5dbfc55cd1f5", "1b03c456e4f8", "23ab80356123"],
}
"""Of scores, long videos, defect and caches; of what the workflow remakes videos for, without and with long ones."""
ASKED = ("subject_consistency", "object_class", "multiple_objects", "spatial_relationship")
ROWS = [{"prompt_en": f"Thing number {i}", "dimension": [ASKED[i // 3]]} for i in range(12)]


def protocols(scale):
    scores = [scorer_of(scale, length_of_cells(scale, long)).protocol() for long in (False, True)]
    return [*scores, defect_protocol(scale), caches_protocol(scale)]


def with_(scale, **evaluation):
    return scale.model_copy(update={"evaluation": scale.evaluation.model_copy(update=evaluation)})


@pytest.mark.parametrize("name", PINNED)
def test_protocols_of_committed_records_stand(name):
    scale = load_scale(name)
    found = [content_hash(scale.evaluation, {"long"}), content_hash(scale.evaluation)]
    assert protocols(scale) + found == PINNED[name]


def test_the_world_is_asked_for_the_first_of_its_list():
    scale = load_scale("tiny")
    assert evaluation_prompts(scale) == report_prompts(scale.world, 256)
    assert evaluation_prompts(scale, long=True) == diagnosed_prompts(scale) == report_prompts(scale.world, 128)


@pytest.fixture
def scale(tmp_path, monkeypatch):
    """One that VBench scores: 10 of its 12 prompts, 3 long ones of another list."""
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "VBench_full_info.json").write_text(json.dumps(ROWS))
    (prompts / "films.txt").write_text("A film\nB film\nC film\nD film\n")
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path))
    vbench = VBench(prompt_list_hash=None, extended_list=None)
    films = VBench(suite="long", prompt_list="films.txt", prompt_list_hash=None, extended_list=None)
    long = Long(memory=Memory(window=2), prompts=3, vbench=films)
    return with_(load_scale("smoke"), vbench=vbench, prompts=10, long=long, defect_samples=4)


def test_vbench_is_asked_for_the_first_of_its_list(scale):
    assert [prompt.short for prompt in evaluation_prompts(scale)] == [row["prompt_en"] for row in ROWS[:10]]
    assert [prompt.short for prompt in evaluation_prompts(scale, long=True)] == ["A film", "B film", "C film"]
    with pytest.raises(SaltError, match=r"VBench_full_info.json: 12 prompts; accepted: 13 or more"):
        evaluation_prompts(with_(scale, prompts=13))


def test_diagnostics_spread_over_vbenchs_dimensions(scale):
    assert [prompt.index for prompt in diagnosed_prompts(scale)] == [0, 2, 5, 7]
    assert [prompt.index for prompt in diagnosed_prompts(with_(scale, defect_samples=10))] == list(range(10))
    with pytest.raises(SaltError, match=r"evaluation.defect_samples=11: accepted: up to evaluation.prompts=10"):
        diagnosed_prompts(with_(scale, defect_samples=11))


def test_prompts_about_two_objects_are_pairs(scale):
    assert [prompt.kind for prompt in evaluation_prompts(scale)] == ["single"] * 6 + ["pair"] * 4


def test_every_protocol_follows_prompts_precision_and_size(scale):
    others = [
        scale,
        with_(scale, prompts=9, long=scale.evaluation.long.model_copy(update={"prompts": 2})),
        with_(scale, precision="bfloat16"),
        scale.model_copy(update={"vae": VAE()}),
        scale.model_copy(update={"vae": VAE(height=512)}),
    ]
    for same in zip(*map(protocols, others), strict=True):
        assert len(set(same)) == len(others)
