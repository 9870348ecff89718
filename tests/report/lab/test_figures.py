"""The lab's figures, from made-up records: the same bytes twice, what they say computed, what is missing named."""

import gzip
import json
import re
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from salt.cli import app, register
from salt.config.lab_arms import load_arms
from salt.config.lab_figures import FIGURES, load_lab_figures
from salt.config.load import load_scale
from salt.errors import SaltError
from salt.report.lab.figures import DRAW, chain, failures, make_lab_figure, picture, sweep
from salt.report.lab.figures.context import LabContext
from support.lab_synthetic import SyntheticLab


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "records"
    SyntheticLab(folder).write()
    return folder


@pytest.fixture
def changed(records, tmp_path):
    """A copy of the records, and a function that edits the rows of one file."""
    folder = tmp_path / "records"
    shutil.copytree(records, folder)

    def edit(name, change):
        path = folder / name
        change(pd.read_csv(path, keep_default_na=False)).to_csv(path, index=False)

    return folder, edit


def context(name, records, scale=None):
    arms = load_arms()
    scale = scale or ("lab_chain" if FIGURES[name] == "chain" else "lab")
    return LabContext(name, load_lab_figures(arms), arms, load_scale(scale), records, "explore")


def tell(path, **changed):
    """Change what a run says of itself."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def without(arm):
    return lambda frame: frame[frame["method"] != arm]


def test_every_figure_of_the_file_is_drawn():
    assert set(DRAW) == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_records_give_the_same_bytes(name, records, tmp_path):
    paths = make_lab_figure(name, "lab", records, "explore", tmp_path / "one")
    again = make_lab_figure(name, "lab", records, "explore", tmp_path / "two")
    assert [path.name for path in paths] == [f"{name}.png", f"{name}.pdf"]
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert all(path.stat().st_size > 10_000 for path in paths)


def test_fig_lab_needs_the_core_alone(tmp_path):
    SyntheticLab(tmp_path / "records").write("start", "dmd", "sc")
    make_lab_figure("fig_lab", "lab", tmp_path / "records", "explore", tmp_path / "out")
    with pytest.raises(SaltError, match=r"levels_0-15\.csv\.gz: cannot be read: No such file"):
        make_lab_figure("fig_lab_map", "lab", tmp_path / "records", "explore", tmp_path / "out")


def test_the_phase_chooses_the_seeds(tmp_path):
    folder = tmp_path / "records"
    for seeds in ((100, 115), (116, 131)):
        SyntheticLab(folder, seeds).write("start", "dmd", "sc")
    make_lab_figure("fig_lab", "lab", folder, "confirm", tmp_path / "out")
    with pytest.raises(SaltError, match=r"start_0-15\.csv\.gz"):
        make_lab_figure("fig_lab", "lab", folder, "explore", tmp_path / "out")


def test_the_verb_draws_it(records, tmp_path):
    register()
    out, given = tmp_path / "out", ["--lab", "lab", "--records", str(records), "--phase", "explore"]
    done = CliRunner().invoke(app, ["lab-figure", "fig_lab", *given, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["fig_lab.pdf", "fig_lab.png"]


# --------------------------------------------------------------------------------------------- what is said
def test_the_title_is_what_the_records_say(changed):
    folder, edit = changed
    said = picture.sentence(context("fig_lab", folder)).replace("\u00a0", " ")
    assert re.fullmatch(
        r"How far from the truth\? With 16 consistency steps in place of 4, DMD-8 goes from 0\.\d{3} to 0\.\d{3}, "
        r"SC-DMD goes from 0\.\d{3} to 0\.\d{3} and Start goes from 0\.\d{3} to 0\.\d{3}\.",
        said,
    )

    def at_16(arm, factor):
        """As far as at 4 steps, times a factor."""

        def change(frame):
            here = (frame["method"] == arm) & (frame["metric"] == "sliced_w1") & (frame["solver"] == "cm")
            four = frame[here & (frame["nfe"] == 4)]
            return pd.concat([frame[~(here & (frame["nfe"] == 16))], four.assign(nfe=16, value=four["value"] * factor)])

        return change

    edit("sc_0-15.csv.gz", at_16("sc_dmd", 0.5))
    edit("start_0-15.csv.gz", at_16("start", 1))
    said = picture.sentence(context("fig_lab", folder)).replace("\u00a0", " ")
    before, after = map(float, re.findall(r"SC-DMD goes from ([.\d]+) to ([.\d]+\d)", said)[0])
    assert after == pytest.approx(before / 2, abs=0.001)
    assert re.search(r"Start stays where it is \(0\.\d{3}\)", said)


def test_the_distances_are_the_means(records):
    frame = pd.read_csv(records / "dmd_0-15.csv.gz")
    rows = frame.query("method == 'dmd_8' and metric == 'sliced_w1' and solver == 'cm'").groupby("nfe")["value"].mean()
    assert f"DMD-8 goes from {rows[4]:.3f} to {rows[16]:.3f}" in picture.sentence(context("fig_lab", records))


def test_the_best_weight_is_named(changed):
    folder, edit = changed
    said = sweep.sentence(context("fig_lab_lambda", folder)).replace("\u00a0", " ")
    assert re.match(r"8 Euler steps come closest to the truth at λ = 0.3 \(\d+ % closer than at λ = 0\)", said)
    edit("lambda_0-15.csv.gz", lambda frame: frame.assign(value=frame["value"] * 9))
    edit("sc_0-15.csv.gz", lambda f: f.assign(value=f["value"] * 9))
    assert "at no λ but 0" in sweep.sentence(context("fig_lab_lambda", folder)).replace("\u00a0", " ")


def test_comparisons_are_counted(records):
    said = failures.sentence(context("fig_lab_map", records))
    total, better, worse, rest = map(int, re.findall(r"\b\d+\b", said))
    spec = load_lab_figures(load_arms()).fig_lab_map
    assert total == sum(len(factor.pairs) for factor in spec.factors) == better + worse + rest
    assert better
    assert worse
    assert rest


def test_the_last_chunk_is_compared(changed):
    folder, edit = changed
    assert "not measurably" in chain.sentence(context("fig_lab_chain", folder))
    edit("chain_0-15.csv.gz", lambda f: f.assign(value=f["value"] * (1 - 0.5 * (f["method"] == "salt"))))
    said = chain.sentence(context("fig_lab_chain", folder)).replace("\u00a0", " ")
    assert re.fullmatch(r"At chunk 8, Salt is \d+ % closer to the truth than K = 4\.", said)


def test_the_footnote_names_seeds_samples_commit_and_the_lost(records):
    told = " ".join(context("fig_lab_map", records).footnote("Said").split())
    assert "phase explore: training seeds 0-15; 2048 samples a number" in told
    assert "commit 0123456." in told
    assert "Diverged and left out: DMD-8, guidance 4 (1)." in told


def test_without_git_the_commit_is_unknown(changed):
    folder, _ = changed
    for path in folder.glob("*.json"):
        tell(path, commit=None, dirty=None)
    assert "commit unknown." in context("fig_lab", folder).footnote("Said")


# ------------------------------------------------------------------------------------------- what is missing
def test_an_arm_without_records_is_an_error(changed):
    folder, edit = changed
    edit("dmd_0-15.csv.gz", without("dmd_8"))
    with pytest.raises(SaltError, match=r"dmd_0-15\.csv\.gz: nothing measured of arm dmd_8 \(set dmd\)"):
        picture.sentence(context("fig_lab", folder))


def test_lost_members_are_left_out_also_of_pairs(changed):
    """With all that was measured of them before; members of other arms stay."""
    folder, edit = changed
    tell(folder / "dmd_0-15.json", lost={"dmd_8": [0, 1, 2]})
    lab = context("fig_lab", folder)
    assert list(lab.values("dmd_8", "sliced_w1", solver="cm", nfe=4).index) == list(range(3, 16))
    assert list(lab.values("sc_dmd", "sliced_w1", solver="cm", nfe=4).index) == list(range(16))
    said = picture.sentence(lab), failures.sentence(context("fig_lab_map", folder))
    edit("dmd_0-15.csv.gz", lambda frame: frame[(frame["method"] != "dmd_8") | (frame["seed"] > 2)])
    assert said == (picture.sentence(context("fig_lab", folder)), failures.sentence(context("fig_lab_map", folder)))


@pytest.mark.parametrize(
    ("name", "change", "figure", "told"),
    [
        ("dmd_0-15.csv.gz", lambda f: f[f["metric"] != "sliced_w1"], "fig_lab", "nothing measured of .* in sliced_w1"),
        ("dmd_0-15.csv.gz", lambda f: pd.concat([f, f]), "fig_lab", "method=dmd_8 .* seed=0 .*: measured twice"),
        ("dmd_0-15.csv.gz", lambda f: f.drop(columns="n"), "fig_lab", "no column n; accepted: method, experiment"),
        ("dmd_0-15.csv.gz", lambda f: f[f["seed"] > 2], "fig_lab", "dmd_8: seed 0 is not there, and not among"),
        ("dmd_0-15.csv.gz", lambda f: f.assign(n=64), "fig_lab", "start, dmd, sc: n = 64 and 2048; accepted: the same"),
        ("dmd_0-15.csv.gz", lambda f: f.assign(protocol="x"), "fig_lab", "mixture: measured under different protocols"),
        ("dmd_0-15.csv.gz", lambda f: f[f["solver"] != "euler"], "fig_lab", "no number of euler steps in common"),
        ("controls.csv", lambda f: f.drop(columns="value"), "fig_lab", r"controls\.csv: no column value"),
        ("sc_0-15_clouds.csv.gz", without("sc_dmd"), "fig_lab", "no samples for the panel 'SC-DMD, 4 steps'"),
        ("sc_0-15_clouds.csv.gz", lambda f: f.assign(x="left"), "fig_lab", "method=sc_dmd .*: x = left; accepted: a"),
        ("chain_0-15.csv.gz", lambda f: f[f["cache"] == 0], "fig_lab_chain", "behind no cache that all arms"),
        ("lambda_0-15.csv.gz", lambda f: f[f["metric"] != "defect"], "fig_lab_lambda", "nothing measured of .* defect"),
    ],
)
def test_what_is_missing_is_named(changed, tmp_path, name, change, figure, told):
    folder, edit = changed
    edit(name, change)
    with pytest.raises(SaltError, match=told):
        make_lab_figure(figure, "lab", folder, "explore", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_number_is_of_must_be_said(records):
    with pytest.raises(SaltError, match="dmd_8: sliced_w1 at nfe 4: several of a seed"):
        context("fig_lab", records).values("dmd_8", "sliced_w1", nfe=4)


def test_a_broken_file_is_named(changed, tmp_path):
    folder, _ = changed
    (folder / "dmd_0-15.json").write_text(json.dumps({"commit": "x"}))
    with pytest.raises(SaltError, match=r"dmd_0-15\.json: dirty: missing"):
        make_lab_figure("fig_lab", "lab", folder, "explore", tmp_path / "out")
    (folder / "dmd_0-15.csv.gz").write_bytes(gzip.compress(b"x")[:-9])
    with pytest.raises(SaltError, match=r"dmd_0-15\.csv\.gz: cannot be read"):
        make_lab_figure("fig_lab", "lab", folder, "explore", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "lab", "told"),
    [
        ("fig_lob", "lab", "figure 'fig_lob': not in experiments/lab/figures.yaml; did you mean 'fig_lab'?"),
        ("fig_lab", "smoke", "scale smoke: has no section `exact`; accepted: a scale of the lab"),
        ("fig_lab_chain", "lab_chain", "scale lab_chain: has no chain beside it"),
    ],
)
def test_names_are_checked(records, tmp_path, name, lab, told):
    with pytest.raises(SaltError, match=re.escape(told)):
        make_lab_figure(name, lab, records, "explore", tmp_path)


# --------------------------------------------------------------------------------------------- smaller scales
def test_fewer_steps_and_seeds_are_drawn_as_well(tmp_path):
    """At a smaller scale: what is not measured is replaced by the nearest, and one seed has no interval."""
    folder, arms = tmp_path / "records", load_arms()
    SyntheticLab(folder, (0, 1)).write()
    for path in folder.glob("*_0-1*.csv.gz"):
        frame = pd.read_csv(path)
        frame = frame[frame["nfe"] <= 4]
        (frame if "chunk" not in frame else frame[frame["chunk"] <= 4]).to_csv(path, index=False)
    for name, one in arms.sets.items():
        tell(folder / f"{name}_0-1.json", lost={arm: [1] for arm in one.arms})
    assert "With 4 consistency steps in place of 1" in picture.sentence(context("fig_lab", folder, "lab_smoke"))
    for name in ("fig_lab", "fig_lab_map", "fig_lab_chain", "fig_lab_any_step"):
        make_lab_figure(name, "lab_smoke", folder, "explore", tmp_path / "out")


def test_floors_may_be_absent(changed, tmp_path):
    folder, edit = changed
    edit("controls.csv", without("truth"))
    make_lab_figure("fig_lab", "lab", folder, "explore", tmp_path / "out")


@pytest.mark.parametrize("number", [9, 16])
def test_an_arm_that_mostly_diverged_is_not_drawn(changed, tmp_path, number):
    """Its survivors, if there are any, stand for nothing; the footnote says so."""
    folder, edit = changed
    tell(folder / "lambda_0-15.json", lost={"released_10": list(range(number))})
    edit("lambda_0-15.csv.gz", lambda f: f[(f["method"] != "released_10") | (f["seed"] >= number)])
    lab = context("fig_lab_lambda", folder)
    assert lab.mostly_lost("released_10")
    assert not lab.mostly_lost("released_3")
    drawn = sweep._weights(lab, load_lab_figures(load_arms()).fig_lab_lambda.forms["released"])
    assert [name for _, name in drawn] == ["released_0_03", "released_0_1", "released_0_3", "released_1", "released_3"]
    assert f"released form, lambda 10 ({number}, so not drawn)" in " ".join(lab.footnote("Said").split())
    make_lab_figure("fig_lab_lambda", "lab", folder, "explore", tmp_path / "out")
