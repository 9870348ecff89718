"""Which modes of the world a student's samples are of, in which style, and how far that is from the truth."""
