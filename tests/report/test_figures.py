"""Figures are drawn from records and videos, legibly, and the same each time."""

import io
import shutil
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from salt.errors import SaltError
from salt.evaluation.video import read_mp4
from salt.report.figures import DRAW, make_figure
from salt.report.frames import contact_sheet, pick, tile
from salt.report.sheets import typical
from salt.report.style import PLACES, label_ends, save, styled
from salt.report.suite import load_suite


@pytest.mark.parametrize("name", sorted(DRAW))
def test_every_figure_is_drawn(results, images, turning, videos, tmp_path, name):
    scale, made = ("tiny_i2v", images) if load_suite().figures[name].first_frame else ("tiny", results)
    if load_suite().figures[name].exact:
        scale, made = "tiny", turning
    png, pdf = make_figure(name, scale, made / "records", videos, tmp_path, seeds=2)
    assert (png.name, pdf.name) == (f"{name}.png", f"{name}.pdf")
    picture = np.asarray(Image.open(png).convert("RGB"))
    assert 1000 < picture.shape[1] < 1600
    assert (picture != 255).any(axis=2).mean() > 0.02
    assert pdf.read_bytes().startswith(b"%PDF")
    assert not list(tmp_path.glob(".*"))


def test_what_too_few_samples_were_measured_for_is_left_out(turning, tmp_path):
    """As a student that samples nothing on the support at two steps, or at the last number of them."""
    shutil.copytree(turning / "records", tmp_path / "records")
    path = tmp_path / "records" / "sc_dmd_seed0_modes.csv"
    frame = pd.read_csv(path)
    gone = (frame["metric"] == "style_shift") & frame["nfe"].isin([2, 16])
    frame.loc[gone, ["value", "n"]] = [np.nan, 0]
    frame.to_csv(path, index=False)
    png, _ = make_figure("fig_modes", "tiny", tmp_path / "records", tmp_path, tmp_path / "out", seeds=2)
    assert png.exists()


@pytest.mark.parametrize(
    ("shares", "seed"),
    [([0.83, 0.97, 0.93], 2), ([0.8, 0.9, 0.88], 2), ([0.5, 0.5, 0.5], 1), ([0.9, 0.7], 1), ([0.4], 0), ([], 0)],
)
def test_a_sheet_shows_the_seed_in_the_middle(shares, seed):
    assert typical(range(len(shares) or 3), shares) == seed


def test_every_figure_of_the_suite_has_a_drawing():
    assert set(DRAW) == set(load_suite().figures)


@pytest.mark.parametrize("name", ["fig3", "fig5", "figA1"])
def test_the_same_records_give_the_same_bytes(results, videos, tmp_path, name):
    first = make_figure(name, "tiny", results / "records", videos, tmp_path / "a", seeds=1)
    second = make_figure(name, "tiny", results / "records", videos, tmp_path / "b", seeds=1)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_nothing_to_draw_missing_videos_and_unknown_names_are_refused(results, tmp_path):
    with pytest.raises(SaltError, match=r"no defect records for figA1; accepted: dmd_4, dmd_8, sc_dmd"):
        make_figure("figA1", "tiny", tmp_path, tmp_path, tmp_path)
    with pytest.raises(SaltError, match=r"dmd_4_bs/seed0/extended_cm_4/p0000/0.mp4: fig1 shows this video"):
        make_figure("fig1", "tiny", results / "records", tmp_path, tmp_path)
    with pytest.raises(SaltError, match=r"figure 'fig6': .*did you mean"):
        make_figure("fig6", "tiny", results / "records", tmp_path, tmp_path)


def test_the_drawings_of_fig2_need_no_paths(make_records, tmp_path):
    writer = make_records(tmp_path / "records", prompts=8, nfe=(4,))
    writer.folder.mkdir()
    writer.defect("sc_dmd", 0)
    png, _ = make_figure("fig2", "tiny", writer.folder, tmp_path, tmp_path)
    assert Image.open(png).height < 500


def test_caches_without_ground_truth_are_drawn_without_it(make_records, tmp_path, monkeypatch):
    """As `salt caches` writes them where VBench scores: no objects, no real clips."""
    writer = make_records(tmp_path / "records", nfe=(2, 4, 8, 16))
    writer.folder.mkdir()
    writer.caches("causal_forcing", 0)
    path = writer.folder / "causal_forcing_seed0_caches.csv"
    rows = pd.read_csv(path)
    rows[~rows["metric"].str.startswith("objects") & (rows["solver"] != "none")].to_csv(path, index=False)
    png, _ = make_figure("fig_caches", "tiny", writer.folder, tmp_path, tmp_path)
    assert Image.open(png).height < 700
    said = []
    monkeypatch.setattr("salt.report.figures.save", lambda figure, out, name, footnote: said.append(footnote))
    make_figure("fig_caches", "tiny", writer.folder, tmp_path, tmp_path)
    assert "which have no ground truth: frames with their objects, seams of real clips" in said[0].replace("\n", " ")


