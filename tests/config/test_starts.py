"""Causal students and what they start from: levels and chunks of one kind, and the row that differs in chunks alone."""

import pytest

from salt.config import experiment_names, load_experiment, scale_names

WHOLE = ("paper_i2v", "smoke_i2v", "tiny_i2v", "lab", "lab_chain", "lab_smoke", "lab_chain_smoke")
SCALES = [name for name in scale_names() if name not in WHOLE]
"""Those that have all causal rows."""
CAUSAL = [name for name in experiment_names() if load_experiment(name, "tiny").causal is not None]


@pytest.mark.parametrize("scale", SCALES)
def test_frame_by_frame_the_chunks_and_the_start_alone_are_others(scale):
    other = {"name", "title", "about", "released", "init", "causal"}
    for name in ("self_forcing", "ode_init"):
        chunks, frames = (load_experiment(one, scale) for one in (name, f"{name}_framewise"))
        assert (frames.causal.chunk, frames.causal.memory) == (1, chunks.causal.memory)
        assert frames.model_dump(exclude=other) == chunks.model_dump(exclude=other)


@pytest.mark.parametrize("scale", SCALES)
def test_students_start_from_chunks_of_their_own_length(scale):
    students = [load_experiment(name, scale) for name in CAUSAL]
    started = [one for one in students if one.init not in ("teacher", "random")]
    assert started
    for student in started:
        assert student.causal.chunk == load_experiment(student.init, scale).causal.chunk, student.name


@pytest.mark.parametrize("scale", SCALES)
def test_students_start_from_the_levels_that_they_train_on(scale: str) -> None:
    """CausVid alone has a grid of its own: its published weights were trained on that one."""
    students = [load_experiment(name, scale) for name in experiment_names()]
    started = [
        one
        for one in students
        if one.causal and one.init not in ("teacher", "random") and one.name not in ("causvid", "one_forcing")
    ]
    assert started
    for student in started:
        assert student.grid.warp == load_experiment(student.init, scale).grid.warp, student.name
