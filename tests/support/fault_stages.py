"""The stages in which faults are made: the commands of a whole chain, smaller than the smoke scale.

All that they make lies in one folder, the world; a case writes the same names into a folder of its own.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from support.blocks import ROOT

EVALUATION = {"prompts": 6, "batch_size": 4, "nfe": [2], "short_nfe": [2], "teacher_nfe": 2, "defect_samples": 2}
STUDENTS = ("dmd_4", "sc_dmd")
NOT_STAGES = {
    "score_vbench": "VBench is no part of this repository; tests/evaluation and tests/cli run it with stand-ins",
    "show": "it draws what other stages made, for a reader; no rule reads it",
}
"""Files of salt/stages without faults here, and why."""
UNRECORDED = ("table", "figure", "claims", "report", "import-released", "lab-table")
"""Verbs that read tables, records and weights of others, which carry no hash."""
Words = list[str | Path]


@dataclass(frozen=True)
class Stage:
    """A command.

    Attributes:
        name: of the stage, and what of it.
        words: (world, case) -> the command that reads in the world and writes in the case's folder.
        outputs: what it writes that others read.
        reads: what it reads.
        run: its run directory: what it needs to continue.
        trains: whether it has steps in which a loss may be NaN.
        recorded: whether hashes of all that it reads are on record; else another number is as good as the right one.
    """

    name: str
    words: Callable[[Path, Path], Words]
    outputs: tuple[str, ...]
    reads: tuple[str, ...] = ()
    run: str | None = None
    trains: bool = False
    recorded: bool = True

    @property
    def rule(self) -> str:
        return self.name.split()[0].replace("-", "_")


def _verb(words: str, *outputs: str, reads: str = "", run: str | None = None, trains: bool = False) -> Stage:
    """A stage by its command, in which <name> is a place in the world, and >name one in the case's folder."""
    verb, *rest = words.split()
    given = "" if verb.startswith("lab-") or verb == "guide" else " --scale smoke"

    def command(world: Path, case: Path) -> Words:
        places = {"<": world, ">": case, "@": ROOT}
        return [places[word[0]] / word[1:] if word[0] in places else word for word in (words + given).split()]

    named = "" if rest[0].startswith("-") else Path(rest[0]).name
    layout = rest[rest.index("--layout") + 1] if "--layout" in rest else ""
    title = " ".join(filter(None, [verb, named, layout]))
    return Stage(title, command, outputs, tuple(reads.split()), run, trains, verb not in UNRECORDED)


def _student(name: str) -> list[Stage]:
    weights, more = f"weights/{name}", " --pairs <pairs" if name == "ode_init" else ""
    train = f"train {name} --teacher <teacher --latents <latents{more} --run-dir >runs/{name} --out >{weights}"
    reads = "teacher latents" + (" pairs" if more else "")
    return [_verb(train, weights, reads=reads, run=f"runs/{name}", trains=True)]


def _measured(name: str) -> list[Stage]:
    weights = "" if name == "real" else f" --weights <weights/{name}"
    videos, record = f"videos/{name}/seed0", f"records/{name}_seed0"
    reads = "teacher" if name == "real" else f"teacher weights/{name}"
    return [
        _verb(f"sample {name} --teacher <teacher{weights} --out >{videos}", videos, reads=reads),
        _verb(
            f"score {name} --videos <{videos} --details >details/{name} --out >{record}_scores.csv",
            f"{record}_scores.csv", f"{record}_prompts.csv.gz", f"details/{name}", reads=videos,
        ),
        _verb(
            f"modes {name} --teacher <teacher --latents <latents{weights} --out >{record}_modes.csv",
            f"{record}_modes.csv", reads=f"{reads} latents",
        ),
    ]  # fmt: skip


def _diagnosed(name: str) -> list[Stage]:
    weights, record = f"weights/{name}", f"records/{name}_seed0"
    return [
        _verb(
            f"defect <{weights} --teacher <teacher --out >{record}_defect.csv",
            f"{record}_defect.csv", f"{record}_trajectory.csv", reads=f"teacher {weights}",
        ),
        _verb(
            f"training-curves <{weights} --run-dir <runs/{name} --out >{record}_curves.csv",
            f"{record}_curves.csv", reads=f"{weights} runs/{name}/metrics.jsonl",
        ),
    ]  # fmt: skip


