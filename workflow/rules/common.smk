# Names, checks and look-ups that the rules share. Everything is known when the files have been parsed, so every
# mistake in a YAML file is one line before the first job.
import hashlib
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from salt.config import content_hash, load_experiment, load_scale, repository_root, training_hash
from salt.config.load import of_scale
from salt.config.files import accepted, read_mapping
from salt.errors import SaltError
from salt.files import sha256
from salt.report.suite import experiments_at, load_suite

DEFAULTS = {
    "scale": "tiny",
    "seeds": None,
    "out": ".",
    "scratch": os.environ.get("SALT_SCRATCH", "scratch"),
    "weights": "trained",
}
REFERENCES = ("teacher", "real")  # sampled and scored, not distilled: the guided teacher and the codec's ceiling


def settings():
    """The workflow's own configuration: `--config` over DEFAULTS, names and values checked."""
    for key, value in config.items():
        if key not in DEFAULTS:
            raise SaltError(f"--config {key}={value}: unknown key; {accepted(key, DEFAULTS)}")
    merged = DEFAULTS | config
    seeds = merged["seeds"]
    if seeds is not None and (not isinstance(seeds, int) or seeds < 1):
        raise SaltError(f"--config seeds={seeds}: accepted: the number of training seeds, 1 or more")
    if merged["weights"] not in ("trained", "released"):
        raise SaltError(f"--config weights={merged['weights']}: accepted: trained, released")
    return merged


def imported():
    """The students that `weights=released` takes from a published checkpoint; all others are trained either way."""
    if SETTINGS["weights"] == "trained":
        return []
    found = [name for name in STUDENTS if EXPERIMENTS[name].released is not None]
    if not found:
        place = f"scales.{SCALE.name}.released"
        raise SaltError(f"--config weights=released: no experiment has {place}; accepted: weights=trained")
    return found


def checked_suite():
    """Which students make which table and figure."""
    suite = load_suite().at(SCALE).model_dump()
    for kind in ("tables", "figures"):
        for name, entry in suite[kind].items():
            for experiment in experiments_of(entry):
                if experiment not in STUDENTS:
                    place = f"experiments/tables.yaml: {kind}.{name}: {experiment}"
                    raise SaltError(f"{place}: no such student; {accepted(experiment, STUDENTS)}")
    return suite


def targets_of(scale):
    """The names of a scale's tables and figures."""
    suite = load_suite().at(scale)
    return [*suite.tables, *suite.figures]


def experiments_of(entry):
    """The experiments of one table or figure, each once, in order."""
    named = entry["experiments"] if "experiments" in entry else [row["experiment"] for row in entry["rows"]]
    return list(dict.fromkeys(named))


def teacher_state():
    """What decides the teacher: the shipped files, the folder that is linked, or what it is trained with."""
    shared = [STAGE["teacher"], *map(content_hash, (SCALE.world, SCALE.codec, SCALE.text, SCALE.backbone))]
    if SCALE.teacher == "linked":
        return shared + [SCALE.assets, SCALE.larger and content_hash(SCALE.larger)]
    if SCALE.teacher == "shipped":
        return shared + [sha256(path) for path in sorted((repository_root() / SCALE.assets).rglob("provenance.json"))]
    return shared + [training_hash(entry) for name, entry in EXPERIMENTS.items() if name not in STUDENTS]


def latents_state():
    """What decides the latent bank: clips of the world and the codec, or captions and the teacher that shows them."""
    own = [STAGE["latents"], *map(content_hash, (SCALE.world, SCALE.codec, SCALE.text))]
    if SCALE.first_frame is not None:
        own.append(content_hash(SCALE.first_frame))
    if SCALE.data is None:
        return own
    evaluation, shown = SCALE.evaluation, EXPERIMENTS["teacher"].grid
    own += [*map(content_hash, (SCALE.vae, SCALE.data, shown)), *teacher_state()]
    return own + [evaluation.teacher_nfe, evaluation.cfg_weight, evaluation.precision]


def pairs_state(name):
    """What decides the trajectories that an experiment regresses; empty where it regresses none."""
    experiment = EXPERIMENTS[name]
    if experiment.pairs is None:
        return []
    own = [STAGE["ode_pairs"], content_hash(experiment.pairs), content_hash(experiment.grid)]
    own += [SCALE.evaluation.precision, *latents_state(), *teacher_state()]
    return own + (weights_state(experiment.pairs.teacher) if experiment.pairs.teacher in STUDENTS else [])


