"""Records of a lab in a repository of their own, which `SALT_ROOT` points to and which is no checkout."""

import pytest

from support.lab_records import LabFolder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no_git"))
    made = LabFolder(tmp_path)
    made.write_all()
    return made
