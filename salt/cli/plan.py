"""`salt plan` and `salt status`: what a target will cost, and what of it is done."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salt.cli import app
from salt.cli.options import DEFAULT_SCALE, AsJson, ScaleName, Scratch

if TYPE_CHECKING:
    from salt.planning.jobs import Planned
    from salt.planning.prices import Price, Prices

Targets = Annotated[list[str] | None, typer.Argument(help="As `snakemake` takes them: table4, fig_lambda, all.")]
Settings = Annotated[
    list[str] | None, typer.Option("--config", help="KEY=VALUE of the workflow, as in seeds=1; repeatable.")
]


@app.command()
def plan(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    targets: Targets = None,
    gpu: Annotated[str, typer.Option("--gpu", help="A device of workflow/hardware.yaml.")] = "h200",
    gpus: Annotated[int, typer.Option("--gpus", min=1, help="How many there are.")] = 8,
    scratch: Scratch = Path("scratch"),
    config: Settings = None,
    as_json: AsJson = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Also write what jobs took here into workflow/timings.yaml, for others.")
    ] = False,
) -> None:
    """Price what is still to be run of some targets: GPU-hours, wall time, memory, disk."""
    from salt.planning.jobs import jobs_of
    from salt.planning.prices import Prices, write_timings

    found = jobs_of(targets or ["all"], scale, scratch, config or [])
    prices = Prices(scale, gpu, [job for jobs in found.values() for job in jobs])
    if keep:
        write_timings(scale, prices)
    rules = {target: _by_rule(jobs, prices) for target, jobs in found.items()}
    if as_json:
        told = {
            target: {"jobs": len(found[target]), "rules": {rule: asdict(line) for rule, line in lines.items()}}
            for target, lines in rules.items()
        }
        print(json.dumps({"scale": scale, "targets": told}, indent=1))
        return
    for target, jobs in found.items():
        print(f"{target} at scale {scale}: {sum(job.todo for job in jobs)} of {len(jobs)} jobs to run")
        if rules[target]:
            _print_prices(rules[target], gpus)
    trained = {job.name for jobs in found.values() for job in jobs if job.rule == "train" and job.todo}
    for text in prices.memory(trained):
        print(text)
    elsewhere = f"; s, as measured on {prices.elsewhere.machine}, and shipped" if prices.elsewhere else ""
    print(
        f"hours: m, as measured here (the benchmark files of {scratch / scale}){elsewhere}; otherwise operations of "
        f"Wan at {prices.device.utilisation:.0%} of {prices.device.tflops:g} TFLOP/s ({gpu}, workflow/hardware.yaml), "
        "without decoding; -: scored or drawn by other networks, or on the CPU, and not measured yet; asked: the limit "
        "of one attempt in workflow/resources.yaml, ! where a job needs more (train and sample continue)"
    )


@dataclass(frozen=True)
class RulePrice:
    """What the jobs of one rule cost that are still to be run."""

    jobs: int
    gpus: int
    """Of each job."""
    hours: float | None
    """Of each job, in the mean; None: not known."""
    most_hours: float | None
    """Of the longest."""
    all_hours: float
    """Of all of them, those that are known."""
    measured: str | None
    """Where: here, elsewhere; None: it is modelled."""
    asked: float
    """Hours of one attempt."""
    disk: float
    """Bytes of all of them."""


def _by_rule(jobs: "list[Planned]", prices: "Prices") -> dict[str, RulePrice]:
    by_rule: dict[str, list[Price]] = defaultdict(list)
    for job in jobs:
        if job.todo:
            by_rule[job.rule].append(prices.of(job))
    lines = {}
    for rule, each in by_rule.items():
        hours = [price.hours for price in each if price.hours is not None]
        lines[rule] = RulePrice(
            jobs=len(each),
            gpus=each[0].gpus,
            hours=sum(hours) / len(hours) if hours else None,
            most_hours=max(hours, default=None),
            all_hours=sum(hours),
            measured=next((price.measured for price in each if price.measured), None),
            asked=each[0].asked,
            disk=sum(price.disk for price in each),
        )
    return lines


def _print_prices(lines: Mapping[str, RulePrice], gpus: int) -> None:
    print(f"  {'rule':<16}{'jobs':>6}{'GPUs each':>11}{'hours each':>12}{'asked':>7}{'GPU-hours':>14}{'disk, GB':>10}")
    for rule, line in lines.items():
        mark = {"here": " m", "elsewhere": " s", None: "  "}[line.measured]
        mean = "-  " if line.hours is None else f"{line.hours:.2f}{mark}"
        asked = f"{line.asked:.1f}" + ("!" if (line.most_hours or 0.0) > line.asked else " ")
        paid = f"{line.all_hours * line.gpus:.1f}" if line.hours is not None or not line.gpus else "not measured"
        space = line.disk / 1e9
        print(f"  {rule:<16}{line.jobs:>6}{line.gpus:>11}{mean:>12}{asked:>7}{paid:>14}{space:>10.1f}")
    on_gpus = sum(line.all_hours * line.gpus for line in lines.values())
    on_cpus = sum(line.all_hours for line in lines.values() if not line.gpus)
    disk = sum(line.disk for line in lines.values()) / 1e9
    spent_on_cpus = f", {on_cpus:.1f} hours on CPUs" if on_cpus else ""
    print(f"  in all {on_gpus:.0f} GPU-hours{spent_on_cpus}, {disk:.0f} GB of disk", end="")
    print(f"; at least {on_gpus / gpus:.1f} hours on {gpus} GPUs" if on_gpus else "")
    unknown = [f"{line.jobs} {rule}" for rule, line in lines.items() if line.hours is None]
    if unknown:
        print(f"  not in it, for nobody has measured them: {', '.join(unknown)}")


@app.command()
def status(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    targets: Targets = None,
    scratch: Scratch = Path("scratch"),
    config: Settings = None,
    as_json: AsJson = False,
) -> None:
    """What of each table and figure is done, running, stopped or not begun, and what it took.

    As if all of them were asked for at once.
    """
    from salt.config import load_scale
    from salt.planning.jobs import STATES, jobs_of
    from salt.report.suite import load_suite

    suite = load_suite().at(load_scale(scale))
    found = jobs_of(targets or [*suite.tables, *suite.figures], scale, scratch, config or [])
    states = {target: Counter(job.state() for job in jobs) for target, jobs in found.items()}
    hours = {target: sum(job.seconds() or 0.0 for job in jobs) / 3600 for target, jobs in found.items()}
    if as_json:
        told = {
            target: {state: states[target][state] for state in STATES} | {"hours": hours[target]} for target in found
        }
        print(json.dumps({"scale": scale, "targets": told}, indent=1))
        return
    print(f"{'':<30}" + "".join(f"{state:>11}" for state in STATES) + f"{'hours so far':>14}", flush=True)
    for target, count in states.items():
        print(f"{target:<30}" + "".join(f"{count[state]:>11}" for state in STATES) + f"{hours[target]:>14.2f}")
    print("there: not made here, and not to be made, since the results that it is for are there")
