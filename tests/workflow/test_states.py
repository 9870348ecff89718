"""What decides each output, value by value: what a change touches is made again, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest

from salt.config import content_hash, training_hash
from salt.config.memory import Memory
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.report.suite import FigureSpec
from salt.workflow.layout import option, unrecorded
from salt.workflow.load import Workflow, check_starts
from salt.workflow.settings import Settings
from salt.workflow.states import States, digest

FOLDER = Path(__file__).parents[2] / "workflow"


@pytest.fixture(scope="module")
def smoke() -> Workflow:
    return Workflow.load({"scale": "smoke"}, FOLDER)


@pytest.fixture(scope="module")
def paper() -> Workflow:
    return Workflow.load({"scale": "paper", "weights": "released"}, FOLDER)


def changed(states: States, name: str, **values: object) -> States:
    experiment = states.experiments[name].model_copy(update=values)
    return States(states.scale, {**states.experiments, name: experiment}, states.imported, states.stages)


def test_weights_are_decided_by_the_experiment_its_data_and_its_start(smoke: Workflow) -> None:
    states = smoke.states
    own = [states.stages.train, training_hash(smoke.experiments["sc_dmd"])]
    assert states.train("sc_dmd") == [*own, *states.latents(), *states.teacher()]
    start = smoke.experiments["self_forcing"].init
    assert states.train("self_forcing")[-len(states.train(start)) :] == states.train(start)
    pairs = states.ode_pairs(start)
    assert pairs[0] == 1
    assert content_hash(smoke.experiments[start].pairs) in pairs
    assert states.ode_pairs("sc_dmd") == []


def test_trajectories_are_made_once_for_all_that_regress_the_same(paper: Workflow) -> None:
    """The chunks of a student are no part of them; another grid is, and so is another teacher."""
    layout, states = paper.layout, paper.states
    assert layout.pairs_of("ode_init_framewise") == layout.pairs_of("ode_init")
    assert "/pairs/ode_init/" in layout.pairs_of("ode_init")[0]
    assert layout.pairs_of("causal_ode") != layout.pairs_of("ode_init")
    grid = paper.experiments["ode_init_framewise"].grid.model_copy(update={"shift": 8.0})
    own = replace(layout, states=changed(states, "ode_init_framewise", grid=grid)).pairs_of("ode_init_framewise")
    assert "/pairs/ode_init_framewise/" in own[0]


def test_a_change_reaches_what_starts_from_it_and_nothing_beside_it(smoke: Workflow) -> None:
    before, start = smoke.states, smoke.experiments["self_forcing"].init
    train = smoke.experiments[start].train.model_copy(update={"iterations": 7})
    after = changed(before, start, train=train)
    touched = {name for name in smoke.students if before.weights(name) != after.weights(name)}
    assert {start, "self_forcing"} <= touched
    assert "sc_dmd" not in touched
    retitled = changed(before, start, title="Another")
    assert all(before.weights(name) == retitled.weights(name) for name in smoke.students)


def test_a_record_is_decided_by_all_that_it_is_made_of(smoke: Workflow) -> None:
    """A clone has neither weights nor videos: what is stale must be seen from a record's own state."""
    states, train = smoke.states, smoke.experiments["self_forcing"].train
    raised = States(states.scale, states.experiments, (), states.stages.model_copy(update={"latents": 2}))
    edited = changed(states, "self_forcing", train=train.model_copy(update={"iterations": 7}))
    for rule in ("sample", "sample_long", "score", "score_long", "modes", "defect", "caches"):
        assert getattr(states, rule)("self_forcing") != getattr(raised, rule)("self_forcing"), rule
        assert getattr(states, rule)("self_forcing") != getattr(edited, rule)("self_forcing"), rule
        assert getattr(states, rule)("longlive") == getattr(changed(states, "sc_dmd", train=train), rule)("longlive")
    drawn = smoke.entries.figures["fig_causal"]
    assert "self_forcing" in smoke.layout.filmed(drawn)
    models = smoke.layout.filmed(drawn)
    assert states.figure(drawn, models) != edited.figure(drawn, models)
    assert smoke.layout.filmed(smoke.entries.figures["figA1"]) == []


