"""Starting `salt`: quick help without heavy libraries, and one line for a mistake, in a process of its own."""

import subprocess
import sys

import pytest

from salt.cli import app

HELP = """
import sys, time
from salt.cli import main
sys.argv = ["salt", "--help"]
try:
    main()
except SystemExit as end:
    code = end.code
heavy = {"torch", "diffusers", "transformers", "pandas", "numpy", "matplotlib", "av"} & set(sys.modules)
print(time.process_time(), code or 0, *heavy, file=sys.stderr)
"""
VERBS = (
    "teacher",
    "latents",
    "ode-pairs",
    "train",
    "sample",
    "score",
    "modes",
    "defect",
    "caches",
    "score-controls",
    "table",
)
VERBS += (
    "figure",
    "claims",
    "clips",
    "training-curves",
    "report",
    "guide",
    "lab-truth",
    "lab-arms",
    "lab-table",
    "lab-figure",
    "lab-report",
    "import-released",
    "export",
    "plan",
    "status",
    "doctor",
    "fetch",
    "score-vbench",
    "vbench-env",
    "agreement",
    "show",
    "compare",
    "gc",
)


def run(*words):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=300)


def test_help_takes_less_than_a_second_and_no_heavy_library():
    """Of the processor's time, so that a busy machine does not matter."""
    done = run("-c", HELP)
    seconds, code, *heavy = done.stderr.split()
    assert (code, heavy) == ("0", [])
    assert float(seconds) < 1
    assert all(verb in done.stdout for verb in VERBS)


def test_a_mistake_is_one_line_and_exit_code_2():
    folders = ["--teacher", "a", "--latents", "b", "--run-dir", "c", "--out", "d"]
    done = run("-c", "from salt.cli import main; main()", "train", "sc_dmt", "--scale", "smoke", *folders)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("salt: experiment 'sc_dmt': there is no experiments/sc_dmt.yaml; did you mean")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(salt, verb):
    answer = salt(verb, "--help")
    assert answer.code == 0
    assert f"salt {verb} [OPTIONS]" in answer.out


def test_no_verb_is_left_out():
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == set(VERBS)


@pytest.mark.parametrize("words", [["trian"], ["train"], ["train", "sc_dmd", "--sead", "1"], ["train", "--seed", "-1"]])
def test_wrong_words_exit_2_without_a_traceback(salt, words):
    answer = salt(*words)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.err.startswith("Usage: ")
