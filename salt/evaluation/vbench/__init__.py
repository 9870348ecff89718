"""VBench: its constants and file layout, and the real one run in its own environment."""
