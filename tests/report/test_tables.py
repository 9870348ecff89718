"""Tables against the records they are made of and the numbers the paper prints."""

import csv
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from salt.config.files import repository_root
from salt.config.load import load_scale
from salt.config.paper import paper_values
from salt.config.released import RELEASED
from salt.errors import SaltError
from salt.evaluation.cells import Cell
from salt.evaluation.groundtruth.corruptions import CONTROLS
from salt.evaluation.vbench.board import TEXT
from salt.report.metrics import AGGREGATES, all_metrics, metrics_of
from salt.report.records import Records
from salt.report.render import cell_text
from salt.report.statistics import paired_interval
from salt.report.suite import figure_spec, load_suite
from salt.report.tables import _protocol_line, build_table, make_table

DIFFERENCE = ("difference", "low", "high")

METRICS = metrics_of(TEXT)


@pytest.fixture(scope="module")
def table4(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("tables")
    make_table("table4", "tiny", results / "records", 2, out)
    return out


def lines(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_number_is_the_mean_over_seeds_of_the_records(results, table4):
    for line in lines(table4 / "table4.csv"):
        if not line["ours"]:
            continue
        seeds, cell = (
            ((0,), "solver == 'none'") if line["experiment"] == "real" else ((0, 1), "solver == 'cm' and nfe == 4")
        )
        frames = [pd.read_csv(results / "records" / f"{line['experiment']}_seed{s}_scores.csv") for s in seeds]
        both = pd.concat(frames).query(f"prompts == 'extended' and {cell}")
        values = both[both["metric"] == line["metric"]]["value"] * (1 if line["metric"] in AGGREGATES else 100)
        assert float(line["ours"]) == pytest.approx(values.mean(), rel=1e-12)
        if len(seeds) > 1:
            assert float(line["seed_sd"]) == pytest.approx(values.std(), rel=1e-9)


def test_measures_of_distributions_stand_beside_scores(turning, tmp_path):
    """With intervals over training seeds."""
    table = build_table("table4", Records(turning / "records", load_scale("tiny")), 2)
    assert table.metrics[-6:-2] == ("energy_distance", "off_support", "mode_tv", "speed_tv")
    rows = {row.title: row for row in table.rows}
    assert np.mean(rows["DMD-4"].ours["energy_distance"]) == pytest.approx(6, rel=0.05)
    (gain,) = [
        c
        for c in table.comparisons
        if c.metric == "energy_distance" and c.baseline.title == "DMD-4" and c.method.title.startswith("SC")
    ]
    assert gain.interval.covers == "training seeds"
    assert gain.interval.high < 0
    for path in make_table("table4", "tiny", turning / "records", 2, tmp_path):
        assert "Energy Dist." in path.read_text() or "energy_distance" in path.read_text()


def test_short_captions_have_no_measures_of_distributions(turning):
    """Beside records of their students' extended captions that have some."""
    table = build_table("tableA1", Records(turning / "records", load_scale("tiny")), 2)
    assert {comparison.metric for comparison in table.comparisons} == {"total", "quality", "semantic"}


def test_the_papers_numbers_stand_beside_ours(table4):
    published = yaml.safe_load((repository_root() / "experiments" / "paper_values.yaml").read_text())["rows"]
    rows = {row["experiment"]: row["values"] for row in published if row["table"] == "table4"}
    found = [
        (line["experiment"], line["metric"], float(line["paper"]))
        for line in lines(table4 / "table4.csv")
        if line["paper"]
    ]
    assert len(found) == 21
    assert all(rows[experiment][metric] == value for experiment, metric, value in found)


def test_differences_are_those_of_the_rows_with_the_papers_sign(table4):
    table = lines(table4 / "table4.csv")
    ours = {(line["row"], line["metric"]): float(line["ours"]) for line in table if line["ours"]}
    differences = [line for line in table if line["baseline"]]
    pairs = {(line["row"], line["baseline"]) for line in differences}
    assert pairs == {("DMD-4", "DMD-8, 4 NFE"), ("SC-DMD (Ours)", "DMD-4, 4 NFE"), ("SC-DMD (Ours)", "DMD-8, 4 NFE")}
    for line in differences:
        baseline = line["baseline"].removesuffix(", 4 NFE")
        difference, low, high = (float(line[key]) for key in DIFFERENCE)
        assert difference == pytest.approx(ours[line["row"], line["metric"]] - ours[baseline, line["metric"]])
        assert low < difference < high
        assert line["same_sign"] == ("yes" if difference * float(line["paper_difference"]) > 0 else "no")


def test_markdown_says_what_a_reader_must_know(table4):
    text = (table4 / "table4.md").read_text()
    said = ("# Table 4. Ablation", "| *paper* |", "82.78", "Same sign", "Training seeds: 0, 1.", "Not run: nothing")
    for part in (*said, "groundtruth-1 0123456789ab, 256 extended prompts, cm solver", "Student's t"):
        assert part in text


def test_cells_hold_the_interval_of_their_mean_in_every_format(results, table4):
    records, cell = Records(results / "records", load_scale("tiny")), Cell("sc_dmd", "extended", "cm", 4)
    own = paired_interval(records.prompt_scores(cell, (0, 1)), None, all_metrics(TEXT))
    total = own[METRICS.index("total")]
    printed = [line for line in lines(table4 / "table4.csv") if line["ours"] and line["metric"] == "total"]
    line = next(line for line in printed if line["experiment"] == "sc_dmd")
    assert (float(line["low"]), float(line["high"])) == (total.low, total.high)
    said, half = f"{total.estimate:.2f}", f"{total.high - total.estimate:.2f}"
    assert f" | {said}\u00a0±\u00a0{half} | " in (table4 / "table4.md").read_text()
    assert rf" & {said}\,{{\tiny$\pm${half}}} & " in (table4 / "table4.tex").read_text()
    for kind in ("md", "tex"):
        assert "over other captions and other training seeds (of one seed" in (table4 / f"table4.{kind}").read_text()


def test_one_seed_gives_a_measure_of_distributions_no_interval(turning):
    one, two = (build_table("table4", Records(turning / "records", load_scale("tiny")), seeds) for seeds in (1, 2))
    for table, there in ((one, False), (two, True)):
        row = next(row for row in table.rows if row.title == "DMD-4")
        assert ("energy_distance" in row.intervals) == there
        assert "total" in row.intervals
        assert ("±" in cell_text(row, "energy_distance")) == there


def test_rows_that_are_as_good_as_real_clips_are_saturated_and_not_without_a_difference(turning):
    """All keep the speeds of real clips; the futures of DMD are off."""
    table = build_table("table4", Records(turning / "records", load_scale("tiny")), 2)
    found = {c.excludes_zero for c in table.comparisons if c.metric == "speed_tv"}
    assert found == {"saturated"}
    assert "saturated" not in {c.excludes_zero for c in table.comparisons if c.metric == "energy_distance"}


@pytest.mark.parametrize(("name", "down"), [("table4", True), ("table2", False)])
def test_a_table_is_printed_so_that_it_is_narrow(results, tmp_path, name, down):
    make_table(name, "tiny", results / "records", 2, tmp_path)
    for kind, mark in (("md", "| Metric | "), ("tex", "\nNFE & ")):
        assert (mark in (tmp_path / f"{name}.{kind}").read_text().split("Differences")[0]) == down


def test_rows_of_released_weights_are_named_and_never_mixed_with_trained_ones(results, tmp_path):
    folder = shutil.copytree(results / "records", tmp_path / "records")
    files = [folder / f"dmd_8_seed{seed}_scores.csv" for seed in (0, 1)]
    frame = pd.read_csv(files[0])
    frame.assign(weights=RELEASED).to_csv(files[0], index=False)
    with pytest.raises(SaltError, match="some are of released weights, others of weights trained here"):
        build_table("table4", Records(folder, load_scale("tiny")), 2)
    files[1].unlink()
    table = build_table("table4", Records(folder, load_scale("tiny")), 2)
    said = " ".join(table.provenance.lines())
    assert "Released weights, one model each: DMD-8." in said
    assert "Not run: nothing." in said
    assert {c.seeds for c in table.comparisons if "DMD-8" in c.baseline.title} == {(0,)}


def test_latex_is_booktabs_and_escaped(table4):
    text = (table4 / "table4.tex").read_text()
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    assert r"95 \% interval" in text
    assert not [line for line in text.splitlines() if "%" in line.replace(r"\%", "")]
    body = [line for line in text.splitlines() if line.startswith(r"\multirow[c]{2}{*}{Quality} & here")]
    assert body[0].count("&") == 5


@pytest.mark.parametrize("name", ["table4", "table2"])
def test_the_same_records_give_the_same_bytes(results, tmp_path, name):
    first = make_table(name, "tiny", results / "records", 2, tmp_path / "a")
    second = make_table(name, "tiny", results / "records", 2, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_what_was_not_run_is_named(results, tmp_path):
    folder = tmp_path / "records"
    shutil.copytree(results / "records", folder)
    for path in [*folder.glob("dmd_8_seed*"), folder / "sc_dmd_seed1_scores.csv"]:
        path.unlink()
    table = build_table("table4", Records(folder, load_scale("tiny")), 2)
    assert table.provenance.not_run == ("DMD-8, 4 NFE", "SC-DMD (Ours), 4 NFE seeds 1")
    assert {comparison.seeds for comparison in table.comparisons} == {(0,)}
    assert {comparison.interval.covers for comparison in table.comparisons} == {"captions"}


def test_rows_of_the_paper_without_an_experiment_are_kept_and_said_to_be_missing(images, monkeypatch):
    """There are none: all of the paper's rows have one."""
    there = paper_values()
    assert all(value.experiment for value in there if value.table != "text")
    without = [value.model_copy(update={"experiment": None}) if value.row == "Ours-α" else value for value in there]
    monkeypatch.setattr("salt.report.tables.paper_values", lambda: without)
    table = build_table("table1", Records(images / "records", load_scale("tiny_i2v")), 2)
    alpha = next(row for row in table.rows if row.title == "Ours-α")
    assert alpha.paper["quality"] == 81.71
    assert not alpha.ours
    assert "Ours-α, 4 NFE" in table.provenance.not_run


def test_rows_are_compared_with_those_of_as_many_steps(results):
    table = build_table("table2", Records(results / "records", load_scale("tiny")), 2)
    assert [row.nfe for row in table.rows if row.title == "Teacher"] == [50]
    two_steps = [c for c in table.comparisons if c.method.nfe == 2]
    assert {c.baseline.nfe for c in two_steps} == {2}


def test_short_prompts_are_read_for_the_appendix(results):
    records = Records(results / "records", load_scale("tiny"))
    extended, short = build_table("table4", records, 1), build_table("tableA1", records, 1)
    values = [next(r.ours["total"] for r in t.rows if r.title == "SC-DMD (Ours)") for t in (extended, short)]
    assert values[0] != values[1]


def test_controls_print_every_metric_of_every_control(results, tmp_path):
    make_table("controls", "tiny", results / "records", None, tmp_path)
    table = lines(tmp_path / "controls.csv")
    assert len(table) == len(CONTROLS) * len(METRICS)
    found = {line["row"]: float(line["ours"]) for line in table if line["metric"] == "total"}
    assert found.pop("control_real") == pytest.approx(97)
    assert found.pop("control_pure_noise") == pytest.approx(30)
    assert all(30 < total < 97 for total in found.values())
    assert "| Total | 97.00 |" in (tmp_path / "controls.md").read_text()


def test_a_scale_without_meaning_says_so_first(make_records, tmp_path):
    writer = make_records(tmp_path / "records", scale="smoke", prompts=8, nfe=(4,))
    for experiment in ("dmd_4", "dmd_8", "sc_dmd"):
        writer.scores(experiment, 0)
    make_table("table4", "smoke", writer.folder, 1, tmp_path)
    assert "\n\n**smoke: numbers mean nothing.**\n\n" in (tmp_path / "table4.md").read_text()
    assert "smoke: numbers mean nothing" in (tmp_path / "table4.tex").read_text()


def test_two_scorers_in_one_table_are_refused(make_records, tmp_path):
    writer = make_records(tmp_path, prompts=8, nfe=(4,))
    writer.scores("dmd_4", 0)
    writer.scores("sc_dmd", 0, protocol="vbench-0.1.5 ffff")
    with pytest.raises(SaltError, match=r"groundtruth-1 0123456789ab and vbench-0.1.5 ffff"):
        build_table("table4", Records(tmp_path, load_scale("tiny")), 1)


def test_nothing_to_print_and_unknown_names_are_refused(tmp_path):
    with pytest.raises(SaltError, match=r"no records of table4; accepted: dmd_8, dmd_4, sc_dmd"):
        make_table("table4", "tiny", tmp_path, None, tmp_path)
    with pytest.raises(SaltError, match=r"table 'table44': .*did you mean 'table4'"):
        make_table("table44", "tiny", tmp_path, None, tmp_path)


def test_every_table_of_the_suite_can_be_built(results):
    records = Records(results / "records", load_scale("tiny"))
    for name, spec in load_suite().at(records.scale).tables.items():
        table = build_table(name, records, 1)
        assert table.metrics == (spec.columns or METRICS)
        assert any(row.ours for row in table.rows)


def test_table1_is_of_image_to_video(results, images, tmp_path):
    """Its metrics are VBench-I2V's; PCM is sampled by Euler in 8 steps, the others by the scale's solver in 4."""
    records = Records(images / "records", load_scale("tiny_i2v"))
    table = build_table("table1", records, 2)
    ours = {row.name: row for row in table.rows if row.ours}
    assert [(row.nfe, row.cell.solver) for row in ours.values()][:6] == [*[(8, "euler")] * 2, *[(4, "cm")] * 4]
    assert all(row.ours for row in table.rows)
    first = next(iter(ours.values()))
    assert set(first.ours) == set(first.paper) == set(table.metrics)
    assert {c.metric for c in table.comparisons} == set(table.metrics)
    i2v = next(c for c in table.comparisons if c.metric == "i2v" and c.method.cell.experiment == "sc_dmd")
    assert i2v.paper == pytest.approx(0.81)
    means = records.prompt_scores(ours["SC-DMD (Ours), 4 NFE"].cell, (0, 1)).means()
    dimensions = list(records.board.dimensions)
    raw = {name: means[0, dimensions.index(name)] for name in ("i2v_subject", "i2v_background")}
    by_hand = 50 * ((raw["i2v_subject"] - 0.1462) / 0.8538 + (raw["i2v_background"] - 0.2615) / 0.7385)
    assert ours["SC-DMD (Ours), 4 NFE"].ours["i2v"][0] == pytest.approx(by_hand)
    make_table("table1", "tiny_i2v", images / "records", 2, tmp_path)
    with pytest.raises(SaltError, match=r"table table1: not of scale tiny, .* no first frame; .* table2"):
        build_table("table1", Records(results / "records", load_scale("tiny")))
    with pytest.raises(SaltError, match=r"table table2: not of scale tiny_i2v, .* a first frame; .* table1"):
        build_table("table2", records)


def test_a_sweep_is_of_scales_whose_numbers_mean_something():
    assert figure_spec("fig_lambda", load_scale("tiny")).experiments
    with pytest.raises(SaltError, match=r"fig_lambda: not of scale smoke, whose numbers mean nothing; .* fig_steps"):
        figure_spec("fig_lambda", load_scale("smoke"))


def test_all_metrics_are_the_aggregates_and_the_dimensions_times_100():
    means = np.linspace(0.2, 0.9, 16)
    values = dict(zip(METRICS, all_metrics(TEXT)(means), strict=True))
    assert values["subject_consistency"] == pytest.approx(20)
    assert values["total"] == pytest.approx((4 * values["quality"] + values["semantic"]) / 5)


def test_an_absent_dimension_is_not_run_and_never_0(results, tmp_path):
    """As VBench's scorer writes it: no value, of 0 videos, and so for every aggregate that needs it."""
    records = shutil.copytree(results / "records", tmp_path / "records")
    for seed in (0, 1):
        path = records / f"sc_dmd_seed{seed}_scores.csv"
        frame = pd.read_csv(path)
        lacking = frame["metric"].isin(["spatial_relationship", "semantic", "total"])
        frame.loc[lacking, "value"], frame.loc[lacking, "n"] = np.nan, 0
        frame.to_csv(path, index=False)
    table = build_table("table4", Records(records, load_scale("tiny")), 2)
    (row,) = [row for row in table.rows if row.cell and row.cell.experiment == "sc_dmd"]
    assert "quality" in row.ours
    assert not {"spatial_relationship", "semantic", "total"} & set(row.ours)
    assert not [c for c in table.comparisons if row in (c.method, c.baseline)]
    told = "; ".join(table.provenance.not_run)
    assert "semantic, spatial_relationship, total of SC-DMD (Ours), 4 NFE (absent: not scored" in told


def test_the_protocol_of_the_real_vbench_is_printed():
    spec = load_suite().tables["table4"]
    line = _protocol_line(Records(repository_root(), load_scale("paper")), "0123456789ab", spec)
    assert line.endswith(
        "VBench 0.1.5, 5 samples a prompt, 16 fps, H.264 crf 8, short text scored, flickering of the first samples"
    )
