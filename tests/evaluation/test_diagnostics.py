"""The measurements of `salt defect`, on fields where everything can be worked out by hand."""

from itertools import pairwise
from math import prod

import numpy as np
import pandas as pd
import pytest
import torch
from torch.testing import assert_close

from salt.config.scale import Evaluation
from salt.data.prompts import report_prompts
from salt.errors import SaltError
from salt.evaluation.diagnostics.defect import (
    DEFECT_COLUMNS,
    TRAJECTORY_COLUMNS,
    defect_protocol,
    measure,
    path_defects,
    principal_plane,
    rms,
)
from salt.evaluation.sampling.solvers import Draw, initial_noise
from salt.flow.grid import merged_grid, time_grid
from salt.flow.transport import euler_sample
from salt.report.records import Records, read_measurements
from support.fields import LATENT, network, small

A, B = 0.7, 0.4
GRID = (1.0, 0.9, 0.75, 0.5)
MIDDLE = (21 / 22, 5 / 6, 9 / 14, 0.3)
EVALUATION = {"nfe": (2, 4, 8), "defect_samples": 5, "batch_size": 3, "teacher_nfe": 6, "seeds": (3,)}


def linear(slope):
    return lambda x_t, t, caption: slope * x_t


def bent(x_t, t, caption):
    """No closed form: depends on state, time and caption."""
    return torch.sin(2 * x_t) * (1 + t) + caption * t


def found(student, teacher=bent, name="sc_dmd", alone=False, **evaluation):
    experiment = small(name, **(EVALUATION | evaluation))
    return measure(network(student), network(teacher, 3.0), experiment, 1, LATENT, alone=alone)


def values(records, metric, solver="euler", nfe=4):
    rows = records[(records.metric == metric) & (records.solver == solver) & (records.nfe == nfe)]
    assert len(rows) == 1
    return rows.iloc[0]


def noise_of(samples):
    return initial_noise([Draw(3, prompt) for prompt in range(samples)], LATENT)


def shrink(slope, grid, until=0.0):
    """What Euler steps of v = slope x multiply the noise with, from grid[0] to `until`."""
    ends = (*grid[1:], 0.0)
    return prod(1 - slope * (t - s) for t, s in zip(grid, ends, strict=True) if s >= until)


# ------------------------------------------------------------------------------------------------ the defect
def test_defect_of_a_linear_field_by_hand():
    """Eq. (16): for v = a x, x_1 - x_2 = -a^2 h_1 h_2 x and x_1 - x_s = -a h x, whatever the state."""
    records = found(linear(A)).records
    expected = []
    for i, (t_s, t_m, t_e) in enumerate(zip(GRID, MIDDLE, (*GRID[1:], 0.0), strict=True)):
        expected.append((A * (t_s - t_m) * (t_m - t_e) / (t_s - t_e)) ** 2)
        for solver in ("euler", "cm"):
            row = values(records, f"defect[{i}]", solver)
            assert (row.t_s, row.t_m, row.t_e) == pytest.approx((t_s, t_m, t_e))
            assert row.value == pytest.approx(expected[i], rel=1e-4)
    assert values(records, "defect_mean").value == pytest.approx(np.mean(expected), rel=1e-4)
    assert values(records, "defect_mean_se").value == pytest.approx(0, abs=1e-8)


def test_defect_follows_the_states_of_the_path():
    """Eq. (16) on the state that two Euler steps of the student lead to, from the noise of its videos."""
    records = found(bent).records
    captions = [prompt.extended for prompt in report_prompts(small().scale.world, 5)]
    velocity = network(bent).velocity(captions)
    x, times = noise_of(5), [torch.full((5,), t) for t in (1.0, 0.9, 0.75, 9 / 14, 0.5)]
    x = x - 0.1 * velocity(x, times[0])
    x_s = x - 0.15 * velocity(x, times[1])
    v_s = velocity(x_s, times[2])
    direct = x_s - 0.25 * v_s
    x_m = x_s - (0.75 - 9 / 14) * v_s
    composed = x_m - (9 / 14 - 0.5) * velocity(x_m, times[3])
    ratio = ((direct - composed) ** 2).flatten(1).sum(1) / ((direct - x_s) ** 2).flatten(1).sum(1)
    assert values(records, "defect[2]").value == pytest.approx(float(ratio.mean()), rel=1e-4)
    assert values(records, "defect[2]", "cm").value != pytest.approx(float(ratio.mean()), rel=1e-2)
    assert values(records, "defect_mean_se").value > 0


