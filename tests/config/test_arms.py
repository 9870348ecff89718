"""`experiments/lab/arms.yaml`: every arm is a row that loads, no two are one, and every mistake is one line."""

import shutil

import pytest
import yaml

from salt.config import experiment_names, load_experiment, repository_root, training_hash
from salt.config.lab_arms import Arms, ensemble, load_arms, scale_of
from support.lab import message

ARMS = load_arms()
EVERY = [(name, arm) for name, one in ARMS.sets.items() for arm in one.arms]


def experiment(name: str, arm: str, lab: str):
    one = ARMS.sets[name]
    return one.arms[arm].experiment(scale_of(one.world, lab).name)


@pytest.fixture
def arms(tmp_path, monkeypatch):
    """arms(changed) writes another file of arms in a copy of `experiments/`, and reads it."""
    shutil.copytree(repository_root() / "experiments", tmp_path / "experiments")
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    path = tmp_path / "experiments" / "lab" / "arms.yaml"

    def read(change) -> Arms:
        values = yaml.safe_load(path.read_text())
        change(values["sets"])
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return load_arms()

    return read


# ---------------------------------------------------------------------------------------- the file itself
@pytest.mark.parametrize("lab", ["lab", "lab_smoke"])
@pytest.mark.parametrize("name", ARMS.sets)
def test_every_arm_loads(name, lab):
    one = ARMS.sets[name]
    for arm in one.arms:
        made = experiment(name, arm, lab)
        assert made.scale.name == scale_of(one.world, lab).name
        assert made.scale.exact.world.kind == one.world
        assert made.init == "random" or made.init in ARMS.every(), f"{arm} starts from no arm"
        assert made.objectives.dmd is None or made.objectives.dmd.teacher == "exact"
        if lab == "lab_smoke":
            assert made.train.iterations <= 2


@pytest.mark.parametrize("lab", ["lab", "lab_smoke"])
def test_no_two_arms_are_one(lab):
    """By what is trained. At smoke scale a run is too short for its length to tell arms apart."""
    hashes: dict[str, str] = {}
    titles: dict[str, str] = {}
    for name, arm in EVERY:
        made = experiment(name, arm, lab)
        text = training_hash(made)
        shorter = lab == "lab_smoke" and ARMS.every()[arm].set.get("train.iterations")
        assert shorter or text not in hashes, f"{arm} and {hashes[text]} train the same networks"
        hashes.setdefault(text, arm)
        if ARMS.sets[name].world == "mixture":
            assert made.title not in titles, f"{arm} and {titles[made.title]} have one title"
            titles[made.title] = arm


def test_an_arm_starts_from_what_is_trained_before_it():
    """From an arm of its own set, or of one before; the critic's too, which is a network of whole states."""
    seen: list[str] = []
    for name, one in ARMS.sets.items():
        for arm in one.arms:
            made = experiment(name, arm, "lab")
            assert made.init == "random" or made.init in [*seen, *one.arms]
            seen.append(arm)
        assert ARMS.every()[one.critic].row == "teacher"
        assert ARMS.sets[ARMS.set_of(one.critic)].world == one.world


def test_overrides_of_an_arm_are_what_distinguishes_it():
    plain, half = (experiment("rollout", arm, "lab") for arm in ("dmd_8_bs", "dmd_8_bs_half"))
    assert (plain.rollout.last, half.rollout.last) == (0.0, 0.5)
    same = half.model_copy(update={"rollout": plain.rollout, "title": plain.title})
    assert same == plain
    assert half.title == "DMD-8-BS, half at the last exit"
    assert experiment("sc", "sc_dmd", "lab").objectives.sc.weight == 0.3
    assert experiment("lambda", "sc_0_03", "lab").objectives.sc.weight == 0.03
    assert experiment("guidance", "dmd_8_cfg4", "lab").objectives.dmd.cfg_weight == 4
    assert experiment("guidance", "dmd_8_cfg4", "lab").init == "start_cfg4"


