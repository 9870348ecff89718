"""Every option of every verb that says where something is written refuses what stands there and is not its own."""

import errno
import inspect
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from typer.models import OptionInfo

from salt.cli import app, register
from salt.files import try_to_write
from support.chain import Salt, refused
from support.obstacles import NEITHER, OBSTACLES, as_messages_say, everything

register()

READ = {
    "*": {"--teacher", "--latents", "--init", "--pairs", "--weights", "--prompts", "--source", "--lora", "--records"},
    "score": {"--videos"},
    "score-vbench": {"--videos"},
    "figure": {"--videos"},
    "clips": {"--videos"},
    "training-curves": {"--run-dir"},
    "report": {"--results", "--figures"},
    "guide": {"--results", "--figures"},
    "lab-report": {"--results", "--figures"},
    "agreement": {"--committed"},
}
"""Verb, or * for all -> the options that name what it reads. All others that take a path name what it writes."""
FILES = {
    (verb, "--out")
    for verb in (
        "score",
        "modes",
        "defect",
        "caches",
        "score-controls",
        "training-curves",
        "report",
        "guide",
        "lab-truth",
        "lab-report",
        "export",
        "score-vbench",
    )
} | {("compare", "--curves")}
LINKED = {"--scratch"}
"""Folders that may be a link: users move them."""


@dataclass(frozen=True)
class Given:
    """A parameter of a verb."""

    option: str
    """Empty of an argument."""
    absent: str
    """A value that names nothing, or the smallest number."""
    is_path: bool
    required: bool


def parameters(function: Callable[..., None]) -> Iterator[Given]:
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind, info = get_args(parameter.annotation)
        words = (info.default, *info.param_decls) if isinstance(info, OptionInfo) else ()  # where Annotated leaves them
        option = next((word for word in words if str(word).startswith("--")), "")
        is_path, absent = Path in (kind, *get_args(kind)), "0" if kind is int else "absent"
        yield Given(option, absent, is_path, parameter.default is parameter.empty)


VERBS = {
    command.name or command.callback.__name__: list(parameters(command.callback))
    for command in app.registered_commands
    if command.callback is not None
}
WRITTEN = [
    (verb, given.option)
    for verb, every in VERBS.items()
    for given in every
    if given.is_path and given.option and given.option not in READ["*"] | READ.get(verb, set())
]
CASES = [
    (verb, option, obstacle)
    for verb, option in WRITTEN
    for obstacle in ([*NEITHER, "a folder"] if (verb, option) in FILES else [*NEITHER, "a file"])
    if not (option in LINKED and obstacle in ("a link to a folder", "a link to nothing"))
]


def words_of(verb: str, folder: Path, option: str, value: Path) -> list[object]:
    """A command with all that the verb requires, of which nothing is there; `option` names `value`."""
    words: list[object] = [verb]
    for given in VERBS[verb]:
        if given.option == option:
            words += [option, value]
        elif given.required:
            words += [word for word in (given.option, folder / "absent" if given.is_path else given.absent) if word]
    return words


def test_all_verbs_that_write_are_found() -> None:
    neither = {"vbench-env", "agreement", "gc"}  # the folder of one is $SALT_VBENCH, the others write nothing
    assert {verb for verb, _ in WRITTEN} == set(VERBS) - neither
    assert {"--run-dir", "--details", "--videos", "--scratch"} <= {option for _, option in WRITTEN}


@pytest.mark.parametrize(("verb", "option", "obstacle"), CASES)
def test_what_is_in_the_way_is_refused_before_any_work(
    salt: Salt, tmp_path: Path, verb: str, option: str, obstacle: str
) -> None:
    place = tmp_path / "place"
    OBSTACLES[obstacle](place)
    before = everything(tmp_path)
    found = as_messages_say(obstacle) if option not in LINKED else obstacle.removeprefix("a link to ")
    refused(salt, words_of(verb, tmp_path, option, place), f"{option} {place}: {found} is in the way; accepted: a ")
    assert everything(tmp_path) == before


@pytest.mark.parametrize(("verb", "option"), WRITTEN)
def test_a_place_below_a_file_is_refused(salt: Salt, tmp_path: Path, verb: str, option: str) -> None:
    OBSTACLES["a file"](tmp_path / "file")
    place = tmp_path / "file" / "deep" / "place"
    refused(salt, words_of(verb, tmp_path, option, place), f"{option} {place}: {tmp_path / 'file'}, which is no folder")


