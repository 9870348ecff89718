"""The real VBench's own environment, which `salt vbench-env` makes."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from salt.config.files import repository_root
from salt.errors import SaltError
from salt.files import sha256, write_text
from salt.readers import Unreadable, read_text

LOCK = Path("workflow", "envs", "vbench.lock.txt")
PYTHON = (3, 11)
"""The last Python for which transformers 4.33.2 can be installed: tokenizers 0.13.3 has no later wheels."""


# ---------------------------------------------------------------------------------------------- the environment
def make_environment(folder: Path, python: str | None) -> Path:
    """Make VBench's environment in `folder/venv` and copy its prompts to `folder/prompts`, unless it is up to date.

    Args:
        folder: see `vbench_folder`.
        python: the interpreter to build on; None: the running one if its version is 3.11, else `python3.11`.

    Raises:
        SaltError: there is no Python 3.11, or the installation fails.
    """
    lock, venv = repository_root() / LOCK, folder / "venv"
    done, state = venv / ".complete", sha256(lock)
    with suppress(Unreadable):
        if read_text(done, "as this verb wrote it") == state:
            return venv / "bin" / "python"
    base = python or (sys.executable if sys.version_info[:2] == PYTHON else "python3.11")
    _call([base, "-c", f"import sys; sys.exit(sys.version_info[:2] != {PYTHON})"], f"{base}: accepted: Python 3.11")
    _call([base, "-m", "venv", "--clear", str(venv)], f"{base} -m venv fails")
    own = venv / "bin" / "python"
    _call([str(own), "-m", "pip", "install", "-r", str(lock)], f"{lock}: pip cannot install it")
    _call([str(own), "-I", "-c", "import cv2, decord, torch"], "VBench's decoders do not load: opencv wants libGL.so.1")
    package = next(venv.glob("lib/python*/site-packages/vbench"))
    (folder / "prompts").mkdir(exist_ok=True)
    shutil.copy(package / "VBench_full_info.json", folder / "prompts")
    write_text(done, state)
    return own


def _call(command: Sequence[str], failure: str) -> None:
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SaltError(f"{failure} ({error})") from error
