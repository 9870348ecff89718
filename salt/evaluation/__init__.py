"""Cells, protocols, sampling, scoring and diagnostics of trained students."""
