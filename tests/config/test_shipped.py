"""The files in `experiments/`: they load at every scale, say what they are named for, and agree with the paper."""

import json
from itertools import combinations, product

import jsonschema
import pytest
from pydantic import ValidationError

from salt.config import (
    experiment_names,
    load_experiment,
    load_scale,
    paper_values,
    repository_root,
    scale_names,
    training_hash,
)
from salt.config.files import read_mapping
from salt.config.jsonschema import main, schemas
from salt.errors import SaltError

FOLDER = repository_root() / "experiments"
SHOWN = ["paper_i2v", "smoke_i2v", "tiny_i2v"]
"""Scales whose networks are shown a first frame: of them there are students of whole clips alone."""
CAUSAL = [name for name in experiment_names() if load_experiment(name, "tiny").causal is not None]
LAB = ["lab", "lab_chain", "lab_smoke", "lab_chain_smoke"]
"""Exact worlds, of small networks: the rows that arms use load there (tests/config/test_lab_arms.py). Others are about
caches, first frames or videos, which there are none of."""
VIDEO = [name for name in scale_names() if name not in LAB]
EVERY = [(name, scale) for name, scale in product(experiment_names(), VIDEO) if scale not in SHOWN]
EVERY += [(name, scale) for name, scale in product(experiment_names(), SHOWN) if name not in CAUSAL]


def names_at(scale):
    return [name for name, at in EVERY if at == scale]


def test_names():
    assert scale_names() == sorted(["paper", "paper_2400", "small", "smoke", "tiny", *SHOWN, *LAB])
    assert {"teacher", "dmd_4", "dmd_8", "dmd_16", "sc_dmd", "dmd_4_bs", "dmd_8_bs", "dmd_16_bs"} <= set(
        experiment_names()
    )


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_every_experiment_loads_at_every_scale(name, scale):
    experiment = load_experiment(name, scale)
    assert experiment.name == name
    assert experiment.scale == load_scale(scale)
    assert experiment.about
    with pytest.raises(ValidationError, match="frozen"):
        experiment.train.iterations = 1
    assert experiment == load_experiment(name, scale)


FRAMEWISE = {name: f"{name}_framewise" for name in ("ar_teacher", "ode_init", "self_forcing")}
"""Rows, and what they are with chunks of one latent frame: the same where all chunks are."""


@pytest.mark.parametrize("scale", VIDEO)
def test_no_two_experiments_are_one(scale):
    experiments = [load_experiment(name, scale) for name in names_at(scale)]
    for one, other in combinations(experiments, 2):
        same = FRAMEWISE.get(one.name) == other.name and one.causal.chunk == 1
        assert (training_hash(one) == training_hash(other)) == same, f"{one.name} and {other.name} train the same model"
        assert one.title != other.title, f"{one.name} and {other.name} have one title"


@pytest.mark.parametrize("scale", VIDEO)
def test_students_are_what_their_names_say(scale):
    every = {name: load_experiment(name, scale) for name in names_at(scale) if name != "teacher"}
    students = {name: student for name, student in every.items() if student.causal is None}
    stages = [students.pop(name) for name in ("anyflow_start", "anyflow")]
    assert [stage.init for stage in stages] == ["teacher", "anyflow_start"]
    assert all(stage.flow_map for stage in stages)
    assert stages[1].rollout.kind == "flow_map"
    grids = {name: (student.grid.steps, student.grid.train_steps) for name, student in students.items()}
    assert grids["dmd_4"] == grids["dmd_4_bs"] == grids["rcm"] == (4, 4)
    assert grids["dmd_8"] == grids["sc_dmd"] == (4, 8)
    assert grids["dmd_16"] == (4, 16)
    assert grids["dmd_8_bs"] == (8, 8)
    assert grids["dmd_16_bs"] == (16, 16)
    for name in ("pcm", "pcm_adversarial"):
        phased = students.pop(name)
        assert (grids[name], phased.init) == ((8, 8), "teacher")
        assert phased.objectives.pcm.solver_steps % 8 == 0
        assert phased.objectives.dmd is phased.train.critic is None
        assert (phased.objectives.adversarial is not None) == (name == "pcm_adversarial")
    for name, student in students.items():
        assert student.init == "teacher"
        assert student.objectives.dmd is not None
        assert (student.rollout.kind == "backward_simulation") == (name.endswith("_bs") or name in ("lightx2v", "rcm"))
        assert (student.objectives.scm is not None) == (name == "rcm")
        assert (student.objectives.sc is not None) == name.startswith("sc_")
        assert (student.objectives.adversarial is not None) == (name == "sc_dmd_alpha")
        if "_lambda_" in name:
            assert student.objectives.sc.weight == float(name.split("_lambda_")[1].replace("_", "."))
            assert student.title == f"SC-DMD, λ = {student.objectives.sc.weight:g}"
    released = students["sc_dmd_released"].objectives.sc
    assert (released.stop_gradient, released.time_weight, released.te_law) == ("composed", "one_minus_ts", "top2")


