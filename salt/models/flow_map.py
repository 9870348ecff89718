"""A Wan that is told two times: the one it is at, and the earlier one it goes to (AnyFlow, arXiv 2605.13724).

Symbols: u(x_t, t, s), the mean velocity on the way from t to s <= t, so that x_s = x_t - (t - s) u; u(x_t, t, t) is the
velocity v. AnyFlow writes r for s. The network is diffusers' `AnyFlowTransformer3DModel`: Wan, and beside the embedding
of t one of s, mixed with it at a fixed share. It is imported where it is used, since diffusers takes seconds.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from salt.config.backbone import Backbone
from salt.models.protocol import FirstFrame
from salt.models.wan import WanVelocity, pretrained

ONE, OTHER = "condition_embedder.time_embedder.", "condition_embedder.delta_embedder."


class FlowMapWan(WanVelocity):
    """An unmodified `AnyFlowTransformer3DModel` behind `salt.models.protocol.FlowMapModel`."""

    def forward(
        self, x_t: Tensor, t: Tensor, text: Tensor, *, image: FirstFrame | None = None, s: Tensor | None = None
    ) -> Tensor:
        """`(B, C, T, H, W)`, `(B,)`, `(B, L, D)`, s `(B,)` -> u `(B, C, T, H, W)`; without s the velocity at t."""
        given = {"hidden_states": x_t}
        if image is not None:
            given["hidden_states"] = torch.cat([x_t, image.channels().to(x_t)], dim=1)
            if image.features is not None:
                given["encoder_hidden_states_image"] = image.features.to(x_t)
        given["hidden_states"] = given["hidden_states"].transpose(1, 2)
        frames = x_t.shape[2]
        times = (1000 * each[:, None].expand(-1, frames) for each in (t, t if s is None else s))
        mean: Tensor = self.transformer(
            **given, **dict(zip(("timestep", "r_timestep"), times, strict=True)), encoder_hidden_states=text,
            return_dict=False,
        )[0]  # fmt: skip
        return mean.transpose(1, 2)

    def mean_velocity(self, x_t: Tensor, t: Tensor, s: Tensor, text: Tensor, image: FirstFrame | None = None) -> Tensor:
        """See `salt.models.protocol.FlowMapModel`."""
        found: Tensor = self(x_t, t, text, image=image, s=s)
        return found


def with_second_time(network: WanVelocity, gate: float) -> FlowMapWan:
    """A Wan as a flow map that does not heed s yet: the embedding of s begins as that of t, so u(x_t, t, t) is its v.

    Args:
        network: its weights are copied.
        gate: share of the embedding of s in the mix.
    """
    weights = dict(network.transformer.state_dict())
    weights |= {name.replace(ONE, OTHER): value for name, value in weights.items() if name.startswith(ONE)}
    config: Any = network.transformer.config
    backbone = Backbone.model_validate({key: config[key] for key in Backbone.model_fields})
    made = build_flow_map(backbone, gate)
    made.transformer.load_state_dict(weights)
    return made.to(next(network.parameters()))


def build_flow_map(backbone: Backbone, gate: float) -> FlowMapWan:
    """A network with random weights; torch's random state is left untouched."""
    from diffusers.models.transformers.transformer_anyflow import AnyFlowTransformer3DModel

    arguments = backbone.model_dump()
    arguments.pop("added_kv_proj_dim", None)  # it has the width of the network
    with torch.random.fork_rng(devices=[]):
        return FlowMapWan(AnyFlowTransformer3DModel(**arguments, gate_value=gate))


def load_flow_map(folder: Path, expect: Backbone) -> FlowMapWan:
    """Read a network in diffusers' own format, as float32 whatever dtype it was stored in; errors as `load_wan`."""
    from diffusers.models.transformers.transformer_anyflow import AnyFlowTransformer3DModel

    return FlowMapWan(pretrained(AnyFlowTransformer3DModel, folder, torch.float32, expect))
