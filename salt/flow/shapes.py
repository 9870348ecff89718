"""The shapes of tensors, as types: checked by jaxtyping while the tests run, documentation otherwise.

B is the batch; the same letter is the same number throughout one call.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

State = Float[Tensor, "B *shape"]
"""Whatever flows: latents `(B, C, T, H, W)`, or the states of a closed form."""
PerSample = Float[Tensor, "B"]
Time = float | PerSample
"""One time for the whole batch, or one per sample."""
Flags = Bool[Tensor, "B"]
Places = Int[Tensor, "B"]
"""Indices into a grid."""
UniformPairs = Float[Tensor, "B 2"]
Scalar = Float[Tensor, ""]
