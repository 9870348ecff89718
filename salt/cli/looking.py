"""`salt show`, `compare` and `gc`: one training, two of them, and what could be deleted."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from salt.cli import app, places
from salt.cli.options import DEFAULT_SCALE, Device, Records, ScaleName, Seed, TeacherFolder, written
from salt.errors import SaltError


def run_directory(run: str, scale: str, seed: int) -> Path | None:
    """The run directory of an experiment; None: its training has not begun here."""
    folder = Path(places.layout_of(scale).run_of(run, str(seed)))
    return folder if (folder / "metrics.jsonl").is_file() else None


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A student: stem of a file in experiments/.")],
    scale: ScaleName = DEFAULT_SCALE,
    seed: Seed = 0,
    teacher: TeacherFolder = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of curves.png and sheet.png. Default: samples/SCALE/EXPERIMENT_seedSEED.",
            callback=written("folder"),
        ),
    ] = None,
    device: Device = "cpu",
) -> None:
    """One training: its curves here and as a picture, and a contact sheet of what its weights sample."""
    from salt.config import load_experiment
    from salt.report.learning import in_terminal, read_metrics

    config = load_experiment(run, scale)
    folder = run_directory(run, scale, seed)
    try:
        weights = places.weights_of(run, scale, seed)
    except SaltError:
        if folder is None:
            raise
        weights = None  # it is still being trained
    if folder is not None:
        print(folder, *in_terminal(read_metrics(folder)), sep="\n", flush=True)

    from salt.stages.show import run as draw

    networks = teacher or places.teacher_of(scale)
    for path in draw(config, folder, weights, networks, out or places.own_videos(run, scale, seed), device):
        print(path)


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="A student: stem of a file in experiments/.")],
    other: Annotated[str, typer.Argument(help="The one that it is compared with.")],
    scale: ScaleName = DEFAULT_SCALE,
    seed: Seed = 0,
    records: Records = None,
    curves: Annotated[
        Path | None,
        typer.Option("--curves", help="A PNG for the learning curves of --seed.", callback=written("file")),
    ] = None,
) -> None:
    """Two students: where their files differ, their learning curves, what their scores differ by, with intervals."""
    from salt.config import load_experiment
    from salt.report.compare import configurations, scores
    from salt.report.learning import draw_curves, in_terminal, read_metrics

    first, second = (load_experiment(name, scale) for name in (one, other))
    print("configuration", *(f"  {line}" for line in configurations(first, second)), sep="\n")
    runs = {name: folder for name in (one, other) if (folder := run_directory(name, scale, seed))}
    metrics = {name: read_metrics(folder) for name, folder in runs.items()}
    for name, table in metrics.items():
        print(f"{name}, seed {seed}", *(f"  {line}" for line in in_terminal(table)), sep="\n")
    if curves is not None:
        if not metrics:
            raise SaltError(f"--curves {curves}: neither of {one} and {other} was trained here; leave it out")
        draw_curves(metrics, curves)
        print(curves)
    print(*scores(first, second, places.out_of(records, lambda layout: layout.records, scale)), sep="\n")


@app.command()
def gc(
    scale: ScaleName = DEFAULT_SCALE,
    delete: Annotated[bool, typer.Option("--delete", help="Ask, and delete what is listed if you say yes.")] = False,
) -> None:
    """What in scratch nothing will read again, the lab's too, and how much it is. Nothing is deleted without asking."""
    from salt.config import repository_root
    from salt.planning.garbage import delete as remove
    from salt.planning.garbage import garbage_of
    from salt.workflow.load import Workflow

    workflow = Workflow.load({"scale": scale}, repository_root() / "workflow")
    found = garbage_of(workflow)
    for garbage in found:
        print(f"{garbage.bytes / 1e6:>10.1f} MB  {garbage.path}: {garbage.why}")
    total = sum(garbage.bytes for garbage in found) / 1e6
    print(f"{total:>10.1f} MB in all could go" + ("" if delete else "; --delete asks"))
    if delete and found:
        if not sys.stdin.isatty():
            raise SaltError("--delete: there is no terminal to ask at; accepted: a terminal")
        if typer.confirm(f"Delete these {len(found)} folders?"):
            for garbage in found:
                remove(garbage)
