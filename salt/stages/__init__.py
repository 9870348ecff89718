"""What each rule of the workflow does: one file per rule, under its name; the only place that picks concrete models.

`salt/cli` parses a verb's arguments and calls `run` of the file of that name; `shared/` holds what several rules need.
"""