@pytest.mark.parametrize("scale", VIDEO)
def test_causal_students_are_what_their_names_say(scale):
    students = {name: load_experiment(name, scale) for name in names_at(scale)}
    students = {name: student for name, student in students.items() if student.causal is not None}
    starts = {"ar_teacher": "teacher", "ode_init": "teacher", "causal_ode": "ar_teacher"}
    starts |= {"longlive_long": "longlive", "ode_init_framewise": "teacher"}
    starts |= {"ar_teacher_framewise": "teacher", "causal_ode_framewise": "ar_teacher_framewise"}
    for name, student in students.items():
        if name == "self_forcing_framewise":
            assert student.init == ("ode_init" if students["self_forcing"].causal.chunk == 1 else "ode_init_framewise")
            continue
        if name == "one_forcing":
            frames = students["causal_forcing"].causal.chunk > 1
            assert student.init == ("causal_ode_framewise" if frames else "causal_ode")
            assert (student.grid.steps, student.grid.train_steps, student.causal.chunk) == (1, 1, 1)
            assert student.objectives.adversarial.features == "critic"
            continue
        from_causal = "causal_forcing" in name
        assert student.init == starts.get(name, "causal_ode" if from_causal else "ode_init")
        assert (student.causal.memory.sink > 0) == ("longlive" in name or "reward" in name)
        assert (student.causal.memory.sink_ema is not None) == ("reward" in name)
        if name in starts:
            assert (student.rollout.history is not None) == (name == "longlive_long")
            continue
        assert (student.rollout.kind == "noised_data") == (name == "causvid")
        mixed = name.startswith("salt_") or "mixed" in name
        assert student.rollout.steps == {2: 0.2, 4: 0.4, 8: 0.4} if mixed else student.rollout.steps in (None, {4: 1.0})
        sc, align = student.objectives.sc, student.objectives.align
        assert (sc is not None) == (mixed or "_sc" in name)
        assert (align is not None and align.weight > 0) == name.startswith("salt_")
        if mixed:
            assert (sc.rollouts, align.references) == ((8,), {2: 4, 4: 8})


@pytest.mark.parametrize("scale", VIDEO)
def test_a_window_hides_something_in_training(scale):
    """A policy that sees all of a rollout is the full cache by another name: two rows of a table would be one."""
    for name in names_at(scale):
        setting = load_experiment(name, scale)
        if setting.causal is None or setting.causal.memory.window is None:
            continue
        memory, history = setting.causal.memory, setting.rollout.history
        clip = 1 + (setting.scale.world.frames - 1) // 4
        before_the_last = clip * (1 + (history.clips if history else 0)) - setting.causal.chunk
        assert memory.window + memory.sink < before_the_last, name


@pytest.mark.parametrize("scale", VIDEO)
def test_sc_dmd_is_dmd_8_plus_one_objective(scale):
    names = {"name": "", "title": "", "about": "", "label": None, "look": None}
    sc_dmd = load_experiment("sc_dmd", scale, {"objectives.sc": "null"}).model_copy(update=names)
    assert sc_dmd == load_experiment("dmd_8", scale).model_copy(update=names)


