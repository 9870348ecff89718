"""What the workflow would run for every target, scale and place, and what it says to a user's mistakes."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from salt.cli import app, register
from support.plans import planned

register()

ROOT = Path(__file__).parents[2]
SUITE = yaml.safe_load((ROOT / "experiments" / "tables.yaml").read_text())
RULES = [ROOT / "workflow" / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
LAB_RULES = {"lab_truth", "lab_arms", "lab_table", "lab_figure", "lab_report"}
HEADS = r"^(?:rule|use rule \w+ as) (\w+)(?::| with:)"
RULE_NAMES = set(re.findall(HEADS, "".join(map(Path.read_text, RULES)), re.MULTILINE))
VARIED = {"sample_long", "score_long", "modes_any_step", "latents_part", "ode_pairs_part"}
"""Rules of parts of a work, or of other videos: verbs and numbers are those of the rules they vary."""
ABLATIONS = ["ablation_sc_dmd", "ablation_salt_causal_forcing"]
LONG = ["results/tiny/records/self_forcing_seed0_long.csv", "results/tiny/records/salt_longlive_seed0_long.csv"]
STARTS = ["anyflow_start", "ar_teacher", "causal_ode", "ode_init"]  # what rows start from: trained, not sampled
HERE = {kind: {k: v for k, v in SUITE[kind].items() if not v.get("first_frame")} for kind in ("tables", "figures")}
"""Of text-to-video; the others are of the scale beside it, by rules whose names begin with `beside_`."""
BESIDE = {kind: {k: v for k, v in SUITE[kind].items() if v.get("first_frame")} for kind in ("tables", "figures")}
ENTRIES = [*HERE["tables"].values(), *HERE["figures"].values()]
TARGETS = ["all", "claims", "report", "guide", *SUITE["tables"], *SUITE["figures"], *ABLATIONS]
MEANINGFUL = {k for kind in ("tables", "figures") for k, entry in SUITE[kind].items() if entry.get("meaningful")}
NOT_AT_SMOKE = {*BESIDE["tables"], *BESIDE["figures"], *MEANINGFUL, "guide"}
"""smoke_i2v is run by its own name; more students run no rule that others do not, and their numbers mean nothing."""
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def names_of(entry: dict[str, Any]) -> set[str]:
    """The experiments of one table or figure."""
    return {row["experiment"] for row in entry.get("rows", [])} | {*entry.get("experiments", [])}


def models(scale: str, *uses: str) -> int:
    """Students and their training seeds, of all tables and figures that use one of these, or of all of them."""
    left_out = MEANINGFUL if scale == "smoke" else set()
    seeds: dict[str, int] = {}
    for name, entry in {**HERE["tables"], **HERE["figures"]}.items():
        if name not in left_out and (not uses or {*uses} & {*entry["uses"]}):
            for each in names_of(entry):
                seeds[each] = max(seeds.get(each, 0), entry["seeds"])
    return len(seeds) if scale == "smoke" else sum(seeds.values())


AUTOREGRESSIVE = names_of(SUITE["figures"]["fig_long"])


def of_job(run: subprocess.CompletedProcess[str], message: str) -> str:
    """What a dry run prints of the job with such a message."""
    blocks = (run.stdout + run.stderr).split("\n\n")
    return next(block for block in blocks if re.search(rf"^Job \d+: {message}", block, re.MULTILINE))


def test_folders_of_any_name_are_one_word_of_a_command(snakemake: Snakemake) -> None:
    out, scratch = "it's here", "a b/$(x)"
    plan = snakemake("-n", "all", "--config", "scale=smoke", f"out={out}", f"scratch={scratch}").stdout
    commands = [shlex.split(line) for line in re.findall(r"^Shell command: (salt .*)$", plan, re.MULTILINE)]
    ours = [word for words in commands for word in words if "here" in word or "$(x)" in word]
    assert {words[1] for words in commands} > {"teacher", "train", "sample", "score", "table", "report"}
    assert ours
    assert all(word.startswith((f"{out}/", f"{scratch}/")) for word in ours)


@pytest.mark.parametrize("scale", ["smoke", "tiny"])
def test_every_target_has_a_plan(snakemake: Snakemake, scale: str) -> None:
    targets = [target for target in TARGETS if scale != "smoke" or target not in NOT_AT_SMOKE]
    jobs = planned(snakemake("-n", *targets, "--config", f"scale={scale}"))
    assert {target: jobs[target] for target in targets} == dict.fromkeys(targets, 1)
    assert jobs["teacher"] == jobs["latents"] == 1
    left_out = MEANINGFUL if scale == "smoke" else set()
    assert jobs["table"] == len(HERE["tables"].keys() - left_out)
    assert jobs["figure"] == len(HERE["figures"].keys() - left_out)
    assert jobs["ode_pairs"] == 2, "all seeds start from the same weights"
    assert jobs["train"] == models(scale) + len(STARTS) - (scale == "smoke"), "AnyFlow is not a row there"
    assert jobs["sample"] == jobs["score"] == models(scale, "scores") + len(["teacher", "real"])
    assert jobs["modes"] == models(scale, "modes") + len(["teacher", "real"])
    assert jobs["modes_any_step"] == (0 if scale == "smoke" else models(scale, "any_step") + len(["real"]))
    assert jobs["sample_long"] == jobs["score_long"] == models(scale, "long") + len(["real"])
    assert jobs["caches"] == models(scale, "caches")


def test_image_to_video_is_made_beside_the_rest(snakemake: Snakemake) -> None:
    """Its own teacher, latents and students; the same rules, files and settings."""
    rows = names_of(BESIDE["tables"]["table1"])
    run = snakemake("-n", "table1", "fig_i2v", "--config", "seeds=2", "out=elsewhere")
    jobs, text = planned(run), run.stdout + run.stderr
    assert jobs["beside_teacher"] == jobs["beside_latents"] == jobs["beside_table"] == jobs["beside_figure"] == 1
    assert jobs["beside_train"] == 2 * len(rows)
    assert jobs["beside_sample"] == jobs["beside_score"] == 2 * len(rows) + len(["teacher", "real"])
    assert not {"teacher", "train", "table", "figure"} & set(jobs)
    assert set(re.findall(r"--scale (\w+)", text)) == {"tiny_i2v"}
    assert "elsewhere/results/tiny_i2v/tables/table1.csv" in text
    own = planned(snakemake("-n", "table1", "--config", "seeds=2", "scale=tiny_i2v"))
    assert own["train"] == jobs["beside_train"], "by its own name, too"


def test_the_command_line_takes_what_the_rules_give(snakemake: Snakemake) -> None:
    run = snakemake("-n", *TARGETS, *LONG, "--config", "seeds=1")
    planned_calls = re.findall(r"^Shell command: (?!None)(.*)$", run.stdout, re.MULTILINE)
    calls = [re.fullmatch(r"salt ([a-z-]+) (.*) > \S+ 2>&1", call) for call in planned_calls]
    assert all(calls), planned_calls
    verbs = typer.main.get_command(app).commands
    for verb, words in {call.groups() for call in calls}:
        verbs[verb].make_context(verb, words.split())  # refuses unknown options and misses required ones
    rules = (
        RULE_NAMES
        - LAB_RULES
        - {"all", "import_released", "sample_long", "score_long", "score_vbench", "modes_any_step"}
    )
    rules -= {"latents_part", "ode_pairs_part"}
    assert {call[1] for call in calls} == {rule.replace("_", "-") for rule in rules}
    long = {call[2].split()[0] for call in calls if "--long" in call[2].split()}
    assert (
        {"self_forcing", "salt_longlive"}
        <= long
        <= {"real"}.union(*(names_of(entry) for entry in ENTRIES if "long" in entry["uses"]))
    )


def test_many_jobs_share_what_takes_weeks_at_the_paper_scale(snakemake: Snakemake) -> None:
    """They come before the job that ends the work; every one is given its part."""
    run = snakemake("-n", "table5", "--config", "scale=paper", "seeds=1")
    jobs, parts = planned(run), 32
    assert (jobs["latents"], jobs["latents_part"]) == (1, parts)
    assert jobs["ode_pairs_part"] == parts * jobs["ode_pairs"] > 0
    calls = re.findall(r"salt (latents|ode-pairs) (.*--part .*) > \S+ 2>&1", run.stdout)
    verbs = typer.main.get_command(app).commands
    for verb, words in calls:
        verbs[verb].make_context(verb, words.split())
    given = {re.search(r"--part (\d+)/32 ", words)[1] for verb, words in calls if verb == "latents"}
    assert given == {str(part) for part in range(parts)}


def test_long_videos_are_of_the_same_weights(snakemake: Snakemake) -> None:
    """What is behind them is the student and what it starts from; no short video is made for them."""
    jobs = planned(snakemake("-n", *LONG))
    assert {name: jobs[name] for name in ("sample_long", "score_long", "sample", "score")} == {
        "sample_long": 2,
        "score_long": 2,
        "sample": 0,
        "score": 0,
    }
    assert jobs["train"] == 3, "both start from ode_init"


def test_another_protocol_of_long_videos_leaves_the_others_alone(snakemake: Snakemake, tmp_path: Path) -> None:
    targets = [LONG[0].replace("tiny", "smoke"), LONG[0].replace("tiny", "smoke").replace("_long", "_scores")]
    made = ("--config", "scale=smoke", "seeds=1")
    assert snakemake(*targets, *made).returncode == 0
    scale = tmp_path / "experiments" / "scales" / "smoke.yaml"
    scale.write_text(scale.read_text().replace("long: {length: 2", "long: {length: 3"))
    jobs = planned(snakemake("-n", *targets, *made))
    assert {name for name in jobs if name != "total"} == {"sample_long", "score_long"}


def test_table4_is_three_students_with_eight_seeds_each(snakemake: Snakemake) -> None:
    jobs = planned(snakemake("-n", "table4"))
    assert jobs["train"] == 3 * 8
    assert jobs["sample"] == jobs["score"] == jobs["modes"] == 3 * 8 + 1, "real clips, too"
    assert jobs["defect"] == 0


def test_seeds_and_folders_can_be_chosen(snakemake: Snakemake) -> None:
    run = snakemake("-n", "table4", "figA1", "--config", "seeds=1", "out=elsewhere", SALT_SCRATCH="large_disk")
    jobs = planned(run)
    assert jobs["train"] == jobs["defect"] == 3
    text = run.stdout + run.stderr
    assert "elsewhere/results/tiny/tables/table4.csv" in text
    assert "large_disk/tiny/weights/sc_dmd/seed0/provenance.json" in text
    assert not re.search(r" (results|paper_figures|scratch)/", text)


def test_slurm_runs_the_paper_scale_even_when_another_key_is_given(snakemake: Snakemake) -> None:
    run = snakemake("--profile", "slurm", "-n", "ablation_sc_dmd", "--config", "seeds=1")
    assert planned(run)["train"] == 1
    train = of_job(run, "train sc_dmd, seed 0")
    assert "scratch/paper/weights/sc_dmd/seed0" in train
    assert "torchrun --standalone --nproc-per-node=8 --no-python salt train sc_dmd" in train
    assert "--device cuda" in train


def test_a_message_says_the_rule_and_the_student_of_every_job(snakemake: Snakemake) -> None:
    """The rule's name first, which is the verb and the module as well."""
    run = snakemake("-n", *TARGETS, *LONG, "--config", "seeds=1")
    said = re.findall(r"^Job \d+: (\w+)(.*)$", run.stdout, re.MULTILINE)
    names = {name.removeprefix("beside_") for name, _ in said}
    assert names == RULE_NAMES - LAB_RULES - {
        "all",
        "import_released",
        "score_vbench",
        "latents_part",
        "ode_pairs_part",
    }
    assert all(re.search(r"scale tiny(_i2v)?\b", rest) for _, rest in said)
    assert ("train", " sc_dmd, seed 0: its weights, scale tiny") in said


