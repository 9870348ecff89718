"""The evaluation's captions: held out, balanced, stable, and honest about what they score."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salt.config.schema import World
from salt.data.prompts import check_prompt_text, prompts_hash, read_prompts, report_prompts, write_prompts
from salt.data.world import COLOURS, SPRITE_ROWS, contents_of, split_of
from salt.errors import SaltError

WORLD = World()


@pytest.fixture(scope="module")
def prompts():
    return report_prompts(WORLD, 256)


def test_ids_are_ordered_and_captions_are_held_out_and_different(prompts):
    assert [p.id for p in prompts[:3]] == ["p0000", "p0001", "p0002"]
    assert [p.index for p in prompts] == list(range(256))
    assert len({p.extended for p in prompts}) == 256
    assert {split_of(p.content) for p in prompts} == {"report"}


def test_no_caption_is_shared_with_another_split(prompts):
    validation = report_prompts(WORLD, 32, split="validation")
    assert not {p.extended for p in validation} & {p.extended for p in prompts}


def test_kinds_alternate_while_singles_last_then_pairs_fill(prompts):
    singles = len(contents_of("report", 1))
    kinds = [p.kind for p in prompts]
    assert kinds[: 2 * singles] == ["single", "pair"] * singles
    assert set(kinds[2 * singles :]) == {"pair"}
    assert all((p.content.relation is None) == (p.kind == "single") for p in prompts)


def test_a_short_list_is_the_beginning_of_a_longer_one(prompts):
    assert report_prompts(WORLD, 20) == prompts[:20]


@pytest.mark.parametrize("count", [64, 256])
def test_attributes_are_balanced(prompts, count):
    """Each attribute's commonest value is at most 2.5 times as common as its rarest, and every value occurs."""
    part = prompts[:count]
    sprites = [sprite for p in part for sprite in p.content.sprites]
    counts = {
        "shape": Counter(sprite.shape for sprite in sprites),
        "colour": Counter(sprite.colour for sprite in sprites),
        "direction": Counter(p.content.direction for p in part),
        "background": Counter(p.content.background for p in part),
        "relation": Counter(p.content.relation for p in part if p.kind == "pair"),
    }
    assert (len(counts["shape"]), len(counts["colour"])) == (len(SPRITE_ROWS), len(COLOURS))
    for name, values in counts.items():
        assert max(values.values()) <= 2.5 * min(values.values()), (name, values)


def test_short_captions_tell_what_their_mentions_say(prompts):
    for p in prompts:
        assert (p.content.sprites[0].colour in p.short) == p.short_mentions.colour
        assert (f"moving {p.content.direction}" in p.short) == p.short_mentions.direction
        assert ("background" in p.short) == p.short_mentions.background
    assert len({p.short_mentions for p in prompts if p.kind == "pair"}) == 3


def test_dimensions_follow_what_the_caption_tells(prompts):
    for p in prompts:
        extended, short = set(p.dimensions("extended")), set(p.dimensions("short"))
        assert short <= extended
        assert {"human_action", "scene"} <= extended
        assert ("color" in extended) == (p.kind == "single") == ("object_class" in extended)
        assert ("spatial_relationship" in short) == (p.kind == "pair") == ("multiple_objects" in short)
        assert ("human_action" in short) == ("moving" in p.short)
        assert ("scene" in short) == ("background" in p.short)
        assert ("color" in short) == (p.kind == "single" and p.short_mentions.colour)


def test_six_prompts_cover_all_sixteen_dimensions_in_both_variants(prompts):
    for variant in ("extended", "short"):
        assert len({name for p in prompts[:6] for name in p.dimensions(variant)}) == 16


def test_file_round_trip_and_edited_file_is_refused(prompts, tmp_path):
    path = tmp_path / "prompts.json"
    write_prompts(path, prompts[:5])
    assert read_prompts(path) == prompts[:5]
    body = json.loads(path.read_text())
    body["prompts"][0]["short"] = "something else"
    path.write_text(json.dumps(body))
    with pytest.raises(SaltError, match="edited"):
        read_prompts(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"hash": "x"}', '{"hash": "x", "prompts": [{"id": "p0000"}]}'])
def test_a_file_that_is_no_list_of_prompts_is_refused(tmp_path, text):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(SaltError, match=r"prompts\.json"):
        read_prompts(path)


def test_hash_changes_with_the_list(prompts):
    hashes = {prompts_hash(prompts[:n]) for n in range(1, 6)}
    assert len(hashes) == 5
    assert all(len(h) == 12 and int(h, 16) >= 0 for h in hashes)
    assert prompts_hash(prompts[:5]) == prompts_hash(report_prompts(WORLD, 5))


@pytest.mark.parametrize("count", [0, 100_000])
def test_impossible_counts_are_refused(count):
    with pytest.raises(SaltError, match=rf"evaluation\.prompts={count}"):
        report_prompts(WORLD, count)


def test_a_world_without_room_is_refused():
    with pytest.raises(SaltError, match="no room"):
        report_prompts(World(size=16, frames=17, video_scale=4), 16)


@pytest.mark.parametrize(
    "text", ["", "../../etc/passwd", "a" * 10_000, "👩‍🚀 rides a 🐎", "naïve café", 'quote " and \\']
)
def test_odd_captions_are_legal(text):
    assert check_prompt_text("p0000", text) == text


@pytest.mark.parametrize("text", ["two\nlines", "tab\there", "nul\0", "esc\x1b[31m", "line\u2028sep", "\ud800"])
def test_captions_with_control_characters_are_refused(text):
    with pytest.raises(SaltError, match=r"prompt user7: character \d+ is U\+"):
        check_prompt_text("user7", text)


@given(st.text())
def test_what_is_accepted_is_one_line_of_utf8(text):
    try:
        accepted = check_prompt_text("p", text)
    except SaltError:
        return
    assert len(accepted.encode().decode().splitlines() or [""]) == 1
