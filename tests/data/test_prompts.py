"""The evaluation's captions: held out, balanced, stable, and honest about what they score."""

import json
from collections import Counter

import pytest

from salt.config.world import World
from salt.data.lines import LONGEST
from salt.data.prompts import OwnPrompt, own_prompts, prompts_hash, read_prompts, report_prompts, write_prompts
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
    singles = len(contents_of("report", 1, World()))
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


def test_short_captions_mention_what_their_mentions_say(prompts):
    for p in prompts:
        assert (p.content.sprites[0].colour in p.short) == p.short_mentions.colour
        assert (f"moving {p.content.direction}" in p.short) == p.short_mentions.direction
        assert ("background" in p.short) == p.short_mentions.background
    assert len({p.short_mentions for p in prompts if p.kind == "pair"}) == 3


def test_dimensions_follow_what_the_caption_mentions(prompts):
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


def test_the_written_list_says_what_every_id_stands_for(prompts, tmp_path):
    path = tmp_path / "prompts.json"
    write_prompts(path, prompts[:5])
    body = json.loads(path.read_text())
    assert body["hash"] == prompts_hash(prompts[:5])
    assert [(row["id"], row["extended"], row["short"]) for row in body["prompts"]] == [
        (p.id, p.extended, p.short) for p in prompts[:5]
    ]
    assert body["prompts"][0]["content"]["direction"] == prompts[0].content.direction


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


# ------------------------------------------------------------------------------------ a user's captions
@pytest.mark.parametrize("end", ["", "\n"])
def test_own_captions_are_read_line_by_line(tmp_path, end):
    path = tmp_path / "mine.txt"
    path.write_text("a red square\r\nnaïve café: 3 ‘cats’, 50 % grey" + end, encoding="utf-8")
    prompts = read_prompts(path)
    assert prompts == [
        OwnPrompt("own0000", 0, "a red square"),
        OwnPrompt("own0001", 1, "naïve café: 3 ‘cats’, 50 % grey"),
    ]
    assert prompts[0].text("short") == prompts[0].text("extended") == "a red square"
    write_prompts(tmp_path / "prompts.json", prompts)
    assert json.loads((tmp_path / "prompts.json").read_text())["prompts"][1]["caption"] == prompts[1].caption


HARD = [
    "a “café”, 3/4 full",
    "90° — 50 % \\\\ grey",
    "a 🐎 runs",
    "日本語，雨",
    "right\u202eto left",
    "tab\there",
    "x" * 3000,
]
BAD = {
    "nul\0": "character 4 is U+0000",
    "esc\x1b[31m": "character 4 is U+001B",
    "a" * (LONGEST + 1): f"{LONGEST + 1} characters",
}


def test_captions_are_taken_as_they_come(tmp_path, caplog):
    """A byte order mark, lines of Windows, blank lines, what no file name could hold; ids are numbers of lines."""
    path = tmp_path / "mine.txt"
    path.write_bytes("\r\n".join(["\ufeffa red square", "", *HARD, "  ", ""]).encode())
    assert read_prompts(path) == [
        OwnPrompt("own0000", 0, "a red square"),
        *(OwnPrompt(f"own{i:04d}", i, text) for i, text in enumerate(HARD, start=2)),
    ]
    assert not caplog.records


def test_a_bad_line_names_itself_and_refuses_no_other(tmp_path, caplog):
    path = tmp_path / "mine.txt"
    path.write_bytes("\n".join(["a red square", *BAD, "a blue ring"]).encode() + b"\ncaf\xe9\na cross")
    assert [(p.id, p.caption) for p in read_prompts(path)] == [
        ("own0000", "a red square"),
        ("own0004", "a blue ring"),
        ("own0006", "a cross"),
    ]
    said = [record.getMessage() for record in caplog.records]
    for place, message in (
        (2, BAD["nul\0"]),
        (3, BAD["esc\x1b[31m"]),
        (4, f"{LONGEST + 1} char"),
        (6, "'utf-8' codec"),
    ):
        assert sum(f"{path}: line {place}: {message}" in line for line in said) == 1
    assert said[-1] == f"{path}: 3 captions, and 4 bad lines left out"


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_a_file_of_bad_lines_alone_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.txt"
    path.write_text(f"{text}\n{text}", encoding="utf-8")
    with pytest.raises(SaltError) as caught:
        read_prompts(path)
    assert f"{path}: line 1: {message}" in str(caught.value)
    assert "(and 1 lines more)" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("head", ["Caption", "id,prompt", "\ufeff,text"])