def test_the_paper_scale_scores_a_job_for_each_dimension(snakemake: Snakemake) -> None:
    long = "results/paper/records/salt_longlive_seed0_long.csv"
    run = snakemake("--profile", "slurm", "-n", "ablation_salt_longlive", long, "--config", "seeds=1")
    jobs = planned(run)
    assert (jobs["score"], jobs["score_long"], jobs["score_vbench"]) == (1, 1, 16 + 9)
    calls = re.findall(r"salt score-vbench (salt_longlive .*) > \S+ 2>&1", run.stdout + run.stderr)
    assert sum("--long" in call.split() for call in calls) == 9
    verb = typer.main.get_command(app).commands["score-vbench"]
    for call in calls:
        verb.make_context("score-vbench", call.split())  # refuses unknown options and misses required ones


def test_vbenchs_prompts_have_no_clips_to_be_spoilt_or_encoded(snakemake: Snakemake) -> None:
    jobs = planned(snakemake("-n", "all", "--config", "scale=paper", "seeds=1"))
    assert jobs["score_controls"] == 0
    tables, figures = ({k for k, entry in HERE[kind].items() if not entry.get("exact")} for kind in HERE)
    assert jobs["table"] == len(tables - {"controls"})
    assert jobs["figure"] == len(figures)
    assert jobs["defect"] > 0
    assert jobs["caches"] > 0
    assert jobs["beside_score_vbench"] == 10 * jobs["beside_sample"], "VBench-I2V's dimensions"


