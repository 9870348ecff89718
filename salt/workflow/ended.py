"""What earlier SLURM jobs of the same work ran out of, by what SLURM wrote at the end of their logs.

Snakemake counts attempts, whatever ended them: a node, a pre-emption, a submission that was refused. More memory or
time helps where there was too little of it, and nowhere else.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from salt.readers import tail

Lacking = Literal["memory", "time"]
SAID: dict[Lacking, re.Pattern[bytes]] = {
    "memory": re.compile(
        rb"^slurmstepd\S*: error: .*(oom[_-]kill|exceeded (job )?memory limit)", re.IGNORECASE | re.MULTILINE
    ),
    "time": re.compile(rb"^slurmstepd\S*: error: .*DUE TO TIME LIMIT", re.MULTILINE),
}
TAIL = 10_000
"""Bytes at the end of a log that are looked at."""


def lacked(what: Lacking, logs: Path, rule: str, wildcards: Iterable[str], attempt: int) -> bool:
    """Whether one of the attempts before ran out of it.

    Args:
        what: it is that may have run out.
        logs: `slurm-logdir` of the profile; where the user chose another, nothing is known.
        rule: its name, without what it is called beside another scale.
        wildcards: of the job, in their order.
        attempt: the number of the one that is to begin, from 1.
    """
    if attempt == 1:
        return False
    of_job = "_".join(wildcards).replace("/", "_")
    found = [log for name in (rule, f"beside_{rule}") for log in (logs / f"rule_{name}" / of_job).glob("*.log")]
    ended = sorted((log for log in found if log.stem.isdecimal()), key=lambda log: int(log.stem))
    # as many as the number of this attempt: the job that it becomes has a log of its own there too
    return any(SAID[what].search(tail(log, TAIL)) for log in ended[-attempt:])
