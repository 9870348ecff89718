"""The names of Wan's weights: the original ones and diffusers', one table read both ways.

Original: Wan-Video/Wan2.1 and what descends from it (Self-Forcing, CausVid, LongLive, rCM, LightX2V, ...).
Source of the pairs: huggingface/diffusers, scripts/convert_wan_to_diffusers.py.
"""

import re
from collections.abc import Iterable

_NETWORK = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "head.modulation": "scale_shift_table",
    "head.head": "proj_out",
    # Conditioning on images (I2V); the first entry exists only where a last frame is given too (FLF2V).
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
}
_BLOCK = {
    "modulation": "scale_shift_table",
    "norm3": "norm2",  # the one of the three norms that has weights
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "cross_attn.norm_k_img": "attn2.norm_added_k",
    **{
        f"{original}.{part}": f"{ours}.{theirs}"
        for original, ours in (("self_attn", "attn1"), ("cross_attn", "attn2"))
        for part, theirs in (
            ("q", "to_q"),
            ("k", "to_k"),
            ("v", "to_v"),
            ("o", "to_out.0"),
            ("norm_q", "norm_q"),
            ("norm_k", "norm_k"),
        )
    },
}
_NAME = re.compile(r"(?P<block>blocks\.\d+\.)?(?P<module>.+?)(?P<kind>\.(?:weight|bias))?")


def to_diffusers(name: str) -> str | None:
    """`blocks.0.self_attn.q.weight` -> `blocks.0.attn1.to_q.weight`; None: Wan has no such weights."""
    return _renamed(name, _NETWORK, _BLOCK)


def to_original(name: str) -> str | None:
    """`blocks.0.attn1.to_q.weight` -> `blocks.0.self_attn.q.weight`; None: Wan has no such weights."""
    return _renamed(name, *({theirs: ours for ours, theirs in table.items()} for table in (_NETWORK, _BLOCK)))


def is_original(names: Iterable[str]) -> bool:
    """Whether a network's names are the original ones: only diffusers has a `condition_embedder`."""
    return not any(name.startswith("condition_embedder.") for name in names)


def _renamed(name: str, network: dict[str, str], block: dict[str, str]) -> str | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    found = (block if match["block"] else network).get(match["module"])
    return None if found is None else f"{match['block'] or ''}{found}{match['kind'] or ''}"
