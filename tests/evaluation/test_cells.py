"""Cells: exactly what the tables and figures ask for, each once."""

import pytest

from salt.config import load_experiment, load_scale
from salt.errors import SaltError
from salt.evaluation.cells import cells_of
from salt.evaluation.lengths import BeyondTraining, length_of
from salt.report.suite import load_suite
from salt.stages.shared.records import model_cells


def names(experiment, scale="tiny", student=None):
    return [cell.name for cell in cells_of(experiment, experiment, load_scale(scale), 0, student)]


def test_students():
    assert names("sc_dmd") == [
        *(f"extended_euler_{nfe}" for nfe in (2, 4, 8, 16)),
        *(f"extended_cm_{nfe}" for nfe in (2, 4, 8, 16)),
        "short_cm_4",
    ]


def test_a_student_has_its_own_number_of_steps_too():
    one = load_experiment("one_forcing", "tiny")
    assert names("one_forcing", student=one) == [*(f"extended_cm_{nfe}" for nfe in (2, 4, 8, 16, 1)), "short_cm_4"]
    assert names("dmd_16", student=load_experiment("dmd_16", "tiny")) == names("sc_dmd")


def test_references():
    assert names("teacher") == ["extended_euler_50", "short_euler_50"]
    assert names("teacher", "smoke") == ["extended_euler_8", "short_euler_8"]
    assert names("real") == ["extended_none_0", "short_none_0"]


def test_cells_carry_what_the_records_name():
    cell = cells_of("sc_dmd", "SC-DMD", load_scale("smoke"), 2)[0]
    assert (cell.method, cell.experiment, cell.scale, cell.seed) == ("SC-DMD", "sc_dmd", "smoke", 2)


def test_some_cells_can_be_asked_for_by_name():
    experiment = load_experiment("sc_dmd", "tiny")
    length = length_of("sc_dmd", experiment, long=False)
    wanted = ["short_cm_4", "extended_cm_4"]
    cells = model_cells("sc_dmd", experiment, 0, length, wanted)
    assert [cell.name for cell in cells] == ["extended_cm_4", "short_cm_4"], "in the order of the scale"
    with pytest.raises(
        SaltError, match=r"--cell short_cm_5: no cell of sc_dmd; did you mean 'short_cm_4'\? accepted: ext"
    ):
        model_cells("sc_dmd", experiment, 0, length, ["short_cm_5"])


@pytest.mark.parametrize("scale", ["tiny", "smoke", "paper"])
def test_every_row_of_every_table_is_sampled(scale):
    tables = load_suite().at(load_scale(scale)).tables
    rows = [(spec.prompts, row) for spec in tables.values() for row in spec.rows]
    assert len(rows) > 5
    for prompts, row in rows:
        experiment = load_experiment(row.experiment, scale)
        made = names(row.experiment, scale, experiment)
        if prompts == "long":
            length = length_of(row.experiment, experiment, long=True)
            made = [cell.name for cell in length.cells(row.experiment, experiment.title, experiment, 0)]
        assert f"{prompts}_{experiment.main_solver}_{row.nfe}" in made


# ------------------------------------------------------------------------------------------ long videos
LONG = "scale.evaluation.long"


def test_long_cells():
    experiment = load_experiment("self_forcing", "tiny", {f"{LONG}.nfe": "[2, 4]"})
    length = length_of("self_forcing", experiment, long=True)
    cells = length.cells("self_forcing", "Self Forcing", experiment, 1)
    assert [(cell.name, cell.prompts, cell.variant) for cell in cells] == [
        ("long_cm_2", "long", "extended"),
        ("long_cm_4", "long", "extended"),
    ]
    assert length.chunks(experiment) == 18


@pytest.mark.parametrize("scale", ["smoke", "tiny", "paper"])
@pytest.mark.parametrize("name", ["self_forcing", "longlive", "salt_causal_forcing", "causvid"])
def test_causal_students_have_long_videos(name, scale):
    experiment = load_experiment(name, scale)
    assert length_of(name, experiment, long=True) == BeyondTraining(experiment.scale.evaluation.long)


@pytest.mark.parametrize(("name", "window", "sink"), [("causal_forcing", 2, 1), ("longlive", 6, 3), ("causvid", 9, 3)])
def test_long_videos_are_remembered_as_the_student_says_or_else_the_scale(name, window, sink):
    experiment = load_experiment(name, "paper")
    memory = length_of(name, experiment, long=True).memory(experiment.causal)
    assert (memory.window, memory.sink, memory.positions) == (window, sink, "relative")
    assert length_of(name, experiment, long=False).memory(experiment.causal) == experiment.causal.memory


def test_a_window_may_be_shorter_than_a_chunk():
    """As Infinity-RoPE's own: local attention of 6 frames is window 2, sink 1 and the chunk's 3."""
    policy = "{window: 2, sink: 1, positions: relative}"
    experiment = load_experiment(
        "longlive", "tiny", {"causal.chunk": "3", "causal.memory": policy, f"{LONG}.memory": policy}
    )
    assert experiment.causal.memory.window == 2
    assert length_of("longlive", experiment, long=True) == BeyondTraining(experiment.scale.evaluation.long)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("sc_dmd", {}, "sc_dmd: --long: its videos have a fixed length; accepted: a causal student"),
        ("teacher", {}, "teacher: --long: its videos have a fixed length; accepted: a causal student"),
        ("self_forcing", {LONG: "null"}, "scales/tiny.yaml: evaluation.long is missing: --long needs it"),
        (
            "self_forcing",
            {f"{LONG}.memory.positions": "absolute", f"{LONG}.length": "22"},
            f"{LONG}.length=22: 66 positions, but scale.backbone.rope_max_seq_len=64; accepted: a shorter video, or",
        ),
        (
            "self_forcing",
            {f"{LONG}.memory": "{positions: relative, window: null, sink: 0}", f"{LONG}.length": "22"},
            f"{LONG}.length=22: 66 positions",
        ),
    ],
)
def test_what_has_no_long_videos_is_refused(name, changes, message):
    experiment = load_experiment(name, "tiny", changes)
    with pytest.raises(SaltError) as error:
        length_of(name, experiment, long=True)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("length", "memory"),
    [(21, "{positions: absolute}"), (1000, "{positions: relative}"), (1000, "{positions: relative, window: 62}")],
)
def test_up_to_64_positions_fit(length, memory):
    """Absolute ones bound the video, relative ones the memory: 62 + 1 + 1."""
    changes = {f"{LONG}.length": str(length), f"{LONG}.memory": memory}
    assert length_of("self_forcing", load_experiment("self_forcing", "tiny", changes), long=True).clips == length