def test_slurm_may_run_the_smoke_scale(snakemake: Snakemake) -> None:
    run = snakemake("--profile", "slurm", "-n", "fig1", "--config", "scale=smoke")
    assert planned(run)["train"] == 3
    text = run.stdout + run.stderr
    assert "scratch/smoke/" in text
    assert "paper/" not in text.replace("profiles/slurm", "")
    assert "torchrun" not in text
    assert "cuda" not in text


def ask(folder: Path, scale: str, rule: str, **changes: object) -> None:
    """Change what jobs of a rule ask for."""
    path = folder / "workflow" / "resources.yaml"
    resources = yaml.safe_load(path.read_text())
    resources[scale][rule] = resources[scale]["default"] | resources[scale].get(rule, {}) | changes
    path.write_text(yaml.safe_dump(resources))


def test_one_rule_trains_on_several_nodes(snakemake: Snakemake, tmp_path: Path) -> None:
    ask(tmp_path, "paper", "train", nodes=2)
    train = of_job(snakemake("--profile", "slurm", "-n", "ablation_sc_dmd", "--config", "seeds=1"), "train sc_dmd")
    assert re.search(r"srun --nodes=2 .* torchrun --nnodes=2 .*--nproc-per-node=8 --no-python salt train sc_dmd", train)


