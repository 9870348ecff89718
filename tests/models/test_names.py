"""The two names of every weight of Wan, at its real sizes and against diffusers' own conversion."""

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from salt.models.names import is_original, to_diffusers, to_original

SIZES = {  # Wan-Video/Wan2.1@9737cba, wan/configs; parameters counted by diffusers' own class
    "T2V-1.3B": (dict(num_layers=30, num_attention_heads=12, ffn_dim=8960), 1_418_996_800, 825),
    "T2V-14B": (dict(num_layers=40, num_attention_heads=40, ffn_dim=13824), 14_288_491_584, 1095),
    "I2V-14B": (
        dict(num_layers=40, num_attention_heads=40, ffn_dim=13824, in_channels=36, image_dim=1280)
        | {"added_kv_proj_dim": 5120},
        16_394_878_784,
        1303,
    ),
}


@pytest.fixture(scope="module", params=SIZES)
def sized(request):
    values, parameters, names = SIZES[request.param]
    with torch.device("meta"):
        model = WanTransformer3DModel(**values)
    assert (sum(p.numel() for p in model.parameters()), len(model.state_dict())) == (parameters, names)
    return model.state_dict()


def test_every_name_has_its_own_original_and_comes_back(sized):
    original = [to_original(name) for name in sized]
    assert None not in original
    assert len(set(original)) == len(sized)
    assert [to_diffusers(name) for name in original] == list(sized)
    assert is_original(original)
    assert not is_original(sized)


def test_originals_are_those_that_diffusers_converts(sized):
    converted = convert_wan_transformer_to_diffusers({to_original(name): value for name, value in sized.items()})
    assert {name: value.shape for name, value in converted.items()} == {n: v.shape for n, v in sized.items()}


@pytest.mark.parametrize(
    ("ours", "original"),
    [
        ("scale_shift_table", "head.modulation"),
        ("blocks.11.scale_shift_table", "blocks.11.modulation"),
        ("blocks.0.norm2.weight", "blocks.0.norm3.weight"),
        ("blocks.2.attn2.add_v_proj.bias", "blocks.2.cross_attn.v_img.bias"),
        ("condition_embedder.time_proj.weight", "time_projection.1.weight"),
        ("condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"),
    ],
)
def test_some_names_by_hand(ours, original):
    assert to_original(ours) == original
    assert to_diffusers(original) == ours


@pytest.mark.parametrize("name", ["", "blocks.0", "blocks.x.attn1.to_q.weight", "blocks.0.attn3.to_q.weight", "vae.w"])
def test_foreign_names_have_none(name):
    assert to_diffusers(name) is None
    assert to_original(name) is None
