"""The shape of a Wan, as data."""

from pydantic import Field, PositiveInt

from salt.config.base import Section, is_none

LEAST_HEAD = 6
"""Of a head's channels each axis of a clip gets a third, in pairs."""


class Backbone(Section):
    """Arguments of diffusers' WanTransformer3DModel."""

    num_layers: PositiveInt
    """Transformer blocks."""
    num_attention_heads: PositiveInt
    """Heads; the width is num_attention_heads * attention_head_dim."""
    attention_head_dim: PositiveInt
    """Channels of one head; even, for the rotary embedding."""
    ffn_dim: PositiveInt
    """Width of the feed-forward layers."""
    patch_size: tuple[PositiveInt, PositiveInt, PositiveInt] = (1, 2, 2)
    in_channels: PositiveInt = 16
    out_channels: PositiveInt = 16
    text_dim: PositiveInt = 4096
    freq_dim: PositiveInt = 256
    rope_max_seq_len: PositiveInt = 1024
    image_dim: PositiveInt | None = Field(default=None, exclude_if=is_none)
    """Width of an image's features; None: the network takes none."""
    added_kv_proj_dim: PositiveInt | None = Field(default=None, exclude_if=is_none)
    """The network's own width, if it takes features of an image."""

    def check(self, whose: str, latent: tuple[int, int, int, int], text_width: int) -> None:
        """Refuse what diffusers would find out when the network is built, or not at all.

        Args:
            whose: the section's key, for messages.
            latent: `(C, T, h, w)` of a clip.
            text_width: of the text encoder's embeddings.

        Raises:
            ValueError: lengths that do not fit together.
        """
        (_, frames, *sides), (deep, *patch) = latent, self.patch_size
        if deep != 1 or any(side % part for side, part in zip(sides, patch, strict=True)):
            raise ValueError(
                f"{whose}.patch_size={list(self.patch_size)}: accepted: 1 latent frame, and divisors of {sides}"
            )
        if self.attention_head_dim % 2 or self.attention_head_dim < LEAST_HEAD:
            raise ValueError(
                f"{whose}.attention_head_dim={self.attention_head_dim}: accepted: an even number from {LEAST_HEAD} on, "
                "for a rotary embedding of three axes"
            )
        if self.freq_dim % 2:
            raise ValueError(f"{whose}.freq_dim={self.freq_dim}: accepted: an even number, for sines and cosines")
        if self.text_dim != text_width:
            raise ValueError(f"{whose}.text_dim={self.text_dim}: accepted: {text_width}, as text.d_model says")
        longest = max(frames, *(side // part for side, part in zip(sides, patch, strict=True)))
        if self.rope_max_seq_len < longest:
            raise ValueError(
                f"{whose}.rope_max_seq_len={self.rope_max_seq_len}: accepted: {longest} or more, the tokens along the "
                "longest axis of a clip"
            )


NO_WAN = Backbone(num_layers=1, num_attention_heads=1, attention_head_dim=2, ffn_dim=1)
"""In a scale whose networks are no Wan."""
