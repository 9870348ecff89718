"""The one training loop, and what makes it safe to kill: checkpoints, lock, signals, provenance."""
