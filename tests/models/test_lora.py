"""A LoRA merged into a network: every naming on either base, every part, compared with the sums written out."""

import itertools
import json

import pytest
import torch
from safetensors.torch import save_file

from salt.errors import SaltError
from salt.models.lora import merge_lora
from salt.models.names import to_diffusers, to_original
from salt.models.wan import build_wan
from support.backbones import backbone

MODULES = {"original": "blocks.1.cross_attn.o", "diffusers": "blocks.1.attn2.to_out.0"}
MODULE = MODULES["original"]
PEFT, KOHYA = ("lora_A", "lora_B"), ("lora_down", "lora_up")


@pytest.fixture(scope="module")
def bases():
    """One network under both names."""
    diffusers = dict(build_wan(backbone(), seed=3).transformer.state_dict())
    return {"diffusers": diffusers, "original": {to_original(name): value for name, value in diffusers.items()}}


@pytest.fixture
def original(bases):
    return bases["original"]


def pair(rank, names=PEFT, prefix="base_model.model.", middle="", module=MODULE):
    torch.manual_seed(0)
    down, up = torch.randn(rank, 24), torch.randn(24, rank)
    return {f"{prefix}{module}.{n}{middle}.weight": v for n, v in zip(names, (down, up), strict=True)}, up @ down


def changed(base, merged, name, by):
    """Whether nothing but one weight has changed, and that by so much."""
    assert [each for each in base if not torch.equal(merged[each], base[each])] == [name]
    torch.testing.assert_close(merged[name], base[name] + by)


# ------------------------------------------------------------------------------------------------ names
PREFIXES = ("", "model.", "base_model.model.", "transformer.", "diffusion_model.", "pipe.dit.", "transformer.model.")


@pytest.mark.parametrize(("base", "names"), itertools.product(MODULES, MODULES))
@pytest.mark.parametrize("prefix", PREFIXES)
def test_either_names_under_every_prefix_on_either_base(tmp_path, bases, base, names, prefix):
    lora, product = pair(3, prefix=prefix, module=MODULES[names])
    torch.save(lora, tmp_path / "lora.pt")
    merged = merge_lora(bases[base], tmp_path / "lora.pt")
    changed(bases[base], merged, f"{MODULES[base]}.weight", product)


@pytest.mark.parametrize(("base", "names"), itertools.product(MODULES, MODULES))
@pytest.mark.parametrize("prefix", ["lora_unet_", "lora_unet__"])
def test_kohyas_names_on_either_base(tmp_path, bases, base, names, prefix):
    lora, product = pair(2, KOHYA, "", module=prefix + MODULES[names].replace(".", "_"))
    alpha = {f"{prefix}{MODULES[names].replace('.', '_')}.alpha": torch.tensor(1.0)}
    save_file(lora | alpha, tmp_path / "lora.safetensors")
    merged = merge_lora(bases[base], tmp_path / "lora.safetensors")
    changed(bases[base], merged, f"{MODULES[base]}.weight", product / 2)


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"prefix": "model."},
        {"middle": ".default"},
        {"names": KOHYA, "prefix": "diffusion_model."},
    ],
)
@pytest.mark.parametrize("held", [True, False])
def test_a_lora_is_merged(tmp_path, original, style, held):
    lora, product = pair(3, **style)
    torch.save({"generator_lora": lora} if held else lora, tmp_path / "lora.pt")
    changed(original, merge_lora(original, tmp_path / "lora.pt"), f"{MODULE}.weight", product)


def test_every_weight_can_be_named(tmp_path, bases):
    """By both names, and flat: none is taken for another."""
    for base, translate in (("original", to_diffusers), ("diffusers", to_original)):
        for name in bases[base]:
            stem, _, kind = translate(name).rpartition(".")
            key = {"weight": f"{stem}.diff", "bias": f"{stem}.diff_b"}.get(kind, f"{translate(name)}.diff")
            added = torch.ones_like(bases[base][name])
            torch.save({f"lora_unet_{key.replace('.', '_', key.count('.') - 1)}": added}, tmp_path / "lora.pt")
            changed(bases[base], merge_lora(bases[base], tmp_path / "lora.pt"), name, added)


