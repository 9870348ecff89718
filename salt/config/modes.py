"""The measures of distributions in `NAME_modes.csv`, as they are written here and read by the report, without torch."""

MEASURES = {
    "energy_distance": "Energy Dist.",
    "off_support": "Off Support",
    "mode_tv": "Mode TV",
    "place_tv": "Place TV",
    "speed_tv": "Speed TV",
    "turn_tv": "Turn TV",
    "style_shift": "Style Shift",
    "style_spread": "Style Spread",
    "style_drift": "Style Drift",
}
"""Measure -> its head in tables. Less is better, but for the spread of styles, which is 1 where it is right."""
RIGHT = {"style_spread": 1.0}
"""Where a measure is right, if that is not 0."""
DRIFT = "style_drift"
"""Of long videos alone."""
HIGH_OF = "@high"
"""`MEASURE@high` of real clips is what 95 of 100 sets of as many real clips stay below."""
WINDOW = "@window"
"""`MEASURE@window0` is of the first window of long videos."""
