"""Cache-conditioned alignment: the tokens of a weaker rollout keep the relations that a stronger one's tokens have.

Setting: z_low and z_ref are features `(B, F, S, D)` of the low-step rollout and of its higher-step reference: F
frames, S spatial tokens a frame, D channels; R_f is the `(S, S)` matrix of cosines between the tokens of frame f. At
paper scale (F = 21, S = 1560) all R_f of one sample have 51 million entries, so they are made block by block and never
kept: the backward pass makes each block once more.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize, relu
from torch.utils.checkpoint import checkpoint

from salt.flow.shapes import PerSample

Features = Float[Tensor, "B F S D"]
Rows = Float[Tensor, "B R D"]
Tokens = Float[Tensor, "B S D"]
Relations = Float[Tensor, "B R S"]

BLOCK_ROWS = 512
"""Rows of R_f that exist at once."""
SMALLEST_NORM = 1e-6
"""Tokens shorter than this are divided by it; it bounds the gradient of a token that is zero."""


def relations(rows: Rows, tokens: Tokens) -> Relations:
    """Eq. (11): cosines between some tokens of a frame and all of them.

    With all tokens for both it is R_f. A token that is zero has cosine 0 with every token.
    """
    return normalize(rows, dim=-1, eps=SMALLEST_NORM) @ normalize(tokens, dim=-1, eps=SMALLEST_NORM).mT


def alignment_loss(z_low: Features, z_ref: Features, margin: float) -> PerSample:
    """Eq. (12): mean over frames and pairs of tokens of [|R_low - R_ref| - margin]_+, for each sample.

    Args:
        z_low: features of the low-step rollout; they carry the gradient.
        z_ref: features of the reference, a constant here.
        margin: delta, the difference of cosines that costs nothing.
    """
    batch, frames, tokens, _ = z_low.shape
    total = z_low.new_zeros(batch)
    # unbind and split, not indexing: the gradient of an index is a zero tensor of full size, once for each block
    for low, ref in zip(z_low.unbind(1), z_ref.detach().unbind(1), strict=True):
        for low_rows, ref_rows in zip(low.split(BLOCK_ROWS, 1), ref.split(BLOCK_ROWS, 1), strict=True):
            total = total + checkpoint(
                _excess, low_rows, low, ref_rows, ref, margin, use_reentrant=False, preserve_rng_state=False
            )
    return total / (frames * tokens**2)


def _excess(low_rows: Rows, low: Tokens, ref_rows: Rows, ref: Tokens, margin: float) -> PerSample:
    """The sum of one block of rows of one frame."""
    difference = relations(low_rows, low) - relations(ref_rows, ref)
    return relu(difference.abs() - margin).sum((1, 2))
