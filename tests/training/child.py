"""A training in a process of its own, as the command line runs it; `conftest.spawn` gives it its variables."""

import os
import sys

os.environ.update(environment)  # noqa: F821

from salt.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, InterruptedBySignal, SaltError
from support.tiny import run

try:
    run(setting, folder)  # noqa: F821
except InterruptedBySignal:
    sys.exit(EXIT_INTERRUPTED)
except SaltError as error:
    (folder / "error.txt").write_text(str(error))  # noqa: F821
    sys.exit(EXIT_BAD_INPUT)