def test_long_videos_have_a_protocol_of_their_own(smoke: Workflow) -> None:
    long = smoke.scale.evaluation.long
    assert long is not None
    evaluation = smoke.scale.evaluation.model_copy(update={"long": long.model_copy(update={"length": 9})})
    scale = smoke.scale.model_copy(update={"evaluation": evaluation})
    before, after = smoke.states, States(scale, smoke.experiments, (), smoke.states.stages)
    for rule in ("sample", "score", "defect"):
        assert getattr(before, rule)("self_forcing") == getattr(after, rule)("self_forcing")
    for rule in ("sample_long", "score_long"):
        assert getattr(before, rule)("self_forcing") != getattr(after, rule)("self_forcing")


def test_a_memory_of_ones_own_for_long_videos_changes_them_and_nothing_else(smoke: Workflow) -> None:
    causal = smoke.experiments["self_forcing"].causal
    assert causal is not None
    own = causal.model_copy(update={"long_memory": Memory(window=1, positions="relative")})
    before, after = smoke.states, changed(smoke.states, "self_forcing", causal=own)
    assert before.weights("self_forcing") == after.weights("self_forcing")
    assert before.sample("self_forcing") == after.sample("self_forcing")
    for rule in ("sample_long", "score_long", "modes"):
        assert getattr(before, rule)("self_forcing") != getattr(after, rule)("self_forcing")
        assert getattr(before, rule)("longlive") == getattr(after, rule)("longlive")
        assert getattr(before, rule)("real") == getattr(after, rule)("real")


@pytest.mark.parametrize(
    "rule",
    ["table", "figure", "claims", "clips", "training_curves", "report", "score_vbench", "score", "score_controls"],
)
def test_every_rule_has_a_number_of_its_own(smoke: Workflow, rule: str) -> None:
    states, entry = smoke.states, smoke.entries.figures["fig1"]
    raised = States(states.scale, states.experiments, (), states.stages.model_copy(update={rule: 99}))

    def all_of(states: States) -> dict[str, object]:
        printed = {name: getattr(states, name)(entry) for name in ("table", "figure")}
        printed |= {name: getattr(states, name)([entry]) for name in ("claims", "report")}
        measured = ("sample", "score_vbench", "score", "defect", "caches", "training_curves")
        printed |= {name: getattr(states, name)("self_forcing") for name in measured}
        return printed | {"score_controls": states.score_controls(), "clips": states.clips(["self_forcing"])}

    before, after = all_of(states), all_of(raised)
    assert [name for name in before if before[name] != after[name]] == [rule]


def test_published_weights_are_decided_by_their_checkpoint(paper: Workflow) -> None:
    states, released = paper.states, paper.experiments["ode_init"].released
    assert states.weights("ode_init") == [1, content_hash(released), content_hash(paper.scale.backbone)]
    assert "/released/ode_init/seed0/" in paper.layout.weights("ode_init", 0)
    assert states.weights("sc_dmd")[:2] == [states.stages.train, training_hash(paper.experiments["sc_dmd"])]
    assert paper.layout.printed == "paper_released"
    table = paper.entries.tables["table2"]
    assert {seed for name, seed in paper.entries.students(table) if name == "self_forcing"} == {0}
    assert {seed for name, seed in paper.entries.students(table) if name == "sc_dmd"} == {0, 1, 2}


def test_no_clips_are_asked_of_vbenchs_prompts(paper: Workflow, smoke: Workflow) -> None:
    assert "controls" in smoke.entries.tables
    assert "controls" not in paper.entries.tables
    table = smoke.entries.tables["table2"]
    assert smoke.entries.references(table) == [("teacher", 0), ("real", 0)]
    assert paper.entries.references(table) == [("teacher", 0)]
    assert (smoke.dimensions, len(paper.dimensions), len(paper.long_dimensions)) == ((), 16, 9)


def test_a_part_of_what_is_measured_has_a_state_of_its_own(smoke: Workflow) -> None:
    states, cells = smoke.states, ("extended_cm_4",)
    for rule in ("sample", "score", "score_vbench", "modes"):
        assert getattr(states, rule)("dmd_8", cells) == [*getattr(states, rule)("dmd_8"), *cells]
    assert states.defect("dmd_8", alone=True) != states.defect("dmd_8")
    assert (smoke.layout.evaluation, smoke.printed.alone) == (smoke.layout.scratch, False)


