"""Columns of the lab's records, as they are written here and read by the report, which knows no torch."""

KEY = ("method", "world", "seed", "updates", "nfe", "solver", "cache", "chunk", "metric")
"""What tells measurements apart."""
COLUMNS = ("method", "experiment", *KEY[1:], "value", "n", "protocol")
"""Of a measurement."""
CLOUD_COLUMNS = ("method", "caption", "solver", "nfe", "x", "y")
"""Of a sample that figures show."""
