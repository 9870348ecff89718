"""A small repository of its own for every test that writes configuration files."""

import pytest

from support.repository import small_repository


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The small repository, which `SALT_ROOT` points to."""
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    return small_repository(tmp_path)
