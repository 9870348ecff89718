"""The command line: one verb for each rule of the workflow; arguments, help and messages.

A verb parses its arguments and calls `salt.stages.RULE.run`, which it imports then, so that `salt --help` is quick.
"""

import gc
import logging
import os
import sys
from typing import Annotated

import typer

from salt.errors import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    InterruptedBySignal,
    SaltError,
    of_the_system,
    out_of_memory,
)

app = typer.Typer(
    name="salt",
    help="Distil video diffusion models to 2-4 steps, and regenerate the tables and figures of the Salt paper.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from salt import __version__

        print(f"salt {__version__}")
        raise typer.Exit


@app.callback()
def salt(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Distil video diffusion models to 2-4 steps, and regenerate the tables and figures of the Salt paper."""


def register() -> None:
    """Let every module add its verbs to `app`."""
    from salt.cli import (  # noqa: F401
        assets,
        doctor,
        environment,
        fetch,
        lab,
        looking,
        measures,
        plan,
        released,
        results,
        students,
    )
    from salt.cli.options import Verb

    for command in app.registered_commands:
        command.cls = Verb


OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What keeps libraries from asking the hub about what lies on the disk."""


def main() -> None:
    """Run `salt`: a user's or the system's error is one line and exit code 2, a signal during training exit code 75."""
    gc.set_threshold(10_000, 10, 10)  # a seventh of a job's start is spent looking for garbage among what torch imports
    register()
    if "fetch" not in sys.argv[1:2]:
        os.environ.update(OFFLINE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.raiseExceptions = False  # a log that finds the disk full is no reason for a traceback; what it tells of is
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every glyph of a PDF
    try:
        app()
    except SaltError as error:
        print(f"salt: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:
        print(f"salt: {of_the_system(error)}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        print(
            f"salt: out of memory ({str(error).splitlines()[0] if str(error) else 'MemoryError'}); accepted: a device "
            "with more, or smaller batches (evaluation.batch_size in the scale's file)",
            file=sys.stderr,
        )
        sys.exit(EXIT_BAD_INPUT)
    except InterruptedBySignal as signal:
        print(f"salt: {signal}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
