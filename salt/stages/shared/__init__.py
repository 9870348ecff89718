"""What several stages need: the networks of a scale, networks by the name of their experiment, records as files."""