def test_a_table_has_a_column_of_captions(tmp_path, head):
    path = tmp_path / "mine.csv"
    before = "7," * head.count(",")
    path.write_text(f'{head}\r\n{before}"a red square, on grey"\r\n{before}"two\r\nlines"\r\n{before}a cross\r\n')
    assert read_prompts(path) == [
        OwnPrompt("own0000", 0, "a red square, on grey"),
        OwnPrompt("own0002", 2, "a cross"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("mine.csv", "a red square\na blue ring\n", "its first row names the columns a red square"),
        ("mine.csv", "", "its first row names the columns nothing"),
        ("mine.csv", 'caption\n"open', "unexpected end of data"),
        ("mine.csv", "caption\na,b\n", "row 1: more cells than columns"),
        ("mine.tsv", "x\ty\n1\t2", "its first row names the columns x, y"),
        ("mine.json", '["a red square"]', r"ends in \.txt, \.jsonl, \.csv, \.tsv"),
        ("mine.jsonl", '["a red square"]', "line 1: a list, no object"),
        ("mine.jsonl", '{"caption": 3}', "line 1: the caption is a int"),
        ("mine.jsonl", '{"words": "a"}', "line 1: no caption, prompt, text among words"),
        ("mine.jsonl", '{"caption": "\\ud800"}', r"character 1 is U\+D800"),
        ("mine.jsonl", "[" * 100_000, "line 1: nested too deep"),
        ("mine.jsonl", '{"caption": "a", "image": "../"}', r"line 1: there is no file '\.\./'"),
    ],
)
def test_what_is_no_file_of_captions_says_what_is(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(SaltError, match=rf"{name}: .*{message}.*accepted: ") as caught:
        read_prompts(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_the_command_line_has_the_captions_that_it_has():
    assert own_prompts(["a red square", "a / b"])[1] == OwnPrompt("own0001", 1, "a / b")
    with pytest.raises(SaltError, match="--caption: line 2: 0 characters"):
        own_prompts(["a red square", ""])


def test_a_line_may_hold_the_captions_of_a_long_video_in_turn(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("a red square => a blue ring=>a red square\na cross\n", encoding="utf-8")
    first, second = read_prompts(path, most=3)
    assert first == OwnPrompt("own0000", 0, "a red square", ("a blue ring", "a red square"))
    assert first.texts("short") == ("a red square", "a blue ring", "a red square")
    assert second.texts("extended") == ("a cross",)
    assert report_prompts(World(), 1)[0].texts("short") == (report_prompts(World(), 1)[0].short,)
    assert [prompt.caption for prompt in read_prompts(path, most=2)] == ["a cross"]
    path.write_text("a red square => a blue ring=>a red square\n")
    with pytest.raises(SaltError, match=r"line 1: 3 captions, with => between them; accepted: up to 2, one for each"):
        read_prompts(path, most=2)
    with pytest.raises(SaltError, match=r"line 1: 3 captions, with => between them; accepted: one, or a long video"):
        read_prompts(path)


@pytest.mark.parametrize("line", ["a red square =>", "=> a red square", "a => b\0c"])
def test_every_caption_of_a_line_is_checked(tmp_path, line):
    path = tmp_path / "mine.txt"
    path.write_text(line)
    with pytest.raises(SaltError, match=r"line 1: .*accepted: 1 to 10000 characters of text"):
        read_prompts(path, most=2)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"caf\xe9"])
def test_a_file_without_captions_is_refused(tmp_path, content):
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SaltError, match=r"mine\.txt: .*accepted: "):
        read_prompts(path)
