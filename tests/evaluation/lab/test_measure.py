"""Records of an arm: which rows there are, whose they are, and that arms share their noise."""

from collections.abc import Callable

import pandas as pd
import pytest
import torch

from salt.config import load_experiment
from salt.config.lab import Exact
from salt.errors import SaltError
from salt.evaluation.lab.columns import CLOUD_COLUMNS, COLUMNS
from salt.evaluation.lab.measure import chain_rows, clouds, measure_arm, measure_floor
from salt.evaluation.lab.records import UNGUIDED, Arm, guidance_of, protocol, rounded, table
from salt.evaluation.lab.samples import BLOCK, CommonNoise, roll_chains, sample
from salt.flow.path import Velocity
from salt.models.ensemble import EnsembleCausal, EnsembleVelocity
from support.exact_worlds import SHIFT, Shifted, chain, exact, experiment_in

MIXTURE = {
    *("sliced_w1", "sliced_w2", "energy_distance", "mode_tv", "mode_entropy", "spread", "style_spread", "style_shift"),
    *("off_support", "nll"),
}
CHAIN = {"sliced_w1", "energy_distance", "turn_tv", "radius", "residual"}


def value(records: pd.DataFrame, **cell: object) -> float:
    for column, wanted in cell.items():
        records = records[records[column] == wanted]
    (found,) = records["value"]
    return float(found)


def causal(world: Exact, members: int = 2) -> EnsembleCausal:
    network = EnsembleCausal(members, 2, 1, world.network)
    network.mlp.initialise(range(members))
    return network


@pytest.fixture(scope="module")
def shifted() -> pd.DataFrame:
    """Members 7 and 8: the exact teacher, and one whose samples lie .5 higher."""
    world = exact()
    network = Shifted(world, torch.tensor([[0.0, 0.0], [0.0, 0.5]]))
    return measure_arm(network, experiment_in(world), "an arm", [7, 8], 800)


def test_every_cell_and_metric_has_a_row_for_every_member(shifted: pd.DataFrame) -> None:
    assert tuple(shifted.columns) == COLUMNS
    keys = ["seed", "nfe", "solver", "metric"]
    assert not shifted.duplicated(keys).any()
    plain = shifted[shifted.metric.isin(MIXTURE)]
    assert len(plain) == 2 * 3 * 2 * len(MIXTURE)
    rest = shifted[~shifted.metric.isin(MIXTURE)]
    assert set(zip(rest.metric, rest.solver, rest.nfe, strict=True)) == {
        *(("cross_step", "euler", nfe) for nfe in (2, 4)),
        *((metric, "euler", 4) for metric in ("defect", "defect_median")),
    }
    fixed = {
        column: list(shifted[column].unique())
        for column in ("method", "experiment", "world", "updates", "cache", "chunk", "n", "protocol")
    }
    assert fixed == {
        "method": ["an arm"],
        "experiment": ["dmd_8"],
        "world": ["mixture"],
        "updates": [800],
        "cache": [0],
        "chunk": [0],
        "n": [256],
        "protocol": [protocol(exact())],
    }


def test_members_get_their_own_numbers(shifted: pd.DataFrame) -> None:
    """One style is moved away from the other caption's and one towards it: the mean over captions stays."""
    cell = {"nfe": 4, "solver": "euler"}
    assert value(shifted, seed=8, metric="sliced_w1", **cell) > value(shifted, seed=7, metric="sliced_w1", **cell)
    alone = measure_arm(Shifted(exact(), torch.tensor([[0.0, 0.5]])), experiment_in(exact()), "an arm", [8], 800)
    again = shifted[shifted.seed == 8].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, again)


def test_a_member_is_moved_as_far_as_it_should_be() -> None:
    world, far = exact(), torch.tensor([[0.0, 0.0], [0.3, -0.2]])
    field = Shifted(world, far)
    text = torch.eye(2)[:1][:, None]
    noise = CommonNoise((3, 3), 64, (2, 1, 1, 1))
    x = sample(lambda batch: lambda x, t: field(x, t, text.expand(batch, -1, -1)), noise, 4, "euler", SHIFT)
    torch.testing.assert_close(x[1] - x[0], far[1].expand(64, 2), atol=1e-5, rtol=0)


