"""`experiments/lab/arms.yaml` and `figures.yaml`: what they hold, and mistakes in them as one line."""

import pytest

from salt.config.lab_arms import load_arms
from salt.config.lab_figures import FIGURES, load_lab_figures
from salt.errors import SaltError

ARMS = """
sets:
  core:
    world: mixture
    about: All.
    critic: teacher
    arms:
      teacher: {row: dmd}
      slow: {row: dmd, title: Slow DMD, set: {train.iterations: 9, grid.shift: 1.5}}
"""


@pytest.fixture
def armed(repository):
    """Writes the file with one thing changed."""
    return lambda old="", new="": repository.write("lab/arms.yaml", ARMS.replace(old, new) if old else ARMS)


def test_an_arm_is_its_row_with_other_values(armed):
    armed()
    arms = load_arms()
    slow = arms.every()["slow"]
    assert slow.set == {"train.iterations": 9, "grid.shift": 1.5}
    made = slow.experiment("one")
    assert (made.train.iterations, made.grid.shift) == (9, 1.5)
    assert arms.set_of("slow") == "core"
    assert list(arms.every()) == ["teacher", "slow"]


def test_names_and_looks_are_the_rows_unless_given(repository, armed):
    repository.write("dmd.yaml", "title: DMD (Ours)\nlook: {colour: '#000000', marker: o, line: '-'}\n")
    armed()
    arms = load_arms()
    assert (arms.drawn("teacher").title, arms.drawn("teacher").label) == ("DMD", "DMD")
    assert arms.drawn("teacher").look.marker == "o"
    assert (arms.drawn("slow").title, arms.drawn("slow").label) == ("Slow DMD", "Slow DMD")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("row: dmd}", "row: dmdd}", "sets.core.arms.teacher.row = dmdd: no such experiment; did you mean 'dmd'?"),
        ("critic: teacher", "critic: tutor", "sets.core.critic = tutor: no such arm; accepted: teacher, slow"),
        ("critic: teacher", "", "sets.core.critic: missing; accepted: The arm with whose weights critics begin."),
        ("world: mixture", "world: cube", "sets.core.world = \"cube\": accepted: 'mixture' or 'chain'"),
        ("title: Slow", "titel: Slow", "arms.slow.titel = \"Slow DMD\": unknown key; did you mean 'title'?"),
        ("{row: dmd}", "{row: dmd, look: {colour: red, marker: o, line: '-'}}", 'arms.teacher.look.colour = "red": '),
        (
            "      slow:",
            "  more: {world: chain, about: x, critic: teacher, arms: {teacher: {row: dmd}}}\n  last:\n"
            "    world: chain\n    about: x\n    critic: teacher\n    arms:\n      slow:",
            "sets.more.arms.teacher: set core has an arm of this name; accepted: another name",
        ),
    ],
)
def test_a_mistake_is_one_line(armed, old, new, told):
    armed(old, new)
    with pytest.raises(SaltError) as error:
        load_arms()
    assert str(error.value).startswith("experiments/lab/arms.yaml: ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_an_arm_that_there_is_not(armed):
    armed()
    with pytest.raises(SaltError, match="arm 'slaw': in no set; did you mean 'slow'"):
        load_arms().drawn("slaw")


# ------------------------------------------------------------------------------------------- the shipped ones
def test_every_arm_of_the_figures_is_there():
    arms = load_arms()
    figures = load_lab_figures(arms)
    for name, world in FIGURES.items():
        for _, arm in figures.spec(name).named():
            assert arms.sets[arms.set_of(arm)].world == world


def test_the_picture_needs_three_sets_alone():
    arms = load_arms()
    assert {arms.set_of(arm) for _, arm in load_lab_figures(arms).fig_lab.named()} == {"start", "dmd", "sc"}


def test_a_figure_has_a_title(repository):
    repository.write("lab/figures.yaml", "fig_lab: {metric: sliced_w1}\n")
    with pytest.raises(
        SaltError, match=r"figures\.yaml: fig_lab\.title: missing; accepted: Its heading on the page of"
    ):
        load_lab_figures()


def test_a_figure_that_names_no_arm_is_one_line(monkeypatch):
    arms = load_arms()
    none = arms.sets["dmd"].model_copy(update={"arms": {}})
    arms = arms.model_copy(update={"sets": {**arms.sets, "dmd": none}})
    with pytest.raises(SaltError, match=r"figures\.yaml: fig_lab\.arms: dmd_8: no such arm of a mixture; did you mean"):
        load_lab_figures(arms)
