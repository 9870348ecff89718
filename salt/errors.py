"""The errors a user can cause, each reported in one line, and the exit codes that the workflow reads.

`salt/cli` turns a `SaltError`, an error of the operating system, and memory that runs out, into that line and exit code
2; anything else is a bug and keeps its traceback.
"""

import errno

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 75  # EX_TEMPFAIL: a signal came, a checkpoint was written, the same command continues


LONGEST = 2000
"""Characters of a message."""


class SaltError(Exception):
    """Bad input or a broken file. The message names the file, the key, the value and what is accepted.

    It is one line of printable characters whatever the input was, so that no file can write to a terminal.
    """

    def __str__(self) -> str:
        """The message, line breaks as spaces, other characters that do not print as escapes, its middle left out."""
        text = " ".join(super().__str__().split("\n"))
        text = text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


class InterruptedBySignal(Exception):
    """Training stopped after SIGTERM, SIGUSR1 or Ctrl-C and saved a checkpoint (exit code 75)."""


def out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch, on a GPU or on the CPU, could not have the memory that it asked for."""
    message = str(error)
    by_torch = isinstance(error, RuntimeError) and ("out of memory" in message or "can't allocate memory" in message)
    return by_torch or isinstance(error, MemoryError)


_ROOM = "accepted: a disk with room for it; what was whole is as it was, and the same command goes on"
_RIGHTS = "accepted: a place that this user may read and write"
_ACCEPTED = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENAMETOOLONG: "accepted: a shorter name",
}


def of_the_system(error: OSError) -> str:
    """What the operating system refused, in one line: path, reason, and what is accepted where that is known."""
    if error.errno is None:
        return " ".join(str(error).split()) or type(error).__name__
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    where = f"{' -> '.join(names)}: " if names else ""
    accepted = _ACCEPTED.get(error.errno)
    return f"{where}{error.strerror}" + (f"; {accepted}" if accepted else "")
