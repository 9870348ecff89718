"""`salt plan` and `salt status`: what a target will cost, and what of it is done."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salt.cli import app
from salt.cli.options import DEFAULT_SCALE, ScaleName, Scratch

if TYPE_CHECKING:
    from salt.planning.jobs import Planned
    from salt.planning.prices import Price

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
) -> None:
    """Price what is still to be run of some targets: GPU-hours, wall time, memory, disk."""
    from salt.planning.jobs import jobs_of
    from salt.planning.prices import Prices

    found = jobs_of(targets or ["all"], scale, scratch, config or [])
    prices = Prices(scale, gpu, [job for jobs in found.values() for job in jobs])
    for target, jobs in found.items():
        todo = [(job, prices.of(job)) for job in jobs if job.todo]
        print(f"{target} at scale {scale}: {len(todo)} of {len(jobs)} jobs to run")
        if todo:
            _print_prices(todo, gpus)
    trained = {job.name for jobs in found.values() for job in jobs if job.rule == "train" and job.todo}
    for line in prices.memory(trained):
        print(line)
    print(
        f"hours: m, as measured here (the benchmark files of {scratch / scale}); otherwise operations of Wan at "
        f"{prices.device.utilisation:.0%} of {prices.device.tflops:g} TFLOP/s ({gpu}, workflow/hardware.yaml), "
        "without decoding; -: scored or drawn by other networks, or on the CPU, and not measured yet; asked: the limit "
        "of one attempt in workflow/resources.yaml, ! where a job needs more (train and sample continue)"
    )


def _print_prices(todo: "list[tuple[Planned, Price]]", gpus: int) -> None:
    by_rule: dict[str, list[Price]] = defaultdict(list)
    for job, price in todo:
        by_rule[job.rule].append(price)
    print(f"  {'rule':<16}{'jobs':>6}{'GPUs each':>11}{'hours each':>12}{'asked':>7}{'GPU-hours':>14}{'disk, GB':>10}")
    total_gpu = total_cpu = disk = 0.0
    unknown: list[str] = []
    for rule, prices in by_rule.items():
        hours = [price.hours for price in prices if price.hours is not None]
        each = prices[0].gpus
        spent = sum(hours) * each
        space = sum(price.disk for price in prices) / 1e9
        total_gpu, total_cpu, disk = total_gpu + spent, total_cpu + sum(hours) * (not each), disk + space
        if not hours:
            unknown.append(f"{len(prices)} {rule}")
        mark = " m" if any(price.measured for price in prices) else "  "
        mean = f"{sum(hours) / len(hours):.2f}{mark}" if hours else "-  "
        asked = f"{prices[0].asked:.1f}" + ("!" if hours and max(hours) > prices[0].asked else " ")
        paid = f"{spent:.1f}" if hours or not each else "not measured"
        print(f"  {rule:<16}{len(prices):>6}{each:>11}{mean:>12}{asked:>7}{paid:>14}{space:>10.1f}")
    spent_on_cpus = f", {total_cpu:.1f} hours on CPUs" if total_cpu else ""
    print(f"  in all {total_gpu:.0f} GPU-hours{spent_on_cpus}, {disk:.0f} GB of disk", end="")
    print(f"; at least {total_gpu / gpus:.1f} hours on {gpus} GPUs" if total_gpu else "")
    if unknown:
        print(f"  not in it, for nobody has measured them: {', '.join(unknown)}")


@app.command()
def status(
    scale: ScaleName = DEFAULT_SCALE,
    *,
    targets: Targets = None,
    scratch: Scratch = Path("scratch"),
    config: Settings = None,
) -> None:
    """What of each table and figure is done, running, stopped or not begun, and what it took.

    As if all of them were asked for at once.
    """
    from salt.config import load_scale
    from salt.planning.jobs import STATES, jobs_of
    from salt.report.suite import load_suite

    suite = load_suite().at(load_scale(scale))
    print(f"{'':<30}" + "".join(f"{state:>11}" for state in STATES) + f"{'hours so far':>14}", flush=True)
    for target, jobs in jobs_of(targets or [*suite.tables, *suite.figures], scale, scratch, config or []).items():
        count = Counter(job.state() for job in jobs)
        hours = sum(job.seconds() or 0.0 for job in jobs) / 3600
        print(f"{target:<30}" + "".join(f"{count[state]:>11}" for state in STATES) + f"{hours:>14.2f}")
    print("there: not made here, and not to be made, since the results that it is for are there")
