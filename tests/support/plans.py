"""What a dry run of Snakemake lists."""

import re
import subprocess
from collections import Counter


def planned(run: subprocess.CompletedProcess[str]) -> Counter[str]:
    """How many jobs of each rule a dry run lists."""
    assert run.returncode == 0, run.stderr
    text = run.stdout + run.stderr
    return Counter(dict((name, int(n)) for name, n in re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE)))
