"""What students are worth in a world of known modes: exact truths, measures, records and controls without training."""