def test_no_cell_is_sampled_that_nothing_asks_for(smoke: Workflow) -> None:
    """Tables ask for the main solver, figures for what they draw, claims for both of their students."""
    printed = smoke.printed
    assert printed.cells("rcm") == ("extended_cm_4", "short_cm_4")
    assert printed.cells("dmd_16_bs") == ("extended_cm_16",)
    assert "short_cm_4" not in printed.cells("dmd_8")
    assert {"extended_cm_4", "extended_cm_8"} <= set(printed.cells("dmd_8"))
    assert printed.cells("longlive_long") == ()  # no table has it: whoever asks for it wants all
    assert not printed.alone
    alone = Workflow.load({"scale": "smoke", "only": "table4", "out": "elsewhere"}, FOLDER).printed
    assert alone.cells("dmd_8") == ("extended_cm_4",)


def test_a_digest_names_a_state_by_its_values_and_their_types() -> None:
    assert digest([1, "a"]) == "99258d93"
    assert len({digest([1, "a"]), digest([1.0, "a"]), digest(["a", 1])}) == 3


def test_a_chain_of_starts_ends(smoke: Workflow) -> None:
    def with_init(name: str, init: str) -> dict[str, Experiment]:
        one = smoke.experiments[name].model_copy(update={"init": init})
        return {**smoke.experiments, name: one}

    with pytest.raises(SaltError, match=r"experiments/dmd_4\.yaml: init = sc_dmt; did you mean 'sc_dmd'\?"):
        check_starts(with_init("dmd_4", "sc_dmt"), smoke.students)
    with pytest.raises(SaltError, match=r"experiments/ode_init\.yaml: init: ode_init -> ode_init is a circle"):
        check_starts(with_init("ode_init", "ode_init"), ["ode_init"])


def test_records_and_videos_are_those_of_an_entrys_students(smoke: Workflow) -> None:
    layout, entries = smoke.layout, smoke.entries
    assert layout.records_of(entries.tables["controls"]) == ["results/smoke/records/controls.csv"]
    long: FigureSpec = entries.figures["fig_long"]
    assert "results/smoke/records/self_forcing_seed0_long.csv" in layout.records_of(long)
    drawn = next(figure for figure in entries.figures.values() if "videos" in figure.uses)
    assert all(path.startswith("scratch/smoke/videos/v1/") for path in layout.videos_of(drawn))
    assert option("--init", ["a/b/provenance.json"]) == ["--init", "a/b"]
    assert option("--init", []) == []


def test_words_are_not_recorded_that_snakemake_passes_an_output_to() -> None:
    assert unrecorded("--part", "{part}/{parts}")({"part": "0", "parts": "8"}, None) == ["--part", "0/8"]


@pytest.mark.parametrize("config", [{"out": "a{b}"}, {"scratch": "a\nb"}, {"scratch": " "}, {"out": "a\x1b[2Jb"}])
def test_folders_that_no_rule_could_name_are_refused(config: dict[str, str]) -> None:
    with pytest.raises(SaltError, match=r"--config (out|scratch)='[^\n]*': accepted: a folder's name without braces"):
        Settings.read(config)


def test_settings_fall_back_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SALT_SCRATCH", raising=False)
    assert Settings.read({}) == Settings("tiny", None, ".", "scratch")
    monkeypatch.setenv("SALT_SCRATCH", "/large")
    assert Settings.read({"seeds": 2, "out": 7}) == Settings("tiny", 2, "7", "/large")
    assert Settings.read({"scratch": "here"}).scratch == "here"
    assert Settings.read({"only": "table4,figA1", "out": "x"}).only == ("table4", "figA1")


@pytest.mark.parametrize(
    ("config", "guides"),
    [
        ({}, True),
        ({"scale": "paper"}, True),
        ({"scale": "tiny_i2v"}, False),
        ({"scale": "smoke"}, False),
        ({"only": "table4", "out": "elsewhere"}, False),
    ],
)
def test_one_workflow_writes_the_page_on_all_results(config: dict[str, str], guides: bool) -> None:
    """Not that of a scale beside another, of a part of a scale, or of one whose numbers mean nothing."""
    assert Workflow.load(config, FOLDER).guides == guides
