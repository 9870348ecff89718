"""The Wan wrapper against diffusers itself, and its folders under every kind of damage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import load_file, save_file

from salt.errors import SaltError
from salt.models.wan import WEIGHTS, WanVelocity, build_wan, load_wan, save_wan
from support.backbones import backbone

BACKBONE = backbone(num_layers=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_wan(build_wan(BACKBONE, seed=3), tmp_path / "wan")
    return tmp_path / "wan"


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_velocity_is_diffusers_output_at_1000_t(folder: Path) -> None:
    model, theirs = load_wan(folder), WanTransformer3DModel.from_pretrained(folder)
    x_t, t, text = torch.randn(2, 2, 2, 3, 3), torch.tensor([0.25, 1.0]), torch.randn(2, 3, 4)
    expected = theirs(x_t, torch.tensor([250.0, 1000.0]), text).sample
    assert torch.equal(model(x_t, t, text), expected)
    assert expected.shape == x_t.shape


def test_initialisation_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = build_wan(BACKBONE, seed=5)
    after_build = torch.rand(3)
    torch.manual_seed(2)
    assert same_weights(first, build_wan(BACKBONE, seed=5))
    assert not same_weights(first, build_wan(BACKBONE, seed=6))
    torch.manual_seed(1)
    assert torch.equal(after_build, torch.rand(3)), "build_wan moved torch's global random state"


def test_round_trip_is_exact(folder: Path) -> None:
    assert same_weights(load_wan(folder, expect=BACKBONE), build_wan(BACKBONE, seed=3))


def test_bfloat16_storage_halves_the_file_and_loads_as_float32(folder: Path, tmp_path: Path) -> None:
    model = build_wan(BACKBONE, seed=3)
    save_wan(model, tmp_path / "half", torch.bfloat16)
    assert next(model.parameters()).dtype is torch.float32
    loaded = load_wan(tmp_path / "half", expect=BACKBONE)
    for stored, original in zip(loaded.parameters(), model.parameters(), strict=True):
        assert stored.dtype is torch.float32
        assert torch.equal(stored, original.to(torch.bfloat16).float())
    assert (tmp_path / "half" / WEIGHTS).stat().st_size < 0.6 * (folder / WEIGHTS).stat().st_size


def test_saving_replaces_a_folder_as_a_whole(folder: Path) -> None:
    (folder / "left.txt").write_text("from before")
    save_wan(build_wan(BACKBONE, seed=4), folder)
    assert same_weights(load_wan(folder), build_wan(BACKBONE, seed=4))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", WEIGHTS]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_folder_does_not_say_where_its_network_was_read_from(folder: Path, tmp_path: Path) -> None:
    """What is saved again is the same bytes, wherever it lay; so one training has one hash on any machine."""
    again = tmp_path / "again"
    save_wan(load_wan(folder), again)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    assert str(tmp_path) not in (again / "config.json").read_text()


def test_a_failed_save_leaves_the_old_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WanTransformer3DModel, "save_pretrained", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        save_wan(build_wan(BACKBONE, seed=4), folder)
    assert same_weights(load_wan(folder), build_wan(BACKBONE, seed=3))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def cut(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def rewrite(folder: Path, **tensors: torch.Tensor | None) -> None:
    state = load_file(folder / WEIGHTS) | {key.replace("__", "."): value for key, value in tensors.items()}
    save_file({key: value for key, value in state.items() if value is not None}, folder / WEIGHTS)


def reconfigure(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


DAMAGES = {
    "truncated": (cut, WEIGHTS),
    "no safetensors": (lambda folder: (folder / WEIGHTS).write_bytes(b"junk"), WEIGHTS),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "weights in .safetensors are expected; there is none"),
    "missing key": (lambda folder: rewrite(folder, proj_out__bias=None), "missing weights 'proj_out.bias'"),
    "unexpected key": (lambda folder: rewrite(folder, extra=torch.zeros(1)), "unexpected weights 'extra'"),
    "wrong shape": (lambda folder: rewrite(folder, proj_out__bias=torch.zeros(7)), "proj_out.bias"),
    "nan": (lambda folder: rewrite(folder, proj_out__bias=torch.full((2,), torch.nan)), "'proj_out.bias' hold NaN"),
    "infinity": (lambda folder: rewrite(folder, proj_out__bias=torch.tensor([0.0, torch.inf])), "infinity"),
    "other backbone": (
        lambda folder: reconfigure(folder, ffn_dim=48),
        "ffn_dim=48, but the scale's backbone has ffn_dim=24",
    ),
    "other class": (lambda folder: reconfigure(folder, _class_name="UNet"), "WanTransformer3DModel is expected"),
    "no answer": (
        lambda folder: rewrite(folder, proj_out__weight=torch.zeros(2, 24), proj_out__bias=torch.zeros(2)),
        "its velocities are all the same",
    ),
    "overflow": (
        lambda folder: rewrite(folder, proj_out__weight=torch.full((2, 24), 3e38)),
        "its velocities are not finite",
    ),
    "index beside": (
        lambda folder: (folder / f"{WEIGHTS}.index.json").write_text(f'{{"weight_map": {{"a": "{WEIGHTS}"}}}}'),
        "one of them is expected",
    ),
    "index elsewhere": (
        lambda folder: (folder / f"{WEIGHTS}.index.json").write_text('{"weight_map": {"a": "../w.safetensors"}}'),
        "is not the name of a file beside the index",
    ),
    "no json": (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
    "json of no object": (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_one_line(folder: Path, damage: str, capfd: pytest.CaptureFixture[str]) -> None:
    break_it, expected = DAMAGES[damage]
    break_it(folder)
    with pytest.raises(SaltError) as caught:
        load_wan(folder, expect=BACKBONE)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert expected in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SaltError, match="nowhere"):
        load_wan(tmp_path / "nowhere")


def test_importing_the_module_does_not_import_diffusers() -> None:
    code = "import sys, salt.models.wan; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ------------------------------------------------------------------------------------------------ features
@pytest.fixture
def deep() -> WanVelocity:
    return build_wan(BACKBONE.model_copy(update={"num_layers": 3}), seed=3)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_t, text = torch.randn(2, 2, 3, 4, 4, generator=generator), torch.randn(2, 3, 4, generator=generator)
    return x_t, torch.tensor([0.2, 0.9]), text


def outputs(model: WanVelocity) -> list[list[torch.Tensor]]:
    """What every block gives out in each of its calls from now on."""
    blocks = list(model.transformer.blocks)
    seen: list[list[torch.Tensor]] = [[] for _ in blocks]
    for block, calls in zip(blocks, seen, strict=True):
        block.register_forward_hook(lambda module, args, out, calls=calls: calls.append(out))
    return seen


@pytest.mark.parametrize("blocks", [[0], [1], [2], [0, 2], [2, 1]])
def test_features_are_what_blocks_give_out_and_later_blocks_rest(deep: WanVelocity, blocks: list[int]) -> None:
    seen, given = outputs(deep), inputs()
    before = deep(*given)
    features = deep.features(*given, blocks)
    assert [each.shape for each in features] == [(2, 3, 16, 24)] * len(blocks)
    assert (deep.width, deep.depth) == (24, 3)
    for block, each in zip(blocks, features, strict=True):
        assert torch.equal(each.flatten(1, 2), seen[block][0])
    assert [len(calls) for calls in seen] == [2 if i <= max(blocks) else 1 for i in range(3)]
    assert torch.equal(deep(*given), before), "all blocks are back"
    assert [len(calls) for calls in seen] == [3 if i <= max(blocks) else 2 for i in range(3)]
    assert [len(block._forward_hooks) for block in deep.transformer.blocks] == [1] * 3, "none but those of this test"


def test_features_of_a_frame_are_where_its_tokens_are(deep: WanVelocity) -> None:
    """A changed pixel changes the features at its own frame and place most."""
    x_t, t, text = inputs()
    changed = x_t.clone()
    changed[:, :, 2, 1, 3] += 1
    change = (deep.features(changed, t, text, [0])[0] - deep.features(x_t, t, text, [0])[0]).norm(dim=-1)
    assert change.flatten(1).argmax(1).tolist() == [2 * 16 + 1 * 4 + 3] * 2


def test_features_carry_the_gradient_to_the_latents(deep: WanVelocity) -> None:
    x_t, t, text = inputs()
    deep.features(x_t.requires_grad_(), t, text, [1])[0].square().sum().backward()
    assert x_t.grad is not None
    assert x_t.grad.abs().amin((1, 3, 4)).min() > 0, "every frame"
    reached = [parameter.grad is not None for parameter in deep.transformer.blocks.parameters()]
    number = len(list(deep.transformer.blocks[0].parameters()))
    assert reached == [True] * 2 * number + [False] * number


def test_a_broken_call_leaves_the_network_whole(deep: WanVelocity) -> None:
    x_t, t, text = inputs()
    with pytest.raises(RuntimeError):
        deep.features(x_t, t, text[..., :2], [0])
    assert len(deep.transformer.blocks) == 3
    assert not deep.transformer.blocks[0]._forward_hooks
