"""Results of the lab: records of exact worlds, controls, pre-registered claims and verdicts, tables and the page."""
