"""What several stages need: the networks of a scale, networks by name of their experiment, records as files."""
