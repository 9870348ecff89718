"""`salt fetch`: what a target needs that others have published."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app
from salt.cli.options import DEFAULT_SCALE, ScaleName, Scratch
from salt.cli.plan import Settings, Targets
from salt.errors import SaltError


@app.command()
def fetch(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    targets: Targets = None,
    scratch: Scratch = Path("scratch"),
    config: Settings = None,
    sizes: Annotated[bool, typer.Option("--sizes", help="Ask the hub how large the missing files are.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Download what is missing, one after another.")] = False,
) -> None:
    """List the published files that some targets need, and where they belong; download them only when told to."""
    from salt.planning.downloads import downloads_of
    from salt.planning.jobs import jobs_of

    planned = jobs_of(targets or ["all"], scale, scratch, config or [])
    jobs = [job for of_target in planned.values() for job in of_target if job.todo]
    wanted = downloads_of(scale, jobs)
    if not wanted:
        print(f"{', '.join(targets or ['all'])} at scale {scale}: nothing that others have published is needed")
        return
    failed = 0
    for each in wanted:
        state = "there" if each.there else "by hand" if each.by_hand else "missing"
        size = f", {each.size() / 1e9:.2f} GB" if sizes and state == "missing" and each.repository else ""
        print(f"{state:<8} {each.what}: {each.place}\n         from {each.source}{size}", flush=True)
        if download and state == "missing":
            try:
                each.fetch()
                print(f"         downloaded: {each.place}", flush=True)
            except SaltError as error:
                failed += 1
                print(f"         {error}", flush=True)
    missing = sum(not each.there for each in wanted)
    print(f"{len(wanted) - missing} of {len(wanted)} are there" + ("" if download else "; --download fetches the rest"))
    if failed:
        sys.exit(1)
