"""`salt doctor`: whether this machine can run a scale, and what to do where it cannot."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from salt.cli import app
from salt.cli.options import DEFAULT_SCALE, AsJson, ScaleName, Scratch
from salt.errors import SaltError
from salt.workflow.site import ACCOUNT, CPU_PARTITION, GPU, PARTITION, QOS, Site

State = Literal["ok", "note", "wrong"]
Found = tuple[State, str, str]
"""How it is, what was looked at, and what was found or is to be done."""
SLURM_COMMANDS = ("sinfo", "squeue", "sbatch", "scancel", "scontrol")
"""Of a login node; `squeue` because workflow/profiles/slurm asks it, not `sacct`, how jobs are."""


@app.command()
def doctor(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    scratch: Scratch = Path("scratch"),
    as_json: AsJson = False,
) -> None:
    """Look at this machine before hours are spent: libraries, devices, disk, weights, SLURM."""
    from salt.config import load_scale

    load_scale(scale)  # a name that is none is not looked for seven times
    looks = {
        "libraries": libraries(),
        "SLURM": slurm(),
        "devices": devices(scale),
        "teacher": weights(scale),
        "released": released(scale),
        "VBench": vbench(scale),
        "disk": disk(scale, scratch),
    }
    told: list[Found] = []
    for name, look in looks.items():
        for found in _told(name, look):
            told.append(found)
            if not as_json:
                print("{:<6} {:<10} {}".format(*found), flush=True)
    wrong = sum(state == "wrong" for state, *_ in told)
    if as_json:
        print(json.dumps([dict(zip(("state", "what", "message"), found, strict=True)) for found in told], indent=1))
    elif wrong:
        print(f"{wrong} to mend before scale {scale} can run here")
    if wrong:
        sys.exit(1)


def _told(name: str, look: Iterator[Found]) -> Iterator[Found]:
    """What a look finds, to its end or to the mistake that ends it: the others are to be seen as well."""
    try:
        yield from look
    except SaltError as error:
        yield "wrong", name, str(error)


def libraries() -> Iterator[Found]:
    """Every requirement of pyproject.toml against what is installed."""
    from packaging.requirements import Requirement

    unmet = []
    for line in requires("salt") or []:
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(asked.name)
        except PackageNotFoundError:
            there = "absent"
        if there == "absent" or not asked.specifier.contains(there, prereleases=True):
            unmet.append(f"{asked.name} {there}, asked {asked.specifier}")
    if unmet:
        yield "wrong", "libraries", f"{'; '.join(unmet)}: make setup"
    else:
        yield "ok", "libraries", f"as pyproject.toml asks; Python {sys.version.split()[0]}, torch {version('torch')}"


def devices(scale: str) -> Iterator[Found]:
    """GPUs against what workflow/resources.yaml asks, and their memory against what a training needs."""
    import torch

    from salt.config import load_experiment, load_scale
    from salt.planning import cost
    from salt.planning.prices import resources_of

    needed = resources_of(scale).most_gpus()
    count = torch.cuda.device_count()
    if not needed:
        yield "ok", "devices", f"{os.cpu_count()} CPU cores; scale {scale} needs no GPU"
        return
    if count < needed:
        yield "note", "devices", f"{count} GPUs here, jobs ask for up to {needed}: run them elsewhere (--profile slurm)"
        return
    from salt.report.suite import experiments_at

    experiments = [load_experiment(name, scale) for name in experiments_at(load_scale(scale))]
    most = max(sum(cost.training_memory(experiment, needed).values()) for experiment in experiments)
    there = min(torch.cuda.get_device_properties(i).total_memory for i in range(count))
    state: State = "ok" if there > most else "wrong"
    yield state, "devices", f"{count} GPUs of {there / 1e9:.0f} GB; a training needs about {most / 1e9:.0f} GB on each"


def weights(scale: str) -> Iterator[Found]:
    """The teacher that the scale ships, file by file, or the released one, and the captions that go with it."""
    from salt.config import load_scale

    loaded = load_scale(scale)
    if loaded.teacher == "train":
        yield "ok", "teacher", "trained by its own rule"
        return
    from salt.stages.shared.linked import released_parts
    from salt.stages.shared.shipped import shipped_files

    try:
        if loaded.teacher == "shipped":
            yield "ok", "teacher", f"{len(shipped_files(loaded))} files of {loaded.assets}, each as it was shipped"
        else:
            parts = released_parts(loaded)
            message = f"{len(parts)} released networks; `salt teacher` hashes and reads them"
            if original := sum(part.converted for part in parts.values()):
                message += f", and converts {original} from Wan's original layout"
            yield "ok", "teacher", message
    except SaltError as error:
        yield "wrong", "teacher", str(error)
    if loaded.data is None:
        return
    from salt.data.captions import read_captions
    from salt.stages.latents import captions_file

    try:
        path = captions_file(loaded.data)
        videos = sum(line.video is not None for line in read_captions(path, loaded.data))
        yield "ok", "captions", f"{loaded.data.clips} of {path}, {videos} with a video"
    except SaltError as error:
        yield "wrong", "captions", str(error)


def released(scale: str) -> Iterator[Found]:
    """The published weights of a scale's rows, which `snakemake --config weights=released` imports."""
    from salt.config import load_experiment, load_scale
    from salt.config.released import weights_root
    from salt.report.suite import experiments_at

    rows = [(name, load_experiment(name, scale).released) for name in experiments_at(load_scale(scale))]
    missing = [(name, path, row.page) for name, row in rows if row is not None for path in row.missing()]
    count = sum(row is not None for _, row in rows)
    if count:
        lacking = len({name for name, *_ in missing})
        yield "ok", "released", f"{count - lacking} of {count} rows have their published weights in {weights_root()}"
    for name, path, page in missing:
        yield "note", "released", f"{name}: no {path.relative_to(weights_root())}; download it there from {page}"