def weights_state(name):
    """What decides a student's weights: its experiment, its data, and all of that for what it starts from."""
    if name in IMPORTED:
        return [STAGE["import_released"], content_hash(EXPERIMENTS[name].released), content_hash(SCALE.backbone)]
    own = [STAGE["train"], training_hash(EXPERIMENTS[name]), *latents_state(), *teacher_state(), *pairs_state(name)]
    init = EXPERIMENTS[name].init
    return own + (weights_state(init) if init in STUDENTS else [])


def weights_folder(name, seed):
    return f"{SCRATCH}/{'released' if name in IMPORTED else 'weights'}/{name}/seed{seed}"


def start_of(name):
    """The weights that an experiment starts from, of training seed 0: one start for all seeds, as is published."""
    init = EXPERIMENTS[name].init
    return [f"{weights_folder(init, 0)}/provenance.json"] if init in STUDENTS else []


def pairs_of(name):
    found = f"{SCRATCH}/pairs/{name}/{digest(pairs_state(name))}/index.json"
    return [found] if EXPERIMENTS[name].pairs is not None else []


def pairs_teacher(name):
    """The weights of the causal teacher whose trajectories an experiment regresses, where it is one."""
    pairs = EXPERIMENTS[name].pairs
    causal = pairs is not None and pairs.teacher in STUDENTS
    return [f"{weights_folder(pairs.teacher, 0)}/provenance.json"] if causal else []


def parts_of(rule, folder):
    """What the jobs that share the work of a rule leave in its folder; nothing where one job does it all."""
    parts = asked(rule)["parts"]
    return [f"{folder}/part_{part}_of_{parts}" for part in range(parts)] if parts > 1 else []


def option(flag, files):
    """`flag FOLDER` for the folder of a file, or nothing."""
    return [f"{flag} {Path(file).parent}" for file in files]


def check_starts():
    """Every start is a student, and no chain of starts is a circle."""
    for name in STUDENTS:
        chain = [name]
        while (init := EXPERIMENTS[chain[-1]].init) not in ("teacher", "random"):
            if init not in STUDENTS:
                raise SaltError(
                    f"experiments/{chain[-1]}.yaml: init = {init}; {accepted(init, ['teacher', 'random', *STUDENTS])}"
                )
            if init in chain:
                raise SaltError(f"experiments/{name}.yaml: init: {' -> '.join([*chain, init])} is a circle")
            chain.append(init)


def digest(state):
    """Names the folder of a run, or of a store, by its state: it goes on with itself, not with what other values began."""
    return hashlib.sha256(repr(state).encode()).hexdigest()[:8]


def run_dir(name, state):
    return f"{SCRATCH}/runs/{name}/{digest(state)}"


def paper_state(entry):
    """What decides one table or figure besides its records: its entry, its titles, the published numbers."""
    published = sha256(repository_root() / "experiments" / "paper_values.yaml")
    return [STAGE["paper"], published, entry, [EXPERIMENTS[name].title for name in experiments_of(entry)]]


def evaluation_state(stage):
    """What decides the videos of training length and their scores, besides the weights."""
    return [STAGE[stage], content_hash(SCALE.world), content_hash(SCALE.evaluation, {"long"})]


def long_state(stage):
    """The same of long videos."""
    return [STAGE[stage], content_hash(SCALE.world), content_hash(SCALE.evaluation)]


def seeds_of(entry):
    return range(SETTINGS["seeds"] or min(entry["seeds"], SCALE.training_seeds))


def seeds_for(name, entry):
    """The training seeds of one student: of published weights there is one."""
    return range(1) if name in IMPORTED else seeds_of(entry)


def students_of(entry):
    """(experiment, seed) of one table or figure; references have one seed."""
    pairs = [(experiment, seed) for experiment in experiments_of(entry) for seed in seeds_for(experiment, entry)]
    known = [name for name in entry.get("references", []) if name != "real" or not VBENCH]  # no clips of its prompts
    return pairs, [(reference, 0) for reference in known]


def records_of(entry):
    """The record files that one table or figure reads."""
    students, references = students_of(entry)
    files = []
    if "scores" in entry["uses"]:
        files += [f"{RECORDS}/{name}_seed{seed}_scores.csv" for name, seed in students + references]
    for kind in ("long", "defect", "caches"):
        if kind in entry["uses"]:
            files += [f"{RECORDS}/{name}_seed{seed}_{kind}.csv" for name, seed in students]
    if "controls" in entry["uses"]:
        files.append(f"{RECORDS}/controls.csv")
    return files


def videos_of(entry):
    """The manifests of the videos that one figure shows."""
    folders = [f"{VIDEOS}/{name}/seed{seed}" for name, seed in sum(students_of(entry), [])]
    kinds = [ending for kind, ending in (("videos", ""), ("long_videos", "_long")) if kind in entry["uses"]]
    return [f"{folder}{ending}/manifest.json" for ending in kinds for folder in folders]


