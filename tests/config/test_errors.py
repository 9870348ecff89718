"""Every bad input ends in one line that names the file, the key, the value and what is accepted."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import salt
from salt.config import experiment_names, load_experiment, load_scale, paper_values, repository_root
from salt.config.base import Section
from salt.config.files import read_mapping
from salt.config.schema import Experiment
from salt.errors import SaltError
from support.repository import DMD, SCALE

GRID = "grid: {steps: 4, train_steps: 8}"


def message(call, *args):
    with pytest.raises(SaltError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title", "titel", ["experiments/dmd.yaml: titel: unknown key; did you mean 'title'? accepted: title, about,"]),
        ("title: DMD", "title: DMD\nextend: dmd", ["extend: unknown key; did you mean 'extends'?"]),
        ("title: DMD", "title: DMD\nname: dmd", ["dmd.yaml: name: unknown key"]),
        (
            "{dmd: {}}",
            "{dmd: {cfg_wieght: 3}}",
            ["dmd.yaml: objectives.dmd.cfg_wieght = 3: unknown key; did you mean 'cfg_weight'?"],
        ),
        (
            "{dmd: {}}",
            "{dmdd: null, dmd: {}}",
            [
                "objectives.dmdd = null: unknown key; did you mean 'dmd'? accepted: dmd, flow_matching, ode, pcm, "
                "flow_map, sc"
            ],
        ),
        ("steps: 4,", "steps: four,", ['dmd.yaml: grid.steps = "four": accepted: a valid integer']),
        ("steps: 4,", "steps: true,", ["dmd.yaml: grid.steps = true: accepted: a valid integer"]),
        ("steps: 4,", "steps: 4.5,", ["dmd.yaml: grid.steps = 4.5: accepted: a valid integer"]),
        ("steps: 4,", "steps: 0,", ["dmd.yaml: grid.steps = 0: accepted: greater than 0"]),
        ("title: DMD", "title: 4", ["dmd.yaml: title = 4: accepted: a valid string"]),
        (GRID, "grid: 4", ["dmd.yaml: grid = 4: accepted: a mapping of steps, train_steps, shift"]),
        (
            GRID,
            GRID + "\nrollout: {kind: data}",
            ["rollout.kind = \"data\": accepted: 'noised_data', 'backward_simulation', 'autoregressive' or 'flow_map'"],
        ),
        (
            "dmd: {}",
            "dmd: {cfg_weight: .inf}",
            ["dmd.yaml: objectives.dmd.cfg_weight = Infinity: accepted: a finite number"],
        ),
        ("dmd: {}", "dmd: {teacher: larger}", ["objectives.dmd.teacher=larger, but scale one has no `larger`: own is"]),
        ("dmd: {}", "dmd: {cfg_weight: .nan}", ["objectives.dmd.cfg_weight = NaN: accepted:"]),
        (
            "dmd: {}",
            "dmd: {noise: {t_min: 0.99}}",
            ["dmd.yaml: objectives.dmd.noise: t_min=0.99 must lie below t_max=0.98"],
        ),
        ("steps: 4, ", "", ["dmd.yaml: grid.steps: missing; accepted: K, the number of student evaluations"]),
        ("title: DMD\n", "", ["dmd.yaml: title: missing; accepted: Its name in tables"]),
        ("steps: 4, ", "stesp: 4, ", ["grid.stesp = 4: unknown key; did you mean 'steps'?", "(and 1 more)"]),
        (
            "steps: 4,",
            "steps: 3,",
            ["dmd.yaml: grid: T^(3) is not on the training grid: train_steps=8 must be a multiple"],
        ),
        (
            "{dmd: {}}",
            "{sc: {}}",
            ["dmd.yaml: objectives: driving objectives given: none; accepted: exactly"],
        ),
        (
            "{dmd: {}}",
            "{dmd: {}, flow_matching: {}}",
            ["driving objectives given: dmd, flow_matching; accepted"],
        ),
        ("{dmd: {}}", "{flow_matching: {}}", ["experiments/dmd.yaml: objectives.dmd and train.critic belong together"]),
        ("title: DMD", "title: DMD\nscales: {ones: {}}", ["dmd.yaml: scales.ones: unknown key; did you mean 'one'?"]),
        ("title: DMD", "title: DMD\nscales: {one: {scale: {}}}", ["dmd.yaml: scales.one.scale: unknown key"]),
        ("title: DMD", "title: DMD\nscales: {one: 4}", ["dmd.yaml: scales.one: is of type int; accepted: a mapping"]),
        (
            "title: DMD",
            "title: DMD\nscales: {one: {grid: {steps: 3}}}",
            ["dmd.yaml: scales.one.grid: T^(3) is not on the"],
        ),
        (
            "title: DMD",
            "title: DMD\nextends: dmdd",
            ["dmd.yaml: extends = \"dmdd\": no such experiment; did you mean 'dmd'?"],
        ),
        ("title: DMD", "title: DMD\nextends: dmd", ["dmd.yaml: extends = dmd: the chain dmd -> dmd is a cycle"]),
        ("title: DMD", "title: A\ntitle: B", ["dmd.yaml, line 3: not valid YAML: key 'title' is given twice"]),
        ("title: DMD", "1: A", ["dmd.yaml, line 2: not valid YAML: key '1' is not text"]),
        ("title: DMD", "title: [A", ["dmd.yaml, line 3: not valid YAML:"]),
        (DMD, "", ["experiments/dmd.yaml: is empty; accepted: a mapping"]),
        (DMD, "- a\n- b", ["experiments/dmd.yaml: is of type list; accepted: a mapping"]),
        (DMD, "\x00", ["experiments/dmd.yaml: not valid YAML:"]),
    ],
)
def test_experiment_file(repository, old, new, told):
    assert old in DMD
    repository.write("dmd.yaml", DMD.replace(old, new, 1))
    text = message(load_experiment, "dmd", "one")
    for part in told:
        assert part in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("assets:", "asets:", "experiments/scales/one.yaml: asets: unknown key; did you mean 'assets'?"),
        ("num_layers: 1, ", "", "one.yaml: backbone.num_layers: missing; accepted: Transformer blocks."),
        ("num_layers: 1", "num_layers: -1", "one.yaml: backbone.num_layers = -1: accepted: greater than 0"),
        (
            "defaults:",
            "evaluation: {nfe: [2, x]}\ndefaults:",
            'one.yaml: evaluation.nfe.1 = "x": accepted: a valid integer',
        ),
        ("defaults:", "world: {size: 20}\ndefaults:", "one.yaml: world: stored videos would have sides of 20 x 4"),
        ("iterations: 5", "iterations: x", 'one.yaml: defaults.train.iterations = "x": accepted: a valid integer'),
        ("  train:", "  trian:", "one.yaml: defaults.trian: unknown key; did you mean 'train'?"),
        ("    iterations: 5\n", "", "experiments/dmd.yaml: train.iterations: missing; accepted: Generator updates."),
        ("defaults:", "name: one\ndefaults:", "one.yaml: name: unknown key"),
        (SCALE[SCALE.index("defaults:") :], "defaults:", "one.yaml: defaults: is empty"),
    ],
)
def test_scale_file(repository, old, new, told):
    assert old in SCALE
    repository.write("scales/one.yaml", SCALE.replace(old, new, 1))
    assert told in message(load_experiment, "dmd", "one")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "grid.stepz",
            "4",
            "command line: grid.stepz = 4: unknown key; did you mean 'steps'? accepted: steps, train_steps",
        ),
        ("grdi.steps", "4", "command line: grdi = {\"steps\": 4}: unknown key; did you mean 'grid'?"),
        ("grid.steps", "3", "command line: grid: T^(3) is not on the training grid"),
        ("grid.steps", "four", 'command line: grid.steps = "four": accepted: a valid integer'),
        ("grid.steps.now", "4", 'command line: grid.steps = {"now": 4}: accepted: a valid integer'),
        ("grid..steps", "4", "command line: grid..steps=4: accepted: section.key=value"),
        ("grid.steps", " ", "command line: grid.steps= : accepted: section.key=value"),
        ("grid.steps", "[4", "command line: grid.steps=[4, line 1: not valid YAML"),
        ("grid", "null", "command line: grid: missing; accepted: T^(K) and T_train"),
        ("train.critic", "null", "dmd.yaml with train.critic=null: objectives.dmd and train.critic belong together"),
        (
            "scale.evaluation.promts",
            "4",
            "command line: scale.evaluation.promts = 4: unknown key; did you mean 'prompts'?",
        ),
        ("train.optimiser.betas", "[0.9]", "command line: train.optimiser.betas.1: missing; accepted: a longer list"),
        ("train.optimiser.betas", "[0, 0, 0]", "command line: train.optimiser.betas = [0, 0, 0]: accepted: "),
        ("train.optimiser.betas", "[0, 1]", "command line: train.optimiser.betas.1 = 1: accepted: less than 1"),
        ("train.accumulate", "3", "command line: train: batch_size=4 must be a multiple of accumulate=3"),
        ("name", "other", "command line: name=other: the name is that of the file"),
        ("extends", "dmd", 'command line: extends = "dmd": unknown key'),
    ],
)
def test_override(repository, key, value, told):
    assert told in message(load_experiment, "dmd", "one", {key: value})


def dotted_keys(values, path=()):
    for key, value in values.items():
        yield ".".join((*path, key))
        if isinstance(value, dict):
            yield from dotted_keys(value, (*path, key))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_given_is_accepted_or_told_in_one_line(repository, data):
    everything = load_experiment("dmd", "one").model_dump()
    key = data.draw(st.sampled_from([*dotted_keys(everything), "objectives.sc.weight", "objectives.sc.te_law"]))
    value = data.draw(
        st.sampled_from(["null", "x", "-1", "2", "0.5", "true", "[]", "[1]", "{}", "{x: 1}", ".inf", "2020-01-01"])
    )
    told = None
    try:
        load_experiment("dmd", "one", {key: value})
    except SaltError as error:
        told = str(error)
    assert told is None or told.startswith(("command line: ", f"experiments/dmd.yaml with {key}={value}: "))
    assert told is None or ("\n" not in told and key.split(".")[0] in told)


def test_the_last_file_that_touched_a_section_is_to_blame(repository):
    repository.write("child.yaml", "extends: dmd\ngrid: {train_steps: 6}\n")
    repository.write("grandchild.yaml", "extends: child\ntitle: Youngest\n")
    assert message(load_experiment, "grandchild", "one").startswith("experiments/child.yaml: grid: T^(4) is not on")
    repository.write("child.yaml", "extends: dmd\ngrid: {steps: null}\n")
    assert message(load_experiment, "grandchild", "one").startswith("experiments/child.yaml: grid.steps: missing;")


def test_a_cycle_is_named_in_full(repository):
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        repository.write(f"{name}.yaml", f"extends: {base}\n")
    text = message(load_experiment, "a", "one")
    assert "experiments/c.yaml: extends = a: the chain a -> b -> c -> a is a cycle" in text


def test_unknown_names_list_the_nearest_and_all(repository):
    repository.write("sc_dmd.yaml", "extends: dmd")
    assert message(load_experiment, "dmb", "one") == (
        "experiment 'dmb': there is no experiments/dmb.yaml; did you mean 'dmd'? accepted: dmd, sc_dmd"
    )
    for call in (lambda: load_experiment("dmd", "on"), lambda: load_scale("on")):
        assert (
            message(call)
            == "scale 'on': there is no experiments/scales/on.yaml; did you mean 'one'? accepted: one, two"
        )


def test_a_file_name_that_is_no_name(repository):
    repository.write("DMD.yaml", "extends: dmd")
    assert 'experiments/DMD.yaml: name = "DMD": accepted: ' in message(load_experiment, "DMD", "one")
    repository.write("scales/One.yaml", SCALE)
    assert 'experiments/scales/One.yaml: name = "One": accepted: ' in message(load_scale, "One")


def test_a_long_value_is_cut(repository):
    repository.write("dmd.yaml", DMD.replace("steps: 4", f"steps: {'x' * 500}"))
    assert len(message(load_experiment, "dmd", "one")) < 200


def test_unreadable_file(repository):
    text = message(read_mapping, repository.root / "experiments" / "none.yaml")
    told = "cannot be read: No such file or directory; accepted: a mapping of keys to values, in YAML"
    assert text == f"experiments/none.yaml: {told}"
    assert message(read_mapping, Path("/nonexistent.yaml")).startswith("/nonexistent.yaml: cannot be read")


def test_root_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("SALT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert repository_root() == Path(salt.__file__).parents[1]
    assert "dmd_4" in experiment_names()


def test_root_is_refused_where_there_are_no_experiments(tmp_path, monkeypatch):
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    assert f"SALT_ROOT={tmp_path}: there is no folder {tmp_path}/experiments/scales" in message(repository_root)
    monkeypatch.delenv("SALT_ROOT")
    monkeypatch.setattr(salt, "__file__", str(tmp_path / "salt" / "__init__.py"))
    assert f"the salt package in {tmp_path}: there is no folder" in message(repository_root)


def test_paper_values_errors(repository):
    row = "{table: table4, row: DMD, experiment: dmd, nfe: 4, where: Tab. 4, values: {total: 1.0}}"
    repository.write("paper_values.yaml", f"rows:\n - {row}\n")
    assert [(value.metric, value.value) for value in paper_values()] == [("total", 1.0)]
    for old, new, told in (
        ("table4", "table9", 'rows.0.table = "table9": accepted:'),
        ("experiment: dmd", "experiment: dmb", "rows.0.experiment = dmb: no such experiment; did you mean 'dmd'?"),
        ("total: 1.0", "totl: 1.0", "rows.0.values.totl.[key]"),
        ("total: 1.0", "total: x", 'rows.0.values.total = "x": accepted: a valid number'),
        ("total: 1.0", "", "rows.0.values"),
        ("where: Tab. 4, ", "", "rows.0.where: missing; accepted: Section, table and group of rows."),
        ("nfe: 4", "nef: 4", "rows.0.nef = 4: unknown key; did you mean 'nfe'?"),
    ):
        repository.write("paper_values.yaml", f"rows:\n - {row.replace(old, new)}\n")
        text = message(paper_values)
        assert text.startswith("experiments/paper_values.yaml: ")
        assert told in text


def test_every_required_key_says_what_it_is():
    todo: list[type[Section]] = [Experiment]
    todo += [section for section in Section.__subclasses__() if section.__module__ == Experiment.__module__]
    bare = [
        f"{section.__name__}.{key}"
        for section in todo
        for key, field in section.model_fields.items()
        if field.is_required() and not field.description
    ]
    assert bare == []


def test_salt_root_takes_another_checkout(tmp_path, monkeypatch):
    shutil.copytree(repository_root() / "experiments", tmp_path / "experiments")
    here = load_experiment("sc_dmd", "tiny")
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    assert load_experiment("sc_dmd", "tiny") == here
