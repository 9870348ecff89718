"""The command line: one verb for each rule of the workflow, and the only place that picks concrete models.

A verb imports what it needs when it is called, so that `salt --help` is quick.
"""

import gc
import logging
import sys

import typer

from salt.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, InterruptedBySignal, SaltError, out_of_memory

app = typer.Typer(
    name="salt",
    help="Distil video diffusion models to 2-4 steps, and regenerate the tables and figures of the Salt paper.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run `salt`: a user's mistake is one line and exit code 2, a signal during training exit code 75."""
    gc.set_threshold(10_000, 10, 10)  # a seventh of a job's start is spent looking for garbage among what torch imports
    from salt.cli import doctor, paper, plan, released, student, teacher, vbench  # noqa: F401  (each registers its verbs)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every glyph of a PDF
    try:
        app()
    except SaltError as error:
        print(f"salt: {error}", file=sys.stderr)
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
