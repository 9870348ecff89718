"""A small repository of configuration files, for tests that write some."""

from pathlib import Path

SCALE = """
assets: assets/small
backbone: {num_layers: 1, num_attention_heads: 1, attention_head_dim: 12, ffn_dim: 8, text_dim: 64}
defaults:
  grid: {shift: 3.0}
  train:
    iterations: 5
    batch_size: 4
    optimiser: {lr: 1e-3}
    critic: {optimiser: {lr: 1e-3}}
"""
DMD = """
title: DMD
grid: {steps: 4, train_steps: 8}
objectives: {dmd: {}}
"""


class Repository:
    """Writes files below `experiments/` of a temporary root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> None:
        path = self.root / "experiments" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def small_repository(root: Path) -> Repository:
    """One with the scales `one` and `two` and the experiment `dmd`."""
    made = Repository(root)
    made.write("scales/one.yaml", SCALE)
    made.write("scales/two.yaml", SCALE)
    made.write("dmd.yaml", DMD)
    return made
