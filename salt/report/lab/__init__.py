"""The lab's results: records of exact worlds, controls, claims and their verdicts, tables and the page."""