def test_paper_scale_has_the_published_values():
    student = load_experiment("sc_dmd", "paper")
    assert (student.train.iterations, student.train.batch_size, student.grid.shift) == (480, 16, 12.0)
    assert student.train.optimiser.lr == student.train.critic.optimiser.lr == 1e-6
    assert (student.train.critic.ratio, student.train.ema.decay, student.train.ema.start) == (5, 0.99, 40)
    backbone = student.scale.backbone
    assert (backbone.num_layers, backbone.num_attention_heads * backbone.attention_head_dim) == (30, 1536)
    assert (backbone.ffn_dim, backbone.patch_size, backbone.text_dim) == (8960, (1, 2, 2), 4096)


def test_the_other_reading_of_its_iterations_is_a_scale():
    one, other = (load_experiment("sc_dmd", scale).train for scale in ("paper", "paper_2400"))
    assert (other.iterations, other.ema.start) == (5 * one.iterations, 5 * one.ema.start)
    ema = one.ema.model_copy(update={"start": 200})
    assert other == one.model_copy(update={"iterations": 2400, "ema": ema})
    baseline, salt = (load_experiment(name, "paper_2400").train for name in ("self_forcing", "salt_self_forcing"))
    assert (baseline.iterations, salt.iterations) == (120, 240)  # published recipes say what they mean


@pytest.mark.parametrize("scale", SHOWN)
def test_causal_students_take_no_first_frame(scale):
    for name in CAUSAL:
        with pytest.raises(SaltError, match="conditioned on a first frame, which causal ones do not take"):
            load_experiment(name, scale)


def test_image_to_video_is_what_it_extends_but_for_the_first_frame():
    """Latents, text and size are the same, and so is every student, but for what Table 1 says of it."""
    for name in SHOWN:
        shown, plain = load_scale(name), load_scale(name.removesuffix("_i2v"))
        assert (shown.extends, plain.beside, shown.beside) in [(plain.name, name, None), (plain.name, None, None)]
        assert (shown.world, shown.codec, shown.vae) == (plain.world, plain.codec, plain.vae)
        assert shown.text.negative == ("镜头晃动，" if plain.text.negative else "") + plain.text.negative
        assert shown.text.model_copy(update={"negative": plain.text.negative}) == plain.text
        assert shown.backbone.in_channels == 2 * plain.latent_shape[0] + 4
        if name != "paper_i2v":
            assert load_experiment("sc_dmd", name).train == load_experiment("sc_dmd", plain.name).train
    assert load_experiment("sc_dmd", "paper_i2v").train.iterations == 160


@pytest.mark.parametrize("scale", ["smoke", "tiny", "small"])
def test_codec_text_and_backbone_fit_together(scale):
    made = load_scale(scale)
    backbone, side = made.backbone, made.world.size // made.codec.stride
    assert backbone.out_channels == made.codec.channels
    assert backbone.text_dim == made.text.d_model
    assert made.world.size % made.codec.stride == 0
    assert side % backbone.patch_size[1] == side % backbone.patch_size[2] == 0
    assert backbone.attention_head_dim % 2 == 0
    assert 1 + (made.world.frames - 1) // 4 <= backbone.rope_max_seq_len
    # a token about as wide as the model does not fit through it: measured at 192 of 128
    assert (
        2 * backbone.in_channels * backbone.patch_size[1] * backbone.patch_size[2]
        <= (backbone.num_attention_heads * backbone.attention_head_dim)
        or not made.meaningful
    )


def test_only_smoke_means_nothing():
    assert [name for name in scale_names() if not load_scale(name).meaningful] == [
        "lab_chain_smoke",
        "lab_smoke",
        "smoke",
        "smoke_i2v",
    ]


# ------------------------------------------------------------------------------------- schemas for editors
def test_schemas_are_in_step():
    assert main([]) == 0, "run python -m salt.config.jsonschema --fix"


def test_fix_writes_what_is_missing(tmp_path, monkeypatch, capsys):
    (tmp_path / "experiments" / "scales").mkdir(parents=True)
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    assert main([]) == 1
    assert "out of step; run with --fix" in capsys.readouterr().out
    assert main(["--fix"]) == 0
    assert main([]) == 0
    written = sorted(path.name for path in (tmp_path / "experiments" / "schema").iterdir())
    assert written == [f"{name}.schema.json" for name in sorted(schemas())]


