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
MEANINGS = {
    "energy_distance": "between samples' latents and as many real clips' of the same captions; real clips stay near 0",
    "off_support": "the share of samples that no future of their caption explains, in any likely style",
    "mode_tv": "how far the shares of a caption's futures are from its world's, over samples on the support",
    "place_tv": "the same of starts and headings",
    "speed_tv": "the same of speeds",
    "turn_tv": "the same of what becomes of a turn",
    "style_shift": "how far the mean of styles is from the world's; over-exposure is a shift",
    "style_spread": "the spread of styles over the world's; a small one is loss of variety",
    "style_drift": "how far styles of later windows of a long video are from its first window's",
}
"""Measure -> what it is, in a line."""
RIGHT = {"style_spread": 1.0}
"""Where a measure is right, if that is not 0."""
DRIFT = "style_drift"
"""Of long videos alone."""
HIGH_OF = "@high"
"""`MEASURE@high` of real clips is what 95 of 100 sets of as many real clips stay below."""
WINDOW = "@window"
"""`MEASURE@window0` is of the first window of long videos."""
