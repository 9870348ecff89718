"""Section `grid`: levels of a student's own, what is refused, and that a file without them says what it always said."""

import pytest

from salt.config import content_hash, experiment_names, load_experiment, scale_names
from salt.config.base import Section
from salt.config.grid import Grid
from salt.config.schema import Experiment
from salt.errors import SaltError
from salt.flow.grid import time_grid
from support.repository import Repository

GRID = "grid: {steps: 4, train_steps: 8}"


class Before(Section):
    """The section as it was without `levels`."""

    steps: int
    train_steps: int
    shift: float


def shipped() -> list[Experiment]:
    every = []
    for scale in scale_names():
        for name in experiment_names():
            try:
                every.append(load_experiment(name, scale))
            except SaltError:  # a row that the scale cannot have
                continue
    return every


def test_every_shipped_grid_hashes_and_lies_as_before_there_were_levels() -> None:
    experiments = [one for one in shipped() if one.grid.levels is None]
    assert len({one.name for one in experiments}) > 30
    for one in experiments:
        grid = one.grid
        before = Before(steps=grid.steps, train_steps=grid.train_steps, shift=grid.shift)
        assert content_hash(grid) == content_hash(before)
        assert "levels" not in one.model_dump()["grid"]
        for steps in (grid.steps, grid.train_steps, 2 * grid.steps):
            uniform = [1 - i / steps for i in range(steps)]
            shifted = tuple(grid.shift * u / (grid.shift * u + (1 - u)) for u in uniform)
            assert time_grid(steps, grid.warp) == shifted


def test_levels_take_the_place_of_the_shift_and_change_the_hash(repository: Repository) -> None:
    repository.write("own.yaml", "extends: dmd\ngrid: {steps: 3, train_steps: 6, levels: [1, 0.757, 0.522]}")
    own, shifted = load_experiment("own", "one").grid, load_experiment("dmd", "one").grid
    assert own.levels == own.warp == (1.0, 0.757, 0.522)
    assert shifted.warp == shifted.shift == own.shift
    assert content_hash(own) != content_hash(Grid(steps=3, train_steps=6, shift=own.shift))


def test_a_file_below_may_take_the_levels_away(repository: Repository) -> None:
    repository.write("own.yaml", "extends: dmd\ngrid: {levels: [1, 0.9, 0.7, 0.5]}")
    repository.write("back.yaml", "extends: own\ngrid: {levels: null}")
    assert load_experiment("back", "one").grid == load_experiment("dmd", "one").grid


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ("levels: [1, 0.757, 0.522]", "grid: levels: 3 of them, but steps=4; accepted: as many levels as steps"),
        ("levels: [1, 0.9, 0.9, 0.5]", "grid: levels.2=0.9 follows 0.9; accepted: from noise to data"),
        ("levels: [1, 0.5, 0.7, 0.3]", "grid: levels.2=0.7 follows 0.5; accepted: from noise to data"),
        ("levels: [1, 0.75, 0.5, 0]", "grid.levels.3 = 0: accepted: greater than 0"),
        ("levels: [1000, 750, 500, 250]", "grid.levels.0 = 1000: accepted: less than or equal to 1"),
        ("levels: []", "grid.levels = []: accepted: "),
    ],
)
def test_what_is_no_list_of_levels_is_refused(repository: Repository, grid: str, told: str) -> None:
    repository.write("own.yaml", f"extends: dmd\ngrid: {{{grid}}}")
    with pytest.raises(SaltError) as refused:
        load_experiment("own", "one")
    assert str(refused.value).startswith(f"experiments/own.yaml: {told}")


def test_a_teacher_has_no_levels(repository: Repository) -> None:
    levels = "{levels: [1, 0.9, 0.7, 0.5]}"
    repository.write("base.yaml", f"extends: dmd\ngrid: {levels}\nobjectives: {{dmd: null, flow_matching: {{}}}}")
    repository.write("teacher.yaml", "extends: base\ntrain: {critic: null}")
    with pytest.raises(SaltError, match=r"grid\.levels are a student's; objectives\.flow_matching draws its times"):
        load_experiment("teacher", "one")


def test_a_solver_need_not_pass_levels_of_their_own() -> None:
    """It stops at them besides; a shifted T_train is passed on the way or refused."""
    set_to = {"grid.steps": "3", "grid.train_steps": "3", "pairs.solver_steps": "8"}
    assert load_experiment("ode_init", "smoke", set_to | {"grid.levels": "[1, 0.757, 0.522]"}).pairs
    with pytest.raises(SaltError, match=r"pairs\.solver_steps=8 does not pass the levels of T_train"):
        load_experiment("ode_init", "smoke", set_to)
