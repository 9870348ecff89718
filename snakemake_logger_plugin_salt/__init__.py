"""The workflow's quiet console, as a logger plugin of Snakemake; workflow/profiles/default chooses it.

Which lines there are is said in `salt.workflow.console`. On a terminal the jobs that run are drawn live below them;
else there are lines alone.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console as Terminal
from rich.console import ConsoleRenderable
from rich.live import Live
from rich.table import Table
from rich.text import Text
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from salt.workflow.console import EVERY, Console

DRAWN = 12
"""Jobs that are drawn live."""


class LogHandler(LogHandlerBase):
    """Tells what Snakemake logs, or lets Snakemake's own handler do so: of plans, and where everything is wanted."""

    def __post_init__(self) -> None:
        """Choose who tells."""
        own = self.common_settings
        self.teller: logging.Handler = Quiet()
        if own.dryrun or own.verbose or own.debug_dag or os.environ.get("SALT_CONSOLE") == "full":
            self.teller = ColorizingTextHandler(
                nocolor=own.nocolor,
                stream=sys.stdout if own.stdout else sys.stderr,
                formatter=DefaultFormatter(own.quiet, own.show_failed_logs),
                filter=DefaultFilter(own.quiet, own.debug_dag, own.verbose, own.dryrun, own.printshellcmds),
            )

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        self.teller.handle(record)

    def close(self) -> None:
        """Tell what came of it."""
        self.teller.close()
        super().close()

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False


class Quiet(logging.Handler):
    """Lines of `Console` on standard error, and on a terminal the running jobs below them."""

    def __init__(self) -> None:
        super().__init__()
        self.console, self.terminal = Console(), Terminal(stderr=True, highlight=False, soft_wrap=True)
        self.live = Live(get_renderable=self.drawn, console=self.terminal, refresh_per_second=1, transient=True)
        self._over = threading.Event()
        if not self.terminal.is_terminal:
            threading.Thread(target=self._tell_of_silence, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record of Snakemake's."""
        self.say(self.lines(record))

    def lines(self, record: logging.LogRecord) -> Iterator[str]:
        """The lines of one record, by its event."""
        console, found = self.console, record.__dict__
        match found.get("event"):
            case LogEvent.RUN_INFO:
                yield from console.planned(found["stats"])
                if self.terminal.is_terminal and not self.live.is_started:
                    self.live.start()
            case LogEvent.JOB_INFO:
                log = next((Path(file) for file in found["log"]), None)
                command, made = found["shellcmd"] or "", found["output"]
                console.began(found["jobid"], found["rule_name"], found["rule_msg"] or "", log, command, made)
            case LogEvent.JOB_FINISHED:
                yield from console.ended(found["job_id"])
            case LogEvent.JOB_ERROR:
                yield from console.broke(found["jobid"], found["rule_name"], found["log"])
            case LogEvent.ERROR | None:
                yield from console.said(record.getMessage(), record.levelno >= logging.WARNING)

    def say(self, lines: Iterator[str]) -> None:
        """Print lines above what is drawn."""
        for line in lines:
            self.console.spoken = time.time()
            self.terminal.print(Text(line, style="bold red" if line.startswith("FAILED") else ""))

    def drawn(self) -> ConsoleRenderable:
        """The jobs that run, a row each."""
        console, table = self.console, Table.grid(padding=(0, 2))
        jobs = list(console.running.values())
        for job in jobs[:DRAWN]:
            table.add_row("  ", job.label, Text(console.state(job), style="cyan"))
        if len(jobs) > DRAWN:
            table.add_row("  ", f"{len(jobs) - DRAWN} more", "")
        return table

    def close(self) -> None:
        """Take the drawing away and tell what came of it all."""
        self._over.set()
        if self.live.is_started:
            self.live.stop()
        self.say(self.console.closing())
        super().close()

    def _tell_of_silence(self) -> None:
        while not self._over.wait(EVERY / 4):
            self.say(self.console.quiet_for())