# ------------------------------------------------------------------------------------------------ parts
def test_alpha_scales_and_differences_are_added(tmp_path, original):
    lora, product = pair(4)
    lora |= {f"{MODULE}.alpha": torch.tensor(2.0), f"{MODULE}.diff_b": torch.ones(24)}
    lora["blocks.0.self_attn.norm_q.diff"] = torch.ones(24)
    torch.save(lora, tmp_path / "lora.pt")
    merged = merge_lora(original, tmp_path / "lora.pt")
    torch.testing.assert_close(merged[f"{MODULE}.weight"], original[f"{MODULE}.weight"] + product / 2)
    torch.testing.assert_close(merged[f"{MODULE}.bias"], original[f"{MODULE}.bias"] + 1)
    name = "blocks.0.self_attn.norm_q.weight"
    torch.testing.assert_close(merged[name], original[name] + 1)


@pytest.mark.parametrize("base", MODULES)
@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("diffusion_model.blocks.1.diff_m", ("blocks.1.modulation", "blocks.1.scale_shift_table")),
        ("diffusion_model.head.diff_m", ("head.modulation", "scale_shift_table")),
        ("lora_unet_blocks_0.diff_m", ("blocks.0.modulation", "blocks.0.scale_shift_table")),
        ("blocks.0.modulation.diff", ("blocks.0.modulation", "blocks.0.scale_shift_table")),
    ],
)
def test_differences_of_modulations_as_lightx2v_has_them(tmp_path, bases, base, key, names):
    name = names[base == "diffusers"]
    added = torch.rand_like(bases[base][name])
    save_file({key: added}, tmp_path / "lora.safetensors")
    changed(bases[base], merge_lora(bases[base], tmp_path / "lora.safetensors"), name, added)


def test_a_difference_and_a_pair_of_one_weight_add_up(tmp_path, original):
    lora, product = pair(3)
    torch.save(lora | {f"{MODULE}.diff": torch.ones(24, 24)}, tmp_path / "lora.pt")
    changed(original, merge_lora(original, tmp_path / "lora.pt"), f"{MODULE}.weight", product + 1)


def test_a_bias_of_b_is_scaled_as_its_weights_are(tmp_path, original):
    """PEFT: alpha / r of (B A x + b)."""
    lora, product = pair(4)
    lora |= {f"{MODULE}.lora_B.bias": torch.arange(24.0), f"{MODULE}.alpha": torch.tensor(2)}
    torch.save(lora, tmp_path / "lora.pt")
    merged = merge_lora(original, tmp_path / "lora.pt")
    torch.testing.assert_close(merged[f"{MODULE}.weight"], original[f"{MODULE}.weight"] + product / 2)
    torch.testing.assert_close(merged[f"{MODULE}.bias"], original[f"{MODULE}.bias"] + torch.arange(24.0) / 2)


def test_a_pair_of_a_convolution(tmp_path, original):
    name = "patch_embedding.weight"
    out, *rest = original[name].shape
    down, up = torch.randn(2, *rest), torch.randn(out, 2, 1, 1, 1)
    torch.save({"patch_embedding.lora_A.weight": down, "patch_embedding.lora_B.weight": up}, tmp_path / "lora.pt")
    by = torch.einsum("or,ricdk->oicdk", up[..., 0, 0, 0], down)
    changed(original, merge_lora(original, tmp_path / "lora.pt"), name, by)


# ------------------------------------------------------------------------------------------------ alpha
@pytest.mark.parametrize("alpha", [torch.tensor(6), torch.tensor([6.0]), torch.tensor(6, dtype=torch.bfloat16), 6, 6.0])
def test_alpha_is_one_number_of_any_type(tmp_path, original, alpha):
    lora, product = pair(3)
    torch.save(lora | {f"{MODULE}.alpha": alpha}, tmp_path / "lora.pt")
    changed(original, merge_lora(original, tmp_path / "lora.pt"), f"{MODULE}.weight", 2 * product)


