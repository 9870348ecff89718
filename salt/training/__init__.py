"""The one training loop, and what makes it safe to kill: checkpoints, lease, signals, provenance."""