def files_with_schema():
    yield from ((FOLDER / f"{name}.yaml", "experiment", "schema") for name in experiment_names())
    yield from ((FOLDER / "scales" / f"{name}.yaml", "scale", "../schema") for name in scale_names())
    yield FOLDER / "paper_values.yaml", "paper_values", "schema"
    yield FOLDER / "claims.yaml", "claims", "schema"
    yield FOLDER / "lab" / "arms.yaml", "lab_arms", "../schema"
    yield FOLDER / "lab" / "figures.yaml", "lab_figures", "../schema"


@pytest.mark.parametrize(
    ("path", "kind", "folder"), list(files_with_schema()), ids=lambda value: getattr(value, "stem", "")
)
def test_files_fit_the_schema_they_name(path, kind, folder):
    first = path.read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={folder}/{kind}.schema.json"
    schema = json.loads((path.parent / folder / f"{kind}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_mapping(path), schema)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("experiment", {"titel": "x"}),
        ("experiment", {"name": "x"}),
        ("experiment", {"grid": {"stepz": 4}}),
        ("experiment", {"grid": {"steps": 0}}),
        ("experiment", {"scales": {"tiny": {"grid": {"stepz": 4}}}}),
        ("experiment", {"scales": {"tiny": {"extends": "x"}}}),
        ("scale", {"backbone": {"layers": 4}}),
        ("scale", {"defaults": {"train": {"iterations": "x"}}}),
        ("paper_values", {"rows": [{"table": "table4"}]}),
        ("claims", {"claims": [{"says": "Better", "side": "left"}]}),
    ],
)
def test_schemas_refuse(kind, wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schemas()[kind])


def test_schema_allows_parts_and_null():
    part = {
        "extends": "x",
        "objectives": {"sc": None, "dmd": None},
        "train": {"optimiser": {"lr": 1.0}},
        "scales": {"a": {}},
    }
    jsonschema.validate(part, schemas()["experiment"])


# ------------------------------------------------------------------------------------- published numbers
def published_triples():
    rows = {}
    for value in paper_values():
        key = (value.table, value.row, value.nfe, value.where)
        rows.setdefault(key, {})[value.metric] = value.value
    return [row for row in rows.values() if {"total", "quality", "semantic"} <= set(row)]


def test_36_triples_satisfy_vbenchs_total():
    triples = published_triples()
    assert len(triples) == 36
    for row in triples:
        assert row["total"] == pytest.approx((4 * row["quality"] + row["semantic"]) / 5, abs=0.0101)


def test_published_values():
    values = paper_values()
    count = {table: len({(v.row, v.nfe) for v in values if v.table == table}) for table in {v.table for v in values}}
    assert count == {
        "table1": 5,
        "table2": 13,
        "table3": 4,
        "table4": 3,
        "table5": 6,
        "tableA1": 9,
        "figA1": 2,
        "text": 1,
    }
    assert len(values) == 5 * 7 + 13 * 3 + 4 * 9 + 3 * 7 + 6 * 3 + 9 * 3 + 2 + 3
    assert len({(v.table, v.row, v.nfe, v.metric) for v in values}) == len(values)
    defects = {v.experiment: v.value for v in values if v.metric == "semigroup_defect"}
    assert defects == {"dmd_8": 0.0135, "sc_dmd": 0.0111}


def test_rows_in_two_tables_agree():
    values = paper_values()
    for experiment, nfe in (("dmd_4", 4), ("sc_dmd", 4)):
        for metric in ("total", "quality", "semantic"):
            found = {
                v.value
                for v in values
                if (v.experiment, v.nfe, v.metric) == (experiment, nfe, metric) and v.table in ("table2", "table4")
            }
            assert len(found) == 1
    full = {v.metric: v.value for v in values if v.table == "table5" and v.row == "Ours (full)" and v.nfe == 4}
    assert full == {
        v.metric: v.value for v in values if v.table == "table2" and v.row == "Ours - Causal Forcing" and v.nfe == 4
    }


def test_contradictions_are_noted():
    noted = {(v.table, v.row, v.nfe) for v in paper_values() if v.conflict}
    assert {("table2", "Ours - Causal Forcing", 4), ("text", "Ours - Causal Forcing", 4), ("table1", "PCM", 8)} <= noted
