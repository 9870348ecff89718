"""What is measured of a student besides its scores: the semigroup defect (Eq. 16), and what a cache does to it."""
