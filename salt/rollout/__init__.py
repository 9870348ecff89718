"""How a student makes the samples that objectives look at."""

from salt.rollout.sample import Sample, backward_simulation, noised_data

__all__ = ["Sample", "backward_simulation", "noised_data"]