def test_noise_is_keyed_by_the_seed_and_the_level_and_by_no_arm() -> None:
    one, two = CommonNoise((5, 6), 10, (2, 1, 1, 1)), CommonNoise((6, 5), 10, (2, 1, 1, 1))
    assert torch.equal(one.initial(), two.initial().flip(0))
    assert torch.equal(one.initial()[:, :4], CommonNoise((5, 6), 4, (2, 1, 1, 1)).initial())
    assert not torch.equal(one.initial(), CommonNoise((5, 6), 10, (2, 1, 1, 1), caption=1).initial())
    fresh = {nfe: one.fresh(nfe) for nfe in (1, 2, 4, 8)}
    assert [len(noises) for noises in fresh.values()] == [0, 1, 3, 7]
    assert torch.equal(fresh[2][0], fresh[4][1])  # the level in the middle
    assert torch.equal(fresh[4][0], fresh[8][1])
    assert not torch.equal(fresh[4][0], fresh[4][1])


@pytest.mark.parametrize("solver", ["cm", "euler"])
def test_samples_do_not_depend_on_the_blocks_they_are_made_in(solver: str) -> None:
    network = EnsembleVelocity(2, (2, 1, 1, 1), 2, exact().network)
    network.mlp.initialise([0, 1])
    text = torch.eye(2)[:1][:, None]

    def field(batch: int) -> Velocity:
        return lambda x, t: network(x, t, text.expand(batch, -1, -1))

    many = sample(field, CommonNoise((0, 1), BLOCK + 40, (2, 1, 1, 1)), 4, solver, SHIFT)
    few = sample(field, CommonNoise((0, 1), 100, (2, 1, 1, 1)), 4, solver, SHIFT)
    assert many.shape == (2, BLOCK + 40, 2)
    torch.testing.assert_close(many[:, :100], few)


def test_a_member_that_is_lost_has_no_rows() -> None:
    network = Shifted(exact(), torch.tensor([[0.0, 0.0], [float("nan"), 0.0], [0.0, 0.0]]))
    records = measure_arm(network, experiment_in(exact()), "an arm", [4, 5, 6], 0)
    assert list(records.seed.unique()) == [4, 6]
    assert records["value"].notna().all()
    assert list(clouds(network, experiment_in(exact()), "an arm", [4, 5, 6]).method.unique()) == ["an arm"]
    lost = Shifted(exact(), torch.full((1, 2), float("inf")))
    assert measure_arm(lost, experiment_in(exact()), "an arm", [4], 0).empty
    assert clouds(lost, experiment_in(exact()), "an arm", [4]).empty


def test_broken_samples_of_a_living_member_are_one_line() -> None:
    network = EnsembleVelocity(2, (2, 1, 1, 1), 2, exact().network)
    network.mlp.initialise([8, 9])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[1] = 1e20
    with pytest.raises(SaltError, match=r"^an arm seed 9, \w+ of \d steps, caption \w+: the samples hold NaN or inf"):
        measure_arm(network, experiment_in(exact()), "an arm", [8, 9], 0)


def test_a_world_without_modes_and_a_network_of_the_wrong_kind_are_refused() -> None:
    network = Shifted(exact(), torch.zeros(1, 2))
    with pytest.raises(SaltError, match="scale smoke cannot name its modes; accepted: a scale with `exact`"):
        measure_arm(network, load_experiment("dmd_8", "smoke"), "an arm", [0], 0)
    with pytest.raises(SaltError, match="whole sequences; accepted: a causal network"):
        measure_arm(network, experiment_in(chain()), "an arm", [0], 0)


def test_guidance_changes_what_distances_are_to_and_nothing_else() -> None:
    world, network = exact(), Shifted(exact(), torch.zeros(1, 2))
    plain, guided = (
        measure_arm(network, experiment_in(world, objectives__dmd__cfg_weight=weight), "an arm", [0], 0)
        for weight in ("1", "4")
    )
    changed = set(plain.metric[plain["value"] != guided["value"]])
    assert changed == {"sliced_w1", "sliced_w2", "energy_distance"}


def test_the_guidance_of_a_start_is_that_of_its_trajectories() -> None:
    assert guidance_of(load_experiment("dmd_8", "lab")) == (1.0, SHIFT)
    start = load_experiment("ode_init", "tiny")
    assert start.pairs is not None
    assert guidance_of(start).cfg_weight == start.pairs.cfg_weight


