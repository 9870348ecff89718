"""Errors of the operating system that no verb foresees: one line with path and reason, and exit code 2."""

import errno
import gzip
import os
from pathlib import Path

import pytest

from support.chain import Salt, refused

ERRORS = {
    "/data/a.csv: No space left on device; accepted: a disk with room": OSError(
        errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/a.csv"
    ),
    "No space left on device; accepted: a disk with room": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "/data: Permission denied; accepted: a place that this user may": PermissionError(
        errno.EACCES, os.strerror(errno.EACCES), "/data"
    ),
    "a -> b: Invalid cross-device link": OSError(errno.EXDEV, os.strerror(errno.EXDEV), "a", None, "b"),
    "Not a gzipped file": gzip.BadGzipFile("Not\na gzipped file"),
}


@pytest.mark.parametrize("told", ERRORS)
def test_an_error_that_nobody_foresaw_is_one_line(
    salt: Salt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    def run(*_: object) -> None:
        raise ERRORS[told]

    monkeypatch.setattr("salt.stages.table.run", run)
    refused(salt, ["table", "table4", "--scale", "smoke", "--records", tmp_path, "--out", tmp_path / "out"], told)


def test_an_error_of_the_program_keeps_its_traceback(
    salt: Salt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("salt.stages.table.run", run)
    with pytest.raises(KeyError):
        salt("table", "table4", "--scale", "smoke", "--records", tmp_path, "--out", tmp_path / "out")