def test_the_defect_alone_is_the_same_and_asks_no_teacher():
    def never(x_t, t, caption):
        raise AssertionError

    every, alone = found(bent), found(bent, never, alone=True)
    rows = every.records[every.records.metric.str.startswith("defect")]
    pd.testing.assert_frame_equal(alone.records, rows.reset_index(drop=True))
    assert list(alone.trajectory.columns) == list(TRAJECTORY_COLUMNS)
    assert len(every.trajectory) > len(alone.trajectory) == 0


def test_straight_flows_have_no_defect_and_no_distance():
    """Eq. (16): a velocity that is constant along paths."""
    records = found(lambda x, t, caption: caption.expand_as(x)).records
    of_euler = records[(records.solver == "euler") & ~records.metric.str.startswith("depth")]
    assert len(of_euler) == 4 + 2 + 3
    assert (of_euler.value.abs() < 1e-6).all()


def test_all_students_are_measured_on_the_same_triples():
    """DMD-4 has no training level between its inference levels; the triples are those of the 2 K grid for all."""
    columns = ["metric", "solver", "t_s", "t_m", "t_e", "value"]
    dmd_4, *others = (found(bent, name=name).records[columns] for name in ("dmd_4", "dmd_8", "dmd_16"))
    for other in others:
        pd.testing.assert_frame_equal(other, dmd_4)


def test_exact_flows_have_an_euler_defect_that_falls_with_the_step(gaussian_flow, randn):
    """Eq. (16): the Euler operator of an exact velocity is no flow map; its defect is of second order in the step."""
    flow, noise, means = gaussian_flow(0.7, 1.2), randn(64, 10), []
    for steps in (4, 8, 16, 32):
        grid, middle = time_grid(steps, 3.0), time_grid(2 * steps, 3.0)[1::2]
        path = euler_sample(flow.velocity, noise, grid, trajectory=True)
        defects = path_defects(flow.velocity, path, grid, middle)
        assert defects.shape == (64, steps)
        means.append(float(defects.mean()))
    assert means[0] > 1e-2
    assert [coarse / fine for coarse, fine in pairwise(means)] == pytest.approx([4, 4, 4], rel=0.1)


# ------------------------------------------------------------------------------------- distances and depths
def test_cross_step_distance_of_a_linear_field_by_hand():
    """Euler multiplies the noise by a known factor; the CM solver's last x_0 is a factor of its last noise."""
    records = found(linear(A)).records
    ends = {nfe: shrink(A, time_grid(nfe, 3.0)) for nfe in (2, 4, 8)}
    for few, many in ((2, 4), (2, 8), (4, 8)):
        row = values(records, f"cross_step[{few},{many}]", nfe=many)
        assert row.value == pytest.approx(abs(ends[few] - ends[many]) * float(rms(noise_of(5)).mean()), rel=1e-4)
        assert values(records, f"cross_step[{few},{many}]", "cm", many).value > 2 * row.value


def test_depth_error_of_linear_fields_by_hand():
    """Student v = a x, teacher v = b x on its 6 levels and those of the students."""
    records = found(linear(A), linear(B)).records
    fine = merged_grid(*(time_grid(steps, 3.0) for steps in (6, 2, 4, 8)))
    assert len(fine) == 6 + 8 - 2
    for nfe in (2, 4, 8):
        grid = time_grid(nfe, 3.0)
        for i, t in enumerate((*grid[1:], 0.0), start=1):
            row = values(records, f"depth_error[{i}]", nfe=nfe)
            assert row.t_s == pytest.approx(t)
            assert row.value == pytest.approx(abs(shrink(A, grid, t) / shrink(B, fine, t) - 1), rel=1e-3)
    assert not records[records.solver == "cm"].metric.str.startswith("depth").any()


def test_the_teacher_itself_has_no_depth_error():
    """The student is the teacher's field, on the teacher's grid: without guidance the paths are one."""
    experiment = small(**EVALUATION | {"nfe": (4,), "teacher_nfe": 4})
    records = measure(network(bent), network(bent, 1.0), experiment, 0, LATENT).records
    errors = records[records.metric.str.startswith("depth_error")]
    assert list(errors.metric) == [f"depth_error[{i}]" for i in (1, 2, 3, 4)]
    assert (errors.value.abs() < 1e-6).all()
    guided = measure(network(bent), network(bent, 3.0), experiment, 0, LATENT).records
    assert (guided[guided.metric.str.startswith("depth_error")].value > 1e-2).all()