LAB = "@results/lab"
STAGES = [
    _verb(
        "teacher --run-dir >runs/teacher --out >teacher", "teacher", run="runs/teacher", trains=True
    ),
    _verb("latents --teacher <teacher --out >latents", "latents", reads="teacher"),
    _verb("ode-pairs ode_init --teacher <teacher --latents <latents --out >pairs", "pairs", reads="teacher latents"),
    *(stage for name in (*STUDENTS, "ode_init") for stage in _student(name)),
    *(stage for name in (*STUDENTS, "real") for stage in _measured(name)),
    *(stage for name in STUDENTS for stage in _diagnosed(name)),
    _verb(
        "caches <weights/ode_init --teacher <teacher --out >records/ode_init_seed0_caches.csv",
        "records/ode_init_seed0_caches.csv", reads="teacher weights/ode_init",
    ),
    _verb(
        "score-controls --teacher <teacher --videos >videos/controls --out >records/controls.csv",
        "records/controls.csv", reads="teacher",
    ),
    _verb("table table4 --records <records --out >results/smoke/tables", "results/smoke/tables", reads="records"),
    _verb(
        "figure figA1 --records <records --videos <videos --out >figures/smoke",
        "figures/smoke/figA1.png", "figures/smoke/figA1.pdf", reads="records",
    ),
    _verb(
        "claims --records <records --out >results/smoke",
        "results/smoke/claims.csv", "results/smoke/claims.md", reads="records",
    ),
    _verb(
        "clips --videos <videos --out >results/smoke", "results/smoke/clips.webp", "results/smoke/clips.json",
        reads="videos",
    ),
    _verb(
        "report --results <results/smoke --figures <figures/smoke --out >results/smoke/report.html",
        "results/smoke/report.html", reads="results figures",
    ),
    _verb("guide --results @results --figures @paper_figures --out >results/README.md", "results/README.md"),
    _verb(
        "export <weights/sc_dmd --layout wan --out >student.safetensors", "student.safetensors",
        reads="weights/sc_dmd",
    ),
    _verb("export <weights/sc_dmd --layout self-forcing --out >student.pt", "student.pt", reads="weights/sc_dmd"),
    _verb(
        "export <weights/sc_dmd --layout diffusers --teacher <teacher --out >pipeline", "pipeline",
        reads="teacher weights/sc_dmd",
    ),
    _verb(
        "import-released sc_dmd --source <student.safetensors --out >imported", "imported", reads="student.safetensors"
    ),
    _verb("lab-truth --lab lab_smoke --out >lab/records/controls.csv", "lab/records/controls.csv"),
    _verb(
        "lab-arms dmd --first 0 --lab lab_smoke --scratch >lab/arms --out >lab/records",
        "lab/records/dmd_0-1.csv.gz", "lab/records/dmd_0-1_clouds.csv.gz", "lab/records/dmd_0-1.json",
        run="lab/arms", trains=True,
    ),
    _verb(
        "lab-table lab_controls --lab lab_smoke --records <lab/records --out >lab/tables", "lab/tables",
        reads="lab/records",
    ),
    _verb(f"lab-figure fig_lab --records {LAB}/records --out >lab/figures", "lab/figures"),
    _verb(f"lab-report --results {LAB} --figures @paper_figures/lab --out >lab/report.html", "lab/report.html"),
]  # fmt: skip
"""In the order of the chain."""
DISTURBED = [stage for stage in STAGES if not stage.name.endswith("dmd_4")]
"""Those of the matrix; the others are there for tables to compare with."""
SHORT = ("latents", "train sc_dmd", "sample sc_dmd", "score sc_dmd", "defect sc_dmd", "export sc_dmd wan")
"""Those of the short matrix; the chain to them is short as well."""


def make_root(root: Path) -> None:
    """A repository whose smoke scale has few evaluations, and one table and three figures of two students."""
    for name in ("experiments", "workflow"):
        shutil.copytree(ROOT / name, root / name)
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "deviations.md", root / "docs")
    smoke = root / "experiments" / "scales" / "smoke.yaml"
    smoke.write_text(yaml.safe_dump(yaml.safe_load(smoke.read_text()) | {"evaluation": EVALUATION}))
    file = root / "experiments" / "tables.yaml"
    known = yaml.safe_load(file.read_text())
    rows = [{"experiment": "dmd_4", "nfe": 2}, {"experiment": "sc_dmd", "nfe": 2, "against": ["dmd_4"]}]
    one_seed, two = {"seeds": 1}, {"experiments": list(STUDENTS)}
    tables = {"table4": known["tables"]["table4"] | one_seed | {"rows": rows}}
    figures = {
        "figA1": known["figures"]["figA1"] | one_seed | two,
        "fig5": known["figures"]["fig5"] | one_seed | two | {"nfe": [2]},
    }
    file.write_text(yaml.safe_dump(known | {"tables": tables, "figures": figures}, sort_keys=False))
