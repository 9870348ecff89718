"""What git says of a folder."""

import subprocess
from pathlib import Path


def ask_git(folder: Path, *arguments: str) -> str | None:
    """What a git command prints in a folder; None where there is no git, or no checkout."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