# --------------------------------------------------------------------------------------------------- chain
def test_rows_of_a_chain() -> None:
    world = chain()
    records = measure_arm(causal(world), experiment_in(world), "an arm", [0, 1], 100)
    assert not records.duplicated(["seed", "nfe", "solver", "cache", "chunk", "metric"]).any()
    assert set(records.solver) == {"cm"}
    one = records[(records.seed == 1) & (records.nfe == 2) & (records.cache == 0)]
    assert {chunk: set(rows.metric) for chunk, rows in one.groupby("chunk")} == {
        0: {"nll"},
        1: CHAIN - {"turn_tv"},
        **{chunk: CHAIN for chunk in (2, 3, 4)},
    }
    matrix = records[records.cache > 0]
    assert set(zip(matrix.cache, matrix.nfe, strict=True)) == {(2, 2), (2, 4), (4, 2), (4, 4)}
    assert set(matrix.chunk) == {3}
    for nfe in (2, 4):
        cell = {"seed": 0, "nfe": nfe, "chunk": 3, "metric": "sliced_w1"}
        assert value(records, cache=nfe, **cell) == value(records, cache=0, **cell)


def test_a_chain_is_rolled_by_members_alone_as_together() -> None:
    world = chain()
    both, text, noise = causal(world), torch.ones(1, 1, 1), CommonNoise((0, 1), 20, (2, 4, 1, 1))
    together = roll_chains(both, text, noise, 2, "cm", SHIFT)
    assert together.shape == (2, 20, 2, 4)
    one = EnsembleCausal(1, 2, 1, world.network)
    one.mlp.initialise([1])
    alone = roll_chains(one, text, CommonNoise((1,), 20, (2, 4, 1, 1)), 2, "cm", SHIFT)
    torch.testing.assert_close(together[1:], alone)


def test_broken_chunks_name_the_cell() -> None:
    world = chain()
    network = causal(world, 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1e20)
    arm = Arm("an arm", "dmd_8", world, (3,), UNGUIDED, SHIFT)
    with pytest.raises(SaltError, match="an arm seed 3, cm of 1 steps, caption chain: the samples hold NaN"):
        list(chain_rows(arm, network))


# --------------------------------------------------------------------------------------- floors and the rest
@pytest.mark.parametrize("kind", [exact, chain])
def test_floors_shrink_with_the_number_of_samples(kind: Callable[..., Exact]) -> None:
    few, many = (measure_floor(kind(samples=n), repeats=6) for n in (100, 1600))
    for records in (few, many):
        assert set(records.method) == {"truth"}
        assert set(records.seed) == set(range(6))
        assert (set(records.solver), set(records.nfe)) == ({"none"}, {0})
    for metric, times in (("sliced_w1", 2.5), ("energy_distance", 6)):
        high, low = (records[records.metric == metric]["value"].mean() for records in (few, many))
        assert low < high / times, metric


def test_floors_have_the_metrics_of_samples() -> None:
    assert set(measure_floor(exact(), 2).metric) == MIXTURE
    assert set(measure_floor(chain(), 2).metric) == {*CHAIN, "nll"}


def test_clouds_are_of_the_first_living_member() -> None:
    network = Shifted(exact(), torch.tensor([[float("nan"), 0.0], [0.0, 0.0], [0.0, 9.0]]))
    points = clouds(network, experiment_in(exact()), "an arm", [0, 1, 2])
    assert tuple(points.columns) == CLOUD_COLUMNS
    cells = {("cm", 1), ("cm", 4), ("cm", 8), ("cm", 16), ("euler", 4), ("euler", 16)}
    sizes = points.groupby(["caption", "solver", "nfe"]).size()
    assert set(sizes.index) == {(caption, *cell) for caption in ("left", "right") for cell in cells}
    assert set(sizes) == {400}
    assert points.y.abs().max() < 4
    assert clouds(causal(chain()), experiment_in(chain()), "an arm", [0, 1]).empty


def test_values_have_six_significant_digits(shifted: pd.DataFrame) -> None:
    assert [rounded(1 / 3), rounded(123456789.0), rounded(-1.23456789e-8)] == [0.333333, 123457000.0, -1.23457e-8]
    assert all(value == float(f"{value:.6g}") for value in shifted["value"])


def test_the_protocol_is_of_the_world_and_of_how_it_is_measured() -> None:
    assert len(protocol(exact())) == 12
    assert protocol(exact()) == protocol(exact())
    assert len({protocol(exact()), protocol(chain()), protocol(exact(samples=300)), protocol(exact(nfe=[1]))}) == 4
    other = exact().model_copy(update={"members": 7, "pool": 99})
    assert protocol(other) == protocol(exact())


def test_an_empty_table_has_the_columns() -> None:
    assert tuple(table([]).columns) == COLUMNS