def test_an_arm_that_is_a_row_is_the_row():
    made = experiment("dmd", "dmd_8", "lab")
    assert made == load_experiment("dmd_8", "lab")


# ------------------------------------------------------------------------------------------ wrong entries
def test_an_arm_named_twice(arms):
    text = message(arms, lambda sets: sets["sc"]["arms"].update(dmd_8={"row": "dmd_8"}))
    assert text.startswith("experiments/lab/arms.yaml: ")
    assert "sets.sc.arms.dmd_8: set dmd has an arm of this name; accepted: another name" in text


def test_an_unknown_row(arms):
    text = message(arms, lambda sets: sets["sc"]["arms"].update(other={"row": "sc_dmdd"}))
    assert "arms.yaml: sets.sc.arms.other.row = sc_dmdd: no such experiment; did you mean 'sc_dmd'? accepted: " in text
    assert all(name in text for name in experiment_names()[:2])


def test_an_unknown_critic(arms):
    text = message(arms, lambda sets: sets["sc"].update(critic="teachr"))
    assert "sets.sc.critic = teachr: no such arm; did you mean 'teacher'? accepted: teacher, start" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda sets: sets["sc"]["arms"].update(other={}), "sets.sc.arms.other.row: missing; accepted: Stem of"),
        (
            lambda sets: sets["sc"]["arms"].update(other={"rwo": "dmd_8"}),
            'other.rwo = "dmd_8": unknown key; did you mean',
        ),
        (lambda sets: sets["sc"].update(world="cloud"), "sets.sc.world = \"cloud\": accepted: 'mixture' or 'chain'"),
        (lambda sets: sets["sc"].update(arms={}), "sets.sc.arms = {}: accepted:"),
        (
            lambda sets: sets["sc"].update(abuot="x"),
            "sets.sc.abuot = \"x\": unknown key; did you mean 'about'? accepted",
        ),
        (lambda sets: sets["sc"].pop("about"), "sets.sc.about: missing; accepted: What the set is for"),
        (lambda sets: sets.clear(), "sets = {}: accepted:"),
    ],
)
def test_other_mistakes(arms, change, told):
    text = message(arms, change)
    assert text.startswith("experiments/lab/arms.yaml: ")
    assert told in text


def test_an_override_of_no_key(arms):
    read = arms(lambda sets: sets["sc"]["arms"].update(other={"row": "sc_dmd", "set": {"objectives.sc.wieght": 1}}))
    text = message(read.every()["other"].experiment, "lab")
    assert "objectives.sc.wieght = 1: unknown key; did you mean 'weight'?" in text


# ---------------------------------------------------------------------------------------- sets and seeds
def test_an_unknown_set():
    text = message(ARMS.named, "startt")
    assert (
        text
        == f"set 'startt': not in experiments/lab/arms.yaml; did you mean 'start'? accepted: {', '.join(ARMS.sets)}"
    )


@pytest.mark.parametrize("first", [1, 16, 99, 132, -16])
def test_seeds_of_no_ensemble(first):
    assert message(ensemble, "sc", "lab", first) == (
        f"--first {first}: no ensemble begins with this seed; accepted: 0, 100, 116"
    )


def test_ensembles_are_those_of_the_two_phases():
    assert ensemble("sc", "lab", 0) == tuple(range(16))
    assert ensemble("sc", "lab", 116) == tuple(range(116, 132))
    assert ensemble("chain", "lab_smoke", 0) == (0, 1)
    told = "--first 100: no ensemble begins with this seed; accepted: 0"  # the smoke decides nothing
    assert message(ensemble, "chain", "lab_smoke", 100) == told


@pytest.mark.parametrize(
    ("world", "lab"), [("mixture", "tiny"), ("chain", "tiny"), ("mixture", "lab_chain"), ("chain", "smoke")]
)
def test_a_scale_without_that_world(world, lab):
    assert (
        message(scale_of, world, lab)
        == f"--lab {lab}: this scale has no world of kind {world}; accepted: lab, lab_smoke"
    )