def with_settings(folder, lora, **settings):
    save_file(lora, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": 3} | settings))
    return folder


def test_alpha_of_pefts_settings(tmp_path, original):
    lora, product = pair(3)
    folder = with_settings(tmp_path, lora, lora_alpha=6)
    for path in (folder, folder / "adapter_model.safetensors"):
        changed(original, merge_lora(original, path), f"{MODULE}.weight", 2 * product)
    head = {"lora_adapter_metadata": json.dumps({"transformer.r": 3, "transformer.lora_alpha": 6})}
    save_file(lora, tmp_path / "pytorch_lora_weights.safetensors", head)
    merged = merge_lora(original, tmp_path / "pytorch_lora_weights.safetensors")
    changed(original, merged, f"{MODULE}.weight", 2 * product)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_rslora": True}, "use_rslora=True; a LoRA without it is accepted"),
        ({"use_dora": True}, "use_dora=True"),
        ({"alpha_pattern": {"q": 3}}, "alpha_pattern="),
        ({"lora_alpha": "six"}, "lora_alpha=six; a number is expected"),
        ({"lora_alpha": float("nan")}, "lora_alpha=nan"),
        ({"lora_alpha": [1]}, "lora_alpha="),
    ],
)
def test_settings_that_are_not_followed_are_refused(tmp_path, original, settings, message):
    folder = with_settings(tmp_path, pair(3)[0], **settings)
    with pytest.raises(SaltError, match=message):
        merge_lora(original, folder)


# ---------------------------------------------------------------------------------------------- refused
DOWN, UP = f"base_model.model.{MODULE}.lora_A.weight", f"base_model.model.{MODULE}.lora_B.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lora: lora.popitem(), "half of a pair"),
        (lambda lora: lora.update({"blocks.9.ffn.0.diff": torch.ones(1)}), "blocks.9.ffn.0.*is absent"),
        (lambda lora: lora.update({f"{MODULE}.diff_b": torch.ones(3)}), r"\(3,\) is changed.*\(24,\)"),
        (
            lambda lora: lora.update(foreign=torch.ones(1)),
            "'foreign' is no part of a LoRA; accepted: lora_A",
        ),
        (lambda lora: lora.update({UP: torch.ones(24, 4)}), r"ranks differ: \(3, 24\) and \(24, 4\)"),
        (lambda lora: lora.update({UP: torch.ones(24, 0), DOWN: torch.ones(0, 24)}), "ranks differ"),
        (lambda lora: lora.update({UP: torch.ones(24)}), "ranks differ"),
        (lambda lora: lora.update({UP: torch.ones(())}), "ranks differ"),
        (lambda lora: lora.update({UP: torch.ones(25, 3)}), r"\(25, 24\) is changed.*\(24, 24\)"),
        (lambda lora: lora.update({f"{MODULE}.alpha": torch.ones(3)}), r"alpha' is torch.float32 \(3,\); one number"),
        (lambda lora: lora.update({f"{MODULE}.alpha": "six"}), "alpha' is str; one number is expected"),
        (lambda lora: lora.update({f"{MODULE}.alpha": torch.tensor(float("nan"))}), "alpha' hold NaN"),
        (lambda lora: lora.update({DOWN: torch.full((3, 24), float("inf"))}), "hold NaN or infinity"),
        (
            lambda lora: lora.update({DOWN: torch.ones(3, 24, dtype=torch.int8)}),
            r"is torch.int8 \(3, 24\); a tens",
        ),
        (lambda lora: lora.update({UP: torch.zeros(24, 3)}), "changes nothing"),
        (
            lambda lora: lora.update({f"{MODULE}.lora_A.other.weight": torch.ones(3, 24)}),
            "there twice, of two",
        ),
        (lambda lora: lora.update({f"{MODULE}.lora_magnitude_vector": torch.ones(24)}), "is no part of a LoRA"),
        (lambda lora: lora.update({f"{MODULE}.dora_scale": torch.ones(24)}), "is no part of a LoRA"),
        (lambda lora: lora.clear(), "holds no LoRA"),
        (lambda lora: (lora.clear(), lora.update({f"{MODULE}.alpha": torch.ones(())})), "half of a pair"),
        (lambda lora: lora.update({3: torch.ones(1)}), "3 is a int; names of weights are expected"),
    ],
)
@pytest.mark.parametrize("base", MODULES)
def test_a_lora_of_another_network_is_refused(tmp_path, bases, base, change, message):
    lora, _ = pair(3)
    change(lora)
    torch.save(lora, tmp_path / "lora.pt")
    with pytest.raises(SaltError, match=message) as caught:
        merge_lora(bases[base], tmp_path / "lora.pt")
    assert "\n" not in str(caught.value)
