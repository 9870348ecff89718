"""Students sampled and measured at levels of their own: when they are asked, and what stays with the teacher."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from salt.config.memory import Memory
from salt.config.schema import Experiment
from salt.data.prompts import report_prompts
from salt.evaluation.cells import Cell
from salt.evaluation.diagnostics.defect import measure
from salt.evaluation.lab.measure import measure_arm
from salt.evaluation.sampling.solvers import initial_noise
from salt.evaluation.sampling.sources import Item, Sampled
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.flow.grid import time_grid
from support.exact_worlds import Shifted, exact, experiment_in
from support.fields import LATENT, network, small
from support.students import causal_experiment, causal_network

PUBLISHED = {"CausVid": (1.0, 0.757, 0.522), "rCM": (0.98765, 0.9338, 0.8529, 0.609)}
ITEM = Item(report_prompts(small().scale.world, 1)[0], 5)


def on_levels(experiment: Experiment, levels: tuple[float, ...] | None) -> Experiment:
    return experiment.model_copy(update={"grid": experiment.grid.model_copy(update={"levels": levels})})


def cell(solver: str, nfe: int) -> Cell:
    return Cell("sc_dmd", "extended", solver, nfe)


@pytest.mark.parametrize("solver", ["euler", "cm"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_student_is_asked_at_the_published_times_and_no_others(name: str, solver: str) -> None:
    levels, calls = PUBLISHED[name], list[tuple[Tensor, float]]()

    def field(x_t: Tensor, t: Tensor, caption: Tensor) -> Tensor:
        calls.append((x_t, t.item()))
        return 0.1 * x_t

    source = Sampled(network(field), levels, LATENT)
    next(source.parts(cell(solver, len(levels)), [ITEM]))
    assert [t for _, t in calls] == pytest.approx(levels, rel=1e-7)
    assert torch.equal(calls[0][0], initial_noise([ITEM.draw()], LATENT)), "pure noise, also at a level below 1"
    assert source.settings() == {"levels": list(levels), "cfg_weight": None}


def test_euler_steps_between_the_levels_by_hand() -> None:
    """Eq. (5): v = x shrinks a state by 1 - (t - s) in each step; the noise is taken for the state at .98765."""
    (made,) = Sampled(network(lambda x_t, t, caption: x_t), PUBLISHED["rCM"], LATENT).parts(cell("euler", 4), [ITEM])
    shrunk = (1 - 0.05385) * (1 - 0.0809) * (1 - 0.2439) * (1 - 0.609)
    assert_close(made, shrunk * initial_noise([ITEM.draw()], LATENT))


@pytest.mark.parametrize("solver", ["euler", "cm"])
@pytest.mark.parametrize("nfe", [1, 2, 4])
def test_levels_of_the_shift_give_bit_for_bit_what_the_shift_gives(solver: str, nfe: int) -> None:
    def field(x_t: Tensor, t: Tensor, caption: Tensor) -> Tensor:
        return torch.sin(3 * x_t) * t + caption

    shifted, own = (Sampled(network(field), warp, LATENT) for warp in (5.0, time_grid(4, 5.0)))
    (a,), (b,) = (source.parts(cell(solver, nfe), [ITEM]) for source in (shifted, own))
    assert torch.equal(a, b)


def test_chunks_are_made_at_the_levels_each() -> None:
    setting = causal_experiment()
    model = causal_network(setting).float()
    seen: list[float] = []
    hook: Any = lambda module, args, kwargs: seen.append(kwargs["timestep"].flatten()[0].item() / 1000)  # noqa: E731
    model.transformer.register_forward_pre_hook(hook, with_kwargs=True)
    levels = PUBLISHED["CausVid"]
    source = SampledByChunk(model, TwoWords(), Memory(), levels, (2, 3, 2, 2))
    with torch.no_grad():
        parts = list(source.parts(cell("cm", 3), [ITEM]))
    assert len(parts) == 3
    remembered = (0.0,)
    assert seen == pytest.approx([*levels, *remembered, *levels, *remembered, *levels], abs=1e-6)
    assert source.settings()["levels"] == list(levels)


class TwoWords:
    """Any caption is the same `(3, 4)`."""

    def encode(self, captions: list[str]) -> Tensor:
        return torch.ones(len(captions), 3, 4)


def test_the_defect_follows_the_levels_and_the_teacher_its_shift() -> None:
    """Eq. (16) of v = a x by hand; the teacher starts at 1, where noise is noise, and passes the student's levels."""
    slope, levels = 0.7, PUBLISHED["rCM"]
    known = small(nfe=(4,), defect_samples=2, batch_size=2, teacher_nfe=3, seeds=(3,))
    experiment = on_levels(known, levels)
    asked = list[float]()

    def teacher(x_t: Tensor, t: Tensor, caption: Tensor) -> Tensor:
        asked.append(t.flatten()[0].item())
        return 0 * x_t

    records = measure(network(lambda x_t, t, c: slope * x_t), network(teacher), experiment, 0, LATENT).records
    euler = records[records.solver == "euler"].set_index("metric")
    middle = [(t + s) / 2 for t, s in zip(levels, (*levels[1:], 0.0), strict=True)]
    for i, (t_s, t_m, t_e) in enumerate(zip(levels, middle, (*levels[1:], 0.0), strict=True)):
        row = euler.loc[f"defect[{i}]"]
        assert (row.t_s, row.t_m, row.t_e) == pytest.approx((t_s, t_m, t_e))
        assert row.value == pytest.approx((slope * (t_s - t_m) * (t_m - t_e) / (t_s - t_e)) ** 2, rel=1e-4)
    assert asked == pytest.approx(sorted({*time_grid(3, known.grid.shift), *levels}, reverse=True))
    shrunk = 1 - slope * (levels[0] - levels[1])
    assert euler.loc["depth_error[1]"].value == pytest.approx(1 - shrunk, rel=1e-3), "the teacher stands still"


def test_the_lab_measures_at_the_levels() -> None:
    """The exact teacher as the student: with the levels of its shift it has that one's records, with others others."""
    world = exact(nfe=[4])
    student = Shifted(world, torch.zeros(2, 2))
    shifted = experiment_in(world)
    by_shift, same, other = (
        measure_arm(student, on_levels(shifted, own), "an arm", [0, 1], 0).query("solver == 'cm'").value.tolist()
        for own in (None, time_grid(4, shifted.grid.shift), PUBLISHED["rCM"])
    )
    assert by_shift == same != other
