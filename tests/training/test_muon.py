"""Muon in bfloat16 and in float32: which is taken where, that both step along the same directions, and who says so."""

import json
from pathlib import Path

import pytest
import torch
from torch.optim import _muon as theirs

from salt.errors import SaltError
from salt.training import muon
from salt.training.muon import Muon, fast_precision, orthogonalised
from salt.training.provenance import is_complete
from support.tiny import OPTIMISER, Clips, experiment, metrics_of, run, teacher_experiment

SHAPES = [(24, 24), (48, 24), (24, 96), (1, 8)]
NEWTON = (theirs.DEFAULT_A, theirs.DEFAULT_B, theirs.DEFAULT_C), theirs.DEFAULT_NS_STEPS, theirs.EPS
X86 = {"architecture": "x86_64", "avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}
CPUS = [
    (X86, "float32"),
    (X86 | {"avx512_bf16": True}, "bfloat16"),
    (X86 | {"amx_bf16": True}, "bfloat16"),
    ({"architecture": "arm64", "neon": True, "bf16": False}, "float32"),
    ({"architecture": "arm64", "neon": True, "bf16": True}, "bfloat16"),
    ({"architecture": "arm64", "neon": True, "bf16": False, "sve_bf16": True}, "bfloat16"),
    ({"architecture": "unknown"}, "float32"),
]


def trained_with_muon(**changes):
    return teacher_experiment(train__optimiser=OPTIMISER | {"muon_lr": 1e-2}, **changes)


def on_cpu(monkeypatch, precision):
    """As if this machine had, or had not, instructions for bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: X86 | {"avx512_bf16": precision == "bfloat16"})


def matrix(shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stepped(optimiser_of, shape, steps=3, **attributes):
    """A matrix after some updates."""
    parameter = torch.nn.Parameter(matrix(shape))
    optimiser = optimiser_of([parameter])
    for name, value in attributes.items():
        setattr(optimiser, name, value)
    for seed in range(1, steps + 1):
        parameter.grad = matrix(shape, seed)
        optimiser.step()
    return parameter.detach()


def ours(parameters):
    return Muon(parameters, 1e-2, 0.1)


def of_torch(parameters):
    return torch.optim.Muon(parameters, 1e-2, weight_decay=0.1)


@pytest.mark.parametrize(("capabilities", "precision"), CPUS)
def test_the_precision_follows_the_cpu(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fast_precision(torch.device("cpu")) == precision
    assert fast_precision(torch.device("cuda")) == "bfloat16"
    assert ours([torch.nn.Parameter(matrix((2, 2)))]).precision == precision


def test_torch_still_answers_what_it_is_asked():
    """Where it names no capability, every CPU would be taken for one without bfloat16."""
    asked = torch.cpu.get_capabilities()
    assert {"architecture"} < set(asked)
    assert asked["architecture"] != "x86_64" or {"avx512_bf16", "amx_bf16"} <= set(asked)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_an_update_is_orthogonal_in_either_precision(shape, precision):
    before = matrix(shape)
    after = stepped(lambda parameters: Muon(parameters, 1e-2, 0.0), shape, 1, precision=precision)
    scale = 1e-2 * max(1, shape[0] / shape[1]) ** 0.5
    values = torch.linalg.svdvals((before - after) / scale)
    assert values.max() < 1.3
    assert values.min() > (0.1 if min(shape) > 1 else 0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_bfloat16_it_is_torch_bit_for_bit(shape):
    assert torch.equal(stepped(ours, shape, precision="bfloat16"), stepped(of_torch, shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_in_float32_it_is_torch_with_another_rounding(monkeypatch, shape):
    """The iteration is torch's, bit for bit in bfloat16; the rest of the step, where torch is given the iteration."""
    low = matrix(shape).bfloat16()
    assert torch.equal(orthogonalised(low, *NEWTON), theirs._zeropower_via_newtonschulz(low, *NEWTON))
    found = stepped(ours, shape, precision="float32")
    torch.testing.assert_close(found, stepped(of_torch, shape), rtol=0, atol=2e-3)
    monkeypatch.setattr(theirs, "_zeropower_via_newtonschulz", orthogonalised)
    torch.testing.assert_close(found, stepped(of_torch, shape))


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_the_provenance_says_which(tmp_path, monkeypatch, precision):
    on_cpu(monkeypatch, precision)
    setting = trained_with_muon()
    run(setting, tmp_path)
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["muon_precision"] == precision
    assert is_complete(tmp_path / "out", setting, 0)


def test_without_muon_nothing_is_said_and_the_cpu_does_not_matter(tmp_path, monkeypatch):
    for precision in ("bfloat16", "float32"):
        on_cpu(monkeypatch, precision)
        run(experiment(), tmp_path / precision)
        assert "muon_precision" not in json.loads((tmp_path / precision / "out" / "provenance.json").read_text())
        (saved,) = (tmp_path / precision / "run" / "checkpoints").glob("step_000004/state.json")
        assert "muon_precision" not in json.loads(saved.read_text())
    assert metrics_of(tmp_path / "bfloat16") == metrics_of(tmp_path / "float32")
    one, other = (weights_of(tmp_path / precision) for precision in ("bfloat16", "float32"))
    assert one == other


def weights_of(folder: Path) -> bytes:
    (path,) = (folder / "out").glob("*.safetensors")
    return path.read_bytes()


@pytest.mark.parametrize(("began", "elsewhere"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_run_keeps_the_precision_it_began_with(tmp_path, monkeypatch, caplog, began, elsewhere):
    """An interrupted run that continues on a CPU of the other kind makes the bytes of the unbroken one."""
    setting = trained_with_muon(train__iterations=4)
    on_cpu(monkeypatch, began)
    run(setting, tmp_path / "whole")
    with pytest.raises(SaltError):
        run(setting, tmp_path / "broken", Clips(12))
    on_cpu(monkeypatch, elsewhere)
    with caplog.at_level("INFO"):
        run(setting, tmp_path / "broken")
    assert f"Muon goes on in {began}, in which it began; here {elsewhere} is faster" in caplog.text
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "broken")
    run(setting, tmp_path / "other")
    assert weights_of(tmp_path / "whole") != weights_of(tmp_path / "other")


def test_a_checkpoint_from_before_the_choice_goes_on_in_bfloat16(tmp_path, monkeypatch):
    setting = trained_with_muon(train__iterations=4)
    on_cpu(monkeypatch, "bfloat16")
    run(setting, tmp_path / "whole")
    with pytest.raises(SaltError):
        run(setting, tmp_path / "broken", Clips(12))
    (saved,) = (tmp_path / "broken" / "run" / "checkpoints").glob("*/state.json")
    known = json.loads(saved.read_text())
    assert known.pop("muon_precision") == "bfloat16"
    del known["digest"]  # which is younger still
    saved.write_text(json.dumps(known))
    on_cpu(monkeypatch, "float32")
    run(setting, tmp_path / "broken")
    assert weights_of(tmp_path / "whole") == weights_of(tmp_path / "broken")
    assert muon.fast_precision(torch.device("cpu")) == "float32"