def weights_of(wildcards):
    """A student's weights."""
    return f"{weights_folder(wildcards.experiment, wildcards.seed)}/provenance.json"


def sampled_weights(wildcards):
    """The same of what is sampled; the references need the teacher's folder alone."""
    if wildcards.sampled in REFERENCES:
        return []
    return [f"{weights_folder(wildcards.sampled, wildcards.seed)}/provenance.json"]


def asked(rule):
    """The entry of resources.yaml for `rule` at this scale."""
    entry = {"nodes": 1, "parts": 1} | NEEDS.get(rule, NEEDS["default"])
    return {"device": "cuda" if entry["gpu"] else "cpu"} | entry


def dimensions_of(evaluation):
    """What the real VBench scores, a job each; nothing where the ground-truth scorer does it."""
    return evaluation.vbench.dimensions() if evaluation and evaluation.vbench else ()


def needs(rule):
    """What a job of `rule` asks for, in the words of the SLURM plugin.

    A second attempt gets twice the memory, and no later one more: most of them are trainings that ran out of time.
    """
    entry = asked(rule)
    memory = entry["mem_mb"]
    common = {
        "nodes": entry["nodes"],
        "cpus_per_task": entry["cpus_per_task"],
        "runtime": entry["runtime"],
        "mem_mb": lambda wildcards, attempt: memory * min(attempt, 2),
    }
    if entry["nodes"] == 1:
        return common | {"gpu": entry["gpu"]}
    # `mpi` leaves srun to the rule; without tasks_per_gpu=0 the plugin would ask for `tasks` on every GPU.
    gpus = {"gres": f"gpu:{entry['gpu']}"} if entry["gpu"] else {}
    return common | gpus | {"mpi": "srun", "tasks": entry["nodes"], "tasks_per_gpu": 0}


def device(rule):
    return asked(rule)["device"]


def launcher(rule):
    """What stands before a command: nothing, or one process per GPU on one node or several, of one SLURM job."""
    entry = asked(rule)
    nodes, gpus = entry["nodes"], entry["gpu"]
    workers = f"--nproc-per-node={max(gpus, 1)} --no-python "
    if nodes == 1:
        return f"torchrun --standalone {workers}" if gpus > 1 else ""
    step = f"srun --nodes={nodes} --ntasks={nodes} --cpus-per-task={entry['cpus_per_task']} --kill-on-bad-exit=1"
    if gpus:
        step += f" --gres=gpu:{gpus}"
    # The shell of a job runs on its first node, so `hostname` is where the processes meet.
    meet = "--rdzv-backend=c10d --rdzv-id=$SLURM_JOB_ID --rdzv-endpoint=$(hostname):$((20000 + SLURM_JOB_ID % 20000))"
    return f"{step} torchrun --nnodes={nodes} {meet} {workers}"


try:
    SETTINGS = settings()
    SCALE = load_scale(SETTINGS["scale"])
    EXPERIMENTS = {name: load_experiment(name, SCALE.name) for name in experiments_at(SCALE)}
    STUDENTS = [name for name in EXPERIMENTS if name != "teacher"]
    check_starts()
    SUITE = checked_suite()
    IMPORTED = imported()
    NEEDS = of_scale(read_mapping(Path(workflow.basedir) / "resources.yaml"), SCALE.name)
    STAGE = read_mapping(Path(workflow.basedir) / "stages.yaml")
except SaltError as error:
    raise WorkflowError(str(error)) from None

# The dimensions that the real VBench scores at this scale, of videos of training length and of long ones.
VBENCH = dimensions_of(SCALE.evaluation)
VBENCH_LONG = dimensions_of(SCALE.evaluation.long)
# Controls are clips of the world, spoilt: VBench's prompts have none.
TABLES = {name: entry for name, entry in SUITE["tables"].items() if not (VBENCH and "controls" in entry["uses"])}
FIGURES = SUITE["figures"]
SCRATCH = Path(SETTINGS["scratch"], SCALE.name).as_posix()
LATENTS = f"{SCRATCH}/latents/{digest(latents_state())}"
# By stage number, because `salt sample` keeps whole videos of the same weights.
VIDEOS = f"{SCRATCH}/videos/v{STAGE['sample']}"
# Beside those of weights trained here: a row of either kind must never stand for the other.
PRINTED = f"{SCALE.name}_released" if IMPORTED else SCALE.name
RESULTS = Path(SETTINGS["out"], "results", PRINTED).as_posix()
RECORDS = f"{RESULTS}/records"
PAPER_FIGURES = Path(SETTINGS["out"], "paper_figures", PRINTED).as_posix()
ALL_RECORDS = sorted({file for entry in (TABLES | FIGURES).values() for file in records_of(entry)})