NOT_TRIED = {(verb, "--scratch") for verb in ("plan", "status", "fetch", "doctor")}
"""They only read there."""
TRIED = [case for case in WRITTEN if case not in NOT_TRIED]


@pytest.mark.parametrize(("verb", "option"), TRIED)
def test_a_place_where_nothing_can_be_written_is_refused_before_any_work(
    salt: Salt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, option: str
) -> None:
    def read_only(**where: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(where["dir"]))

    monkeypatch.setattr("salt.files.TemporaryFile", read_only)
    place = tmp_path / "deep" / "place"
    told = f"{option} {place}: nothing can be written there: {tmp_path}: Read-only file system; accepted: a place that"
    refused(salt, words_of(verb, tmp_path, option, place), told)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("verb", "option"), TRIED)
@pytest.mark.parametrize("place", ["n" * 256, "n" * 251, f"{'n' * 256}/place"])
def test_a_name_that_is_too_long_is_refused_before_any_work(
    salt: Salt, tmp_path: Path, verb: str, option: str, place: str
) -> None:
    refused(salt, words_of(verb, tmp_path, option, tmp_path / "new" / place), "File name too long; accepted: a shorter")
    assert not list(tmp_path.iterdir())


def test_a_disk_is_tried_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    before = tmp_path.stat().st_mtime_ns
    for place in (tmp_path / "there", tmp_path / "new" / "place"):
        try_to_write(place)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path.stat().st_mtime_ns, list((tmp_path / "there").iterdir())) == (before, [])


@pytest.mark.parametrize("name", [".", "..", "/", "below/.."])
@pytest.mark.parametrize("verb", ["train", "teacher", "import-released"])
def test_a_folder_that_is_replaced_has_a_name_of_its_own(
    salt: Salt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    refused(salt, words_of(verb, tmp_path, "--out", Path(name)), "--out ", " is in the way; accepted: a folder")
    assert (tmp_path / "here" / "below").is_dir()


TWO_PLACES = [
    (verb, option, given.option)
    for verb, option in WRITTEN
    for given in VERBS[verb]
    if given.is_path and given.option not in ("", option, *LINKED)
]


@pytest.mark.parametrize(("verb", "option", "other"), TWO_PLACES)
def test_nothing_is_written_where_the_same_command_reads_or_writes(
    salt: Salt, tmp_path: Path, verb: str, option: str, other: str
) -> None:
    """By whatever name: here one of the two is a path with a detour."""
    place = tmp_path / "place.png"
    words = [*words_of(verb, tmp_path, option, place)]
    words = [word for index, word in enumerate(words) if other not in words[max(0, index - 1) : index + 1]]
    answer = salt(*words, other, tmp_path / "detour" / ".." / "place.png")
    assert answer.code == 2
    told = rf"the place that is (read|written) as ({option}|{other}); accepted: a place of its own\n$"
    assert re.search(told, answer.err), answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("verb", "option", "other", "below"),
    [
        ("train", "--out", "--run-dir", "run/out"),
        ("train", "--out", "--teacher", "run/out"),
        ("train", "--out", "--init", "."),
        ("import-released", "--out", "--source", "run/out"),
        ("teacher", "--out", "--run-dir", "."),
    ],
)
def test_a_folder_that_is_replaced_lies_apart_from_all_others(
    salt: Salt, tmp_path: Path, verb: str, option: str, other: str, below: str
) -> None:
    words = words_of(verb, tmp_path, option, tmp_path / below)
    refused(salt, [*words, other, tmp_path / "run"], f"as {other}; accepted: a place of its own")


def test_a_folder_of_another_kind_is_not_replaced(salt: Salt, tmp_path: Path) -> None:
    """A teacher's folder is salt's own, and yet no place for a student's weights; nor the other way round."""
    for name in ("codec", "transformer"):
        (tmp_path / "teacher" / name).mkdir(parents=True)
    for folder in ("teacher", "student"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "provenance.json").write_text("{}")
    (tmp_path / "student" / "config.json").write_text("{}")
    refused(salt, words_of("train", tmp_path, "--out", tmp_path / "teacher"), "codec is in the way; accepted: a folder")
    refused(salt, words_of("teacher", tmp_path, "--out", tmp_path / "student"), "config.json is in the way; accepted:")


def test_a_scratch_folder_may_be_a_link(salt: Salt, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "scratch").symlink_to("large")
    answer = salt("plan", "--scale", "absent", "--scratch", tmp_path / "scratch")
    assert "in the way" not in answer.err
