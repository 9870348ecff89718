"""Snakemake whose `--summary` is a line of JSON for each job: `python -m salt.planning.graph WORDS`.

Snakemake has no public list of its jobs. Its summary is where the whole graph has been decided, under the options of
the command line and of every profile; so this replaces what the summary prints, in a process of its own.
"""

import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from snakemake.cli import main
from snakemake.dag import DAG


async def summary(graph: Any, detailed: bool = False) -> AsyncIterator[str]:
    """One line for each job, done or not. `needs`: the lines of those before it; `target`: it makes no file."""
    jobs = list(graph.jobs)
    line = {job: number for number, job in enumerate(jobs)}
    for job in jobs:
        values = {
            "rule": job.rule.name,
            "wildcards": dict(job.wildcards_dict),
            "log": str(job.log),
            "benchmark": str(job.benchmark),
            "run_dir": job.params.get("run_dir"),
            "todo": bool(graph.reason(job)),
            "target": not job.output,
            "needs": sorted(line[before] for before in graph.dependencies[job]),
        }
        yield json.dumps(values)


if __name__ == "__main__":
    DAG.summary = summary
    main([*sys.argv[1:], "--summary"])