def test_a_scale_without_meaning_says_so_in_the_figure(make_records, tmp_path, monkeypatch):
    writer = make_records(tmp_path / "records", scale="smoke", prompts=8, nfe=(4,))
    writer.folder.mkdir()
    writer.defect("dmd_4", 0)
    said = []
    monkeypatch.setattr("salt.report.figures.save", lambda figure, out, name, footnote: said.append(footnote))
    make_figure("figA1", "smoke", writer.folder, tmp_path, tmp_path)
    assert said[0].startswith("SMOKE: NUMBERS MEAN NOTHING.")
    assert said[0].replace("\n", " ").endswith("Not run: DMD-8, SC-DMD.")


def test_the_first_middle_and_last_frames_are_picked():
    video = np.arange(17, dtype=np.uint8)[:, None, None, None]
    assert pick(video, 3).ravel().tolist() == [0, 8, 16]
    assert pick(video[:2], 3).ravel().tolist() == [0, 0, 1]


def test_tiles_lie_where_they_should():
    rng = np.random.default_rng(0)
    rows = [[rng.integers(0, 255, (3, 24, 24, 3), dtype=np.uint8) for _ in range(2)] for _ in range(2)]
    picture, centres = tile(rows)
    assert picture.shape == (1 + 2 * 25, 2 * (1 + 3 * 25) + 3, 3)
    assert np.array_equal(picture[1:25, 1:25], rows[0][0][0])
    assert np.array_equal(picture[26:50, 79 + 1 + 50 : 79 + 75], rows[1][1][2])
    assert centres == [38, 117]


def test_labels_at_the_ends_of_lines_do_not_overlap():
    import matplotlib.pyplot as plt

    with styled():
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.set_ylim(0, 1)
        label_ends(axes, [(0.5, "one", "k"), (0.51, "two", "k"), (0.52, "three", "k"), (0.9, "four", "k")], 0.1)
        figure.canvas.draw()
        boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
        assert [text.get_text() for text in axes.texts] == ["one", "two", "three", "four"]
        assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(boxes))


@pytest.mark.parametrize("end", [0.99, 0.01])
def test_labels_stay_beside_the_drawing(end):
    """Where all lines end at its top or bottom, no label lies above or below it."""
    import matplotlib.pyplot as plt

    with styled():
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.set_ylim(0, 1)
        label_ends(axes, [(end, name, "k") for name in ("one", "two", "three", "four")], 0.1)
        figure.canvas.draw()
        places = sorted(text.xy[1] for text in axes.texts)
        assert places[0] >= 0
        assert places[-1] <= 1
        assert min(b - a for a, b in pairwise(places)) >= 0.1 - 1e-9


def test_a_contact_sheet_has_a_row_per_video(videos, tmp_path):
    clips = [read_mp4(path) for path in sorted(videos.glob("dmd_4/seed0/extended_cm_4/*/0.mp4"))]
    contact_sheet(clips, [f"caption {i}" for i in range(4)], tmp_path / "sheet.png", frames=3)
    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())).convert("L"))
    assert picture.shape[0] > 4 * 80
    with pytest.raises(SaltError, match=r"4 videos and 1 captions"):
        contact_sheet(clips, ["one"], tmp_path / "sheet.png")


def test_places_are_rounded(tmp_path):
    """The layout's solver adds in the order of addresses: last digits of places would differ from run to run."""
    import matplotlib.pyplot as plt

    with styled():
        figure = plt.figure(figsize=(4, 3))
        left, right = figure.subfigures(1, 2, width_ratios=(2, 1))
        left.subplots(2, 2)
        right.subplots(3, 1)[0].set_title("a title that takes room")
        save(figure, tmp_path, "figure", "a footnote")
        assert len(figure.axes) == 7
        places = [axes.get_position(original=True).get_points() for axes in figure.axes]
        places += [part.bbox_relative.get_points() for part in (left, right)]
        for points in places:
            assert (points == points.round(PLACES)).all()
        assert not (left.bbox_relative.get_points() == right.bbox_relative.get_points()).all()