def test_the_device_follows_the_gpus_unless_it_is_named(snakemake: Snakemake, tmp_path: Path) -> None:
    ask(tmp_path, "smoke", "train", gpu=1)
    ask(tmp_path, "smoke", "sample", gpu=1, device="cpu")
    text = snakemake("-n", "table4", "--config", "scale=smoke").stdout
    assert re.search(r"salt train .*--device cuda ", text)
    assert re.search(r"salt sample .*--device cpu ", text)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sede=3", "--config sede=3: unknown key; did you mean 'seeds'? accepted: scale, seeds, out, scratch"),
        ("weights=relaesed", "--config weights=relaesed: accepted: trained, released"),
        ("weights=released", "--config weights=released: no experiment has scales.tiny.released; accepted: weights="),
        ("seeds=0", "--config seeds=0: accepted: the number of training seeds, 1 or more"),
        ("scale=smok", "scale 'smok': there is no experiments/scales/smok.yaml; did you mean 'smoke'?"),
    ],
)
def test_a_wrong_setting_is_named(snakemake: Snakemake, setting: str, message: str) -> None:
    run = snakemake("-n", "all", "--config", setting)
    assert run.returncode == 1
    assert message in run.stdout
    assert "Traceback" not in run.stdout


def test_a_table_of_an_unknown_experiment_is_refused(snakemake: Snakemake, tmp_path: Path) -> None:
    tables = tmp_path / "experiments" / "tables.yaml"
    text = tables.read_text()
    for known, told in (
        ("sc_dmd, nfe: 2", "experiments/tables.yaml: tables.table2: sc_dmt: no such student; did you mean 'sc_dmd'?"),
        ("lightx2v", "experiments/tables.yaml: sc_dmt: no such experiment; did you mean 'sc_dmd'?"),
    ):
        name, comma, more = known.partition(",")
        tables.write_text(text.replace(f"experiment: {name}{comma}{more}", f"experiment: sc_dmt{comma}{more}", 1))
        run = snakemake("-n", "table4")
        assert run.returncode == 1
        assert told in run.stdout


def test_lint_asks_for_nothing_but_environments(snakemake: Snakemake) -> None:
    """There is one for all rules, which `make setup` or environment.yml makes before Snakemake is called."""
    run = snakemake("--lint")
    asked = set(re.findall(r"^ +\* (.+)$", run.stdout + run.stderr, re.MULTILINE))
    assert asked == {"Specify a conda environment or container for each rule.:"}, run.stdout + run.stderr


def test_the_rules_are_formatted() -> None:
    command = [Path(sys.executable).parent / "snakefmt", "--check", "workflow"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_hold_no_science_and_no_retries(path: Path) -> None:
    text = path.read_text()
    # A rule's own retries are repeated inside one SLURM allocation; run: and script: hide work from the command line.
    assert not re.search(r"^\s*(retries|run|script|notebook):", text, re.MULTILINE)
    for outputs in re.findall(r"^    output:\n((?: {8}.*\n)+)", text, re.MULTILINE):
        assert "/runs/" not in outputs
        assert "directory(" not in outputs


def test_the_side_files_name_rules_that_exist() -> None:
    resources, stages = (
        yaml.safe_load((ROOT / "workflow" / name).read_text()) for name in ("resources.yaml", "stages.yaml")
    )
    assert {rule for part in resources.values() for rule in part} <= {*RULE_NAMES, "default"}
    assert {*stages, "all", *VARIED} == RULE_NAMES


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("--config scale=smoke all", "all --config scale=smoke"),
        ("--config scale=smoke seeds=1 table4 figA1 -n", "table4 figA1 --config scale=smoke seeds=1 -n"),
        ("table4 --config seeds=1 --profile slurm", "table4 --config seeds=1 --profile slurm"),
        ("--profile slurm all", "--profile slurm all"),
        ("-C scale=smoke -- all", "-C scale=smoke -- all"),
    ],
)
def test_targets_may_follow_the_settings(tmp_path: Path, given: str, passed_on: str) -> None:
    wrapper, python = tmp_path / "snakemake", tmp_path / "python"
    wrapper.write_text((ROOT / "workflow" / "snakemake.sh").read_text())
    python.write_text('#!/bin/sh\necho "$@"\n')
    for script in (wrapper, python):
        script.chmod(0o755)
    run = subprocess.run([wrapper, *given.split()], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["-m", "snakemake", *passed_on.split()]