def vbench(scale: str) -> Iterator[Found]:
    """VBench's environment, prompts and weights, where it scores a scale's videos."""
    from salt.config import load_scale
    from salt.config.vbench import vbench_folder
    from salt.evaluation.vbench.weights import absent

    evaluation = load_scale(scale).evaluation
    folder = vbench_folder()
    protocols = [found for found in (evaluation.vbench, evaluation.long and evaluation.long.vbench) if found]
    if not protocols:
        return
    python = Path(os.environ.get("SALT_VBENCH_PYTHON") or folder / "venv" / "bin" / "python")
    if python.is_file():
        yield "ok", "VBench", f"its environment's Python is {python}"
    else:
        yield "wrong", "VBench", f"no {python}: salt vbench-env makes it"
    names = {name for each in protocols for name in (each.prompt_list, each.extended_list) if name is not None}
    for name in sorted(names):
        if not (folder / "prompts" / name).is_file():
            yield "wrong", "VBench", f"no {folder / 'prompts' / name}: docs/vbench.md says where prompts come from"
    wanted = [(each, dimension) for each in protocols for dimension in each.dimensions()]
    lacking = {f"{dimension} ({each.suite})": absent(folder, each, dimension) for each, dimension in wanted}
    whole = sum(why is None for why in lacking.values())
    yield "ok", "VBench", f"{whole} of {len(lacking)} dimensions have their files"
    for dimension, why in lacking.items():
        if why is not None:
            yield "note", "VBench", f"{dimension} would be reported absent: {why}; `salt fetch` says from where"


def disk(scale: str, scratch: Path) -> Iterator[Found]:
    """Free space against what `all` still writes."""
    from salt.planning.jobs import jobs_of
    from salt.planning.prices import Prices

    place = next(folder for folder in (scratch.absolute(), *scratch.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    message = f"{free / 1e9:.0f} GB free at {scratch}"
    try:
        jobs = jobs_of(["all"], scale, scratch)["all"]
    except SaltError as error:
        state: State = "note" if lacks_queries() else "wrong"  # `slurm` says what to do about the former
        yield state, "disk", f"{message}; what `all` still writes is not known: {error}"
        return
    prices = Prices(scale, "h200", jobs)
    needed = sum(prices.of(job).disk for job in jobs if job.todo)
    message += f", {needed / 1e9:.1f} GB still to be written by `all`"
    if free > needed:
        yield "ok", "disk", message
    else:
        yield "wrong", "disk", f"{message}: free some, or set SALT_SCRATCH to a larger place"


def lacks_queries() -> bool:
    """Whether Snakemake's SLURM plugin refuses every call of Snakemake, even a local one, as soon as it is imported."""
    return bool(shutil.which("sinfo")) and not any(map(shutil.which, ("squeue", "sacct")))


def slurm() -> Iterator[Found]:
    """Whether there is a cluster, whole, and the partition and account that the profile will name."""
    missing = [command for command in SLURM_COMMANDS if shutil.which(command) is None]
    if missing == list(SLURM_COMMANDS):
        yield (
            "note",
            "SLURM",
            "not on this machine: `snakemake all` runs here, `--profile slurm` on a cluster's login node",
        )
        return
    if missing:
        here = ", ".join(command for command in SLURM_COMMANDS if command not in missing)
        stops = "no `snakemake` starts" if lacks_queries() else "`--profile slurm` cannot run"
        message = (
            f"{here} here, but not {', '.join(missing)}: {stops}; put all of SLURM's client commands on PATH, or none"
        )
        yield "wrong", "SLURM", message
        return
    try:
        site = Site.read(os.environ)
        done = subprocess.run(["sinfo", "-h", "-o", "%R"], capture_output=True, text=True, timeout=30)
        known, said = set(done.stdout.split()), " ".join(done.stderr.split())
    except SaltError as error:
        yield "wrong", "SLURM", str(error)
        return
    except subprocess.TimeoutExpired:
        known, said = set(), "no answer within 30 seconds"
    if not known:
        yield "wrong", "SLURM", f"sinfo names no partition: {said or 'and says nothing'}"
        return
    asked = [(PARTITION, site.partition), (CPU_PARTITION, site.cpu_partition or site.partition)]
    strange = [(setting, names) for setting, names in asked if not known.issuperset(names.split(","))]
    for setting, names in strange[:1]:
        yield "wrong", "SLURM", f"{setting}={names}: no such partition; accepted: {', '.join(sorted(known))}"
    if not strange:
        others = {ACCOUNT: site.account, QOS: site.qos, GPU: os.environ.get(GPU)}
        told = ", ".join(f"{name}={value}" if value else f"no {name}" for name, value in others.items())
        yield "ok", "SLURM", f"partition {asked[0][1]}, {asked[1][1]} for jobs without GPUs; {told}"
