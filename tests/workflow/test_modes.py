"""Where the world can name its modes, the workflow measures them."""

import re
import subprocess
from collections.abc import Callable

import typer

from salt.cli import app, register
from support.plans import planned

register()


def test_modes_are_measured_of_students_teacher_and_real_clips(
    snakemake: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Real clips are sampled at the length of long videos, too; the command line takes what the rule gives."""
    run = snakemake("-n", "table2", "table3", "table_teachers", "--config", "seeds=1", "scale=tiny")
    calls = re.findall(r"^Shell command: salt modes (\S+) (.*) > \S+ 2>&1$", run.stdout, re.MULTILINE)
    assert {"dmd_4", "salt_longlive", "dmd_4_teacher", "teacher", "real"} <= {name for name, _ in calls}
    for name, words in calls:
        typer.main.get_command(app).commands["modes"].make_context("modes", [name, *words.split()])
    assert planned(run)["modes"] == len(calls)
    assert re.search(r"salt sample real --long ", run.stdout)
