"""Sampling, scoring, diagnostics and statistics of trained students."""
