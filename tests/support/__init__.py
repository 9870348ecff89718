"""What tests of several folders share: `from support.tiny import run` (pyproject.toml puts tests/ on pytest's path)."""
