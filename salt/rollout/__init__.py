"""How a student makes the samples that objectives look at."""

from salt.rollout.autoregressive import autoregressive, by_chunk, fold_chunks, roll, unfold_chunks
from salt.rollout.sample import Sample, backward_simulation, flow_map_simulation, noised_data

__all__ = [
    "Sample",
    "autoregressive",
    "backward_simulation",
    "by_chunk",
    "flow_map_simulation",
    "fold_chunks",
    "noised_data",
    "roll",
    "unfold_chunks",
]
