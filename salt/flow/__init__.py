"""The mathematics of flows: the path, the grids, Euler transport and its samplers, the semigroup law."""
