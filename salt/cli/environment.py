"""`salt vbench-env`: the real VBench's own environment."""

from typing import Annotated

import typer

from salt.cli import app


@app.command(name="vbench-env")
def vbench_env(
    python: Annotated[
        str | None, typer.Option("--python", help="A Python 3.11; default: this one, or python3.11.")
    ] = None,
) -> None:
    """Make VBench's environment in $SALT_VBENCH/venv, and put its prompts beside it."""
    from salt.config.vbench import vbench_folder
    from salt.evaluation.vbench.environment import make_environment

    print(make_environment(vbench_folder(), python))
