"""Videos are scored as those of a model if they are: by their manifest, their bytes and their containers."""

import json
import shutil
from pathlib import Path

import pytest

from salt.evaluation.video import read_mp4
from support.chain import refused
from support.media import flip_a_bit, write_video


@pytest.fixture
def videos(made, tmp_path):
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made.videos, tmp_path / "videos"))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def changed(**values):
    """Another manifest, whose entries are these; None: without the entry."""

    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        known = json.loads(path.read_text()) | values
        path.write_text(json.dumps({key: value for key, value in known.items() if value is not None}))

    return change


def encoded(**settings):
    """The videos of a folder of an older version, which held no hashes, but for one that others encoded."""

    def change(folder: Path) -> None:
        changed(files=None)(folder)
        path = folder / "short_cm_2" / "p0002" / "0.mp4"
        write_video(path, list(read_mp4(path)), **{"rate": 16} | settings)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda folder: (folder / "manifest.json").unlink(),
            "manifest.json: cannot be read: No such file",
        ),
        (lambda folder: cut_short(folder / "manifest.json"), "manifest.json: cannot be read as JSON: Unterminated"),
        (changed(experiment="dmd_4"), "manifest.json: experiment is 'dmd_4'; accepted: 'sc_dmd'"),
        (changed(experiment=3), "manifest.json: experiment: Input should be a valid string"),
        (changed(seed=1), "manifest.json: seed is 1; accepted: 0"),
        (changed(scale="tiny"), "manifest.json: scale is 'tiny'; accepted: 'smoke'"),
        (changed(protocol="0123456789ab"), "manifest.json: protocol is '0123456789ab'; accepted: "),
        (changed(prompts_hash="0123456789ab"), "manifest.json: prompts_hash is '0123456789ab'; accepted: "),
        (changed(cells=["short_cm_2"]), "cells are short_cm_2; accepted: extended_euler_2, extended_cm_2 too"),
        (changed(files={}), "18 of 18 videos are not those that manifest.json names (extended_euler_2/p0000/0.mp4; "),
        (lambda folder: flip_a_bit(folder / "short_cm_2/p0002/0.mp4"), "1 of 18 videos are not those"),
        (encoded(codec="mpeg4"), "short_cm_2/p0002/0.mp4: codec mpeg4, not h264; accepted: "),
        (encoded(container="matroska"), "short_cm_2/p0002/0.mp4: container matroska, not mov; accepted: "),
        (encoded(rate=8), "short_cm_2/p0002/0.mp4: frames a second 8, not 16; accepted: "),
        (encoded(pix_fmt="yuv444p"), "short_cm_2/p0002/0.mp4: pixels yuv444p, not yuv420p; accepted: "),
    ],
)
def test_videos_of_something_else_are_not_scored(salt, made, videos, tmp_path, change, message):
    change(videos)
    out = tmp_path / "records" / "sc_dmd_seed0_scores.csv"
    refused(salt, made.words("score", videos=videos, out=out, details=tmp_path / "details"), videos, message)
    assert not out.exists()


def test_videos_of_an_older_version_are_scored_as_ever(salt, made, videos, tmp_path):
    changed(files=None)(videos)
    out = tmp_path / "records" / "sc_dmd_seed0_scores.csv"
    assert salt(*made.words("score", videos=videos, out=out, details=tmp_path / "details")).code == 0
    assert out.read_bytes() == (made.records / "sc_dmd_seed0_scores.csv").read_bytes()
