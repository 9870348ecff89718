"""From records to tables, figures, claims and the report: no torch."""