# --------------------------------------------------------------------------------------------------- records
def test_records_are_tidy_and_readable(tmp_path):
    diagnostics = found(bent)
    assert list(diagnostics.records.columns) == list(DEFECT_COLUMNS)
    assert list(diagnostics.trajectory.columns) == list(TRAJECTORY_COLUMNS)
    experiment = small(**EVALUATION)
    first = diagnostics.records.iloc[0]
    assert (first.method, first.experiment, first.scale, first.seed) == (experiment.title, "sc_dmd", "smoke", 1)
    assert (first.prompts, first.n, first.protocol) == ("extended", 5, defect_protocol(experiment.scale))
    diagnostics.records.to_csv(tmp_path / "sc_dmd_seed1_defect.csv", index=False)
    diagnostics.trajectory.to_csv(tmp_path / "sc_dmd_seed1_trajectory.csv", index=False)
    assert len(read_measurements(tmp_path / "sc_dmd_seed1_defect.csv")) == len(diagnostics.records)
    records = Records(tmp_path, experiment.scale)
    assert len(records.tidy("defect", "sc_dmd", [1])) == 2 * (4 + 2) + 2 * 3 + 2 + 4 + 8
    assert len(records.trajectory("sc_dmd", 1)) == len(diagnostics.trajectory)


def test_batches_do_not_matter_and_nothing_is_left_to_chance():
    one, again, other = found(bent), found(bent), found(bent, batch_size=2)
    pd.testing.assert_frame_equal(one.records, again.records, check_exact=True)
    pd.testing.assert_frame_equal(one.trajectory, again.trajectory, check_exact=True)
    pd.testing.assert_frame_equal(one.records, other.records, rtol=1e-4, atol=1e-7)
    pd.testing.assert_frame_equal(one.trajectory, other.trajectory, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"teacher_nfe": 7}, True),
        ({"cfg_weight": 4.0}, True),
        ({"defect_samples": 6}, True),
        ({"seeds": (4,)}, True),
        ({"prompts": 7}, False),
        ({"batch_size": 1}, False),
    ],
)
def test_protocol_changes_with_what_decides(change, other):
    before, after = (defect_protocol(small(**EVALUATION | update).scale) for update in ({}, change))
    assert (before != after) == other


def test_nan_is_refused_by_name():
    def field(x_t, t, caption):
        return torch.where(t < 0.6, torch.nan, x_t)

    with pytest.raises(SaltError, match=r"sc_dmd seed 1, euler path of 4 steps: the sample of prompt p0000 holds NaN"):
        found(field)
    with pytest.raises(SaltError, match=r"teacher path of 12 steps"):
        found(bent, field)


def test_a_standard_error_needs_two_samples():
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        Evaluation(defect_samples=1)


# -------------------------------------------------------------------------------------------------- paths
def test_principal_plane_of_a_path_in_a_plane():
    """An arc in the plane of two unit vectors: they come back, along the path and towards its middle."""
    u = torch.linspace(0, 1, 9, dtype=torch.float64)
    path = torch.zeros(9, 3, 4, dtype=torch.float64)
    path[:, 1, 2], path[:, 2, 0] = 5 - 4 * u, -torch.sin(torch.pi * u)
    for sign in (1, -1):
        mean, directions = principal_plane(sign * path)
        assert_close(mean, sign * path.mean(0).flatten())
        expected = torch.zeros(2, 3, 4, dtype=torch.float64)
        expected[0, 1, 2], expected[1, 2, 0] = -sign, -sign
        assert_close(directions, expected.flatten(1))


def test_students_share_the_axes_of_the_teachers_path():
    one, other = found(linear(A)).trajectory, found(bent).trajectory
    assert sorted(set(one["sample"])) == [0, 1, 2, 3]
    ways = one[["solver", "nfe"]].drop_duplicates().to_numpy().tolist()
    assert ways == [["euler", 2], ["euler", 4], ["euler", 8], ["teacher", 12]]
    of_teacher = [frame[frame.solver == "teacher"].reset_index(drop=True) for frame in (one, other)]
    pd.testing.assert_frame_equal(*of_teacher)
    first = of_teacher[0][of_teacher[0]["sample"] == 0]
    assert list(first.step) == list(range(13))
    assert (first.t.iloc[0], first.t.iloc[-1]) == (1.0, 0.0)
    assert first.pc1.iloc[-1] > first.pc1.iloc[0]
    assert first.pc1.var() > first.pc2.var() > 0
    starts = one[(one.step == 0) & (one["sample"] == 2)]
    assert starts.pc1.nunique() == starts.pc2.nunique() == 1


def test_projection_is_of_the_students_states():
    """v = a x moves every state along itself, so the projected path of a student is the known factor times x_1."""
    frame = found(linear(A)).trajectory
    path = frame[(frame["sample"] == 1) & (frame.solver == "euler") & (frame.nfe == 4)]
    factors = np.array([1.0, *(shrink(A, GRID, t) for t in (0.9, 0.75, 0.5, 0.0))])
    for column in ("pc1", "pc2"):
        steps = path[column].to_numpy() - path[column].iloc[0]
        assert steps[1:] / steps[1] == pytest.approx((factors[1:] - 1) / (factors[1] - 1), rel=1e-3)
