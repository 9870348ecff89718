"""Whether the commands that pages tell a reader to type would be taken: without running them."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import typer
from snakemake.cli import get_argument_parser

from salt.cli import app, register
from salt.config.files import experiment_names, scale_names
from salt.evaluation.cells import REAL
from salt.workflow.load import Workflow
from salt.workflow.settings import Settings
from support.blocks import ROOT

PLACEHOLDER = re.compile(r"\.\.\.|(ablation_)?[A-Z]+")
"""What a reader puts something else for."""
OTHERS = {
    "cat",
    "cd",
    "conda",
    "echo",
    "export",
    "find",
    "git",
    "grep",
    "ls",
    "mkdocs",
    "pip",
    "pytest",
    "ruff",
    "squeue",
}
"""Programs of others, whose words are not looked at."""


def spoken(text: str) -> Iterator[list[str]]:
    """The commands in lines of a shell, each as its words; where they read from and write to is left out."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        taken = True
        for word in lexer:
            if set(word) <= set(";&|"):
                yield words
                words, taken = [], True
            elif set(word) <= set("<>"):
                taken = False
            elif taken and (words or not re.match(r"\w+=", word)):
                words.append(word)
        if words:
            yield words


def check(words: list[str], folder: Path, whole: bool = True) -> None:
    """Raise where a command would be refused for its words.

    Args:
        words: of one command; `...` or WORDS in capitals stand for what a reader says.
        folder: an empty one.
        whole: whether all that a verb needs must be there; not so where prose only names it.
    """
    match Path(words[0]).name:
        case "salt":
            check_salt(words[1:], whole)
        case "snakemake":
            check_snakemake(words, folder)
        case "make":
            check_make(words[1:])
        case "python":
            assert words[1] == "-m" or (ROOT / words[1]).is_file()
        case other:
            assert other in OTHERS, f"{other}: no program that a page may name"


def check_salt(words: list[str], whole: bool) -> None:
    """By the parser of its verb; experiments and scales must exist."""
    register()
    group = typer.main.get_command(app)
    verb, *rest = (word for word in words if word != "...")
    if verb not in group.commands:
        assert verb.startswith("-"), f"salt {verb}: no such verb"
        return
    try:
        found = group.commands[verb].make_context(verb, rest, parent=typer.Context(group, info_name="salt")).params
    except typer.Exit:  # --help
        return
    except typer.BadParameter as error:
        if type(error).__name__ != "MissingParameter" or (whole and "..." not in words):
            raise
        return
    for name, known in (("experiment", {*experiment_names(), REAL}), ("scale", {*scale_names()})):
        value = found.get(name)
        assert value is None or value in known or PLACEHOLDER.fullmatch(value), f"{name} {value}"


def check_snakemake(words: list[str], folder: Path) -> None:
    """By Snakemake's own parser, after the wrapper has sorted the words; targets and settings are the workflow's."""
    said = get_argument_parser().parse_args(_sorted([word for word in words if word != "..."], folder)[2:])
    config = dict(pair.split("=", 1) for pair in said.config or [])
    Settings.read({key: int(value) if value.isdecimal() else value for key, value in config.items()})
    scale = config.get("scale", "paper" if said.profile and "slurm" in str(said.profile) else Settings.scale)
    unknown = {target for target in said.targets if not PLACEHOLDER.fullmatch(target)} - targets(scale)
    assert not unknown, f"no target {', '.join(unknown)} of scale {scale}"


def check_make(words: list[str]) -> None:
    """Targets of the Makefile."""
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert {word for word in words if "=" not in word} <= {*phony[1].split()}


@cache
def targets(scale: str) -> frozenset[str]:
    """All that Snakemake may be asked for at a scale."""
    workflow = Workflow.load({"scale": scale}, ROOT / "workflow")
    named = {"all", "published", *workflow.entries.tables, *workflow.entries.figures, *workflow.beside_targets()}
    named |= {f"ablation_{name}" for name in workflow.students}
    lab = workflow.lab
    return frozenset(named if lab is None else named | {"lab", *lab.tables, *lab.figure_names})


def _sorted(words: list[str], folder: Path) -> list[str]:
    """What the installed `snakemake` hands on to Python."""
    shutil.copy(ROOT / "workflow" / "snakemake.sh", folder / "snakemake")
    (folder / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / "python").chmod(0o755)
    done = subprocess.run([folder / "snakemake", *words[1:]], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
