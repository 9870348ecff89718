"""The report: one HTML file of a scale, or of the lab, that needs nothing beside it."""
