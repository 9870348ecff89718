"""The published setting in small: Wan and its autoencoder, VBench's prompts, bfloat16; sampled, stored and measured."""

import json

import pytest
import torch
from diffusers import AutoencoderKLWan

from salt.config import load_experiment
from salt.config.memory import Memory
from salt.config.scale import VAE
from salt.config.vbench import VBench
from salt.evaluation.cells import cells_of
from salt.evaluation.diagnostics.cache_study import measure_caches
from salt.evaluation.diagnostics.defect import measure
from salt.evaluation.lengths import TrainingLength
from salt.evaluation.sampling.solvers import Network
from salt.evaluation.sampling.sources import Item, Sampled
from salt.evaluation.sampling.streaming import SampledByChunk
from salt.evaluation.sampling.videos import sample_cells
from salt.evaluation.scorers import evaluation_prompts, scorer_of
from salt.evaluation.video import read_mp4
from salt.models.causal import CausalWan
from salt.models.precision import compute_in, in_precision
from salt.models.vae import WanVAE
from salt.models.wan import build_wan
from support.backbones import backbone
from support.fields import Letters

HEIGHT, WIDTH = 48, 80
LATENT = (4, 3, HEIGHT // 8, WIDTH // 8)
BACKBONE = backbone(patch_size=(1, 2, 2), in_channels=4, out_channels=4, text_dim=2)
ROWS = [{"prompt_en": f"Thing number {i}", "dimension": ["scene"]} for i in range(6)]


def experiment(name, **evaluation):
    found = load_experiment(name, "smoke")
    vbench = VBench(prompt_list_hash=None, extended_list=None)
    asked = {"vbench": vbench, "prompts": 6, "batch_size": 2, "nfe": (2, 4), "short_nfe": (), "defect_samples": 3}
    changed = found.scale.evaluation.model_copy(update=asked | {"teacher_nfe": 4, "long": None} | evaluation)
    scale = found.scale.model_copy(
        update={"evaluation": changed, "vae": VAE(height=HEIGHT, width=WIDTH, channels=4), "backbone": BACKBONE}
    )
    return found.model_copy(update={"scale": scale})


def wan(seed=0):
    """A network whose blocks do much."""
    network = build_wan(BACKBONE, seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    return network.eval()


def causal(seed=0):
    return CausalWan(wan(seed).transformer, 1)


def lowered(network):
    return in_precision(network, "bfloat16", "cpu")


def low_enough(low, high):
    """As far apart as bfloat16 explains, and in float32 both."""
    assert low.dtype is high.dtype is torch.float32
    assert 0 < (low - high).norm() / high.norm() < 0.05


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    small = dict(base_dim=8, z_dim=4, num_res_blocks=1, latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    return WanVAE(AutoencoderKLWan(**small)).eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def prompts(tmp_path, monkeypatch):
    folder = tmp_path / "vbench" / "prompts"
    folder.mkdir(parents=True)
    (folder / "VBench_full_info.json").write_text(json.dumps(ROWS))
    monkeypatch.setenv("SALT_VBENCH", str(tmp_path / "vbench"))


# ----------------------------------------------------------------------------------------------- precision
def test_float32_is_the_network_itself():
    network = wan()
    assert in_precision(network, "float32", "cpu") is network


@torch.no_grad()
def test_a_lowered_network_answers_in_the_type_of_the_state():
    network = wan()
    x_t, t, text = torch.randn(2, *LATENT), torch.tensor([0.3, 1.0]), Letters().encode(["a", "b"])
    with compute_in("bfloat16", "cpu"):
        expected = network(x_t, t, text)
    assert expected.dtype is torch.bfloat16
    assert torch.equal(lowered(network)(x_t, t, text), expected.float())
    assert next(network.parameters()).dtype is torch.float32


def sampled(network, cfg_weight, cell, items):
    with torch.no_grad():
        return next(Sampled(Network(network, Letters(), cfg_weight), 3.0, LATENT).parts(cell, items))


@pytest.mark.parametrize("cfg_weight", [None, 3.0])
def test_whole_clips_are_sampled_near_float32(cfg_weight):
    scale = experiment("sc_dmd").scale
    items = [Item(prompt, 0) for prompt in evaluation_prompts(scale)[:2]]
    for cell in cells_of("sc_dmd", "SC-DMD", scale, 0):
        low_enough(*(sampled(network, cfg_weight, cell, items) for network in (lowered(wan()), wan())))


@torch.no_grad()
def test_chunks_are_sampled_near_float32():
    """Their keys and values are kept in bfloat16, and no autocast is left on between them."""
    student = experiment("self_forcing")
    cell = cells_of("self_forcing", "", student.scale, 0, student)[0]
    items = [Item(evaluation_prompts(student.scale)[1], 0)]
    found = []
    for network in (lowered(causal()), causal()):
        parts = []
        for part in SampledByChunk(network, Letters(), Memory(window=2, sink=1), 3.0, LATENT).parts(cell, items):
            assert not torch.is_autocast_enabled("cpu")
            parts.append(part)
        found.append(torch.cat(parts, dim=2))
    low_enough(*found)
    low, high = (network.open_memory(Memory(window=2), 1, *LATENT[-2:]) for network in (lowered(causal()), causal()))
    assert 2 * low.nbytes == high.nbytes


# ------------------------------------------------------------------------------------------- files, records
def test_videos_are_stored_at_their_own_size(vae, tmp_path):
    protocols = set()
    for precision in ("float32", "bfloat16"):
        scale = experiment("sc_dmd", nfe=(2,), solvers=("cm",), prompts=2, precision=precision).scale
        cells, out = cells_of("sc_dmd", "SC-DMD", scale, 0), tmp_path / precision
        network = Network(in_precision(wan(), precision, "cpu"), Letters(), None)
        manifest = sample_cells(
            cells, Sampled(network, 3.0, LATENT), vae, scorer_of(scale, TrainingLength(scale.evaluation)), out, {}, None
        )
        protocols.add(json.loads(manifest.read_text())["protocol"])
        assert read_mp4(out / "extended_cm_2" / "v0001" / "0.mp4").shape == (9, HEIGHT, WIDTH, 3)
    assert len(protocols) == 2, "videos of two precisions are never mixed"


def test_the_defect_is_measured_on_vbenchs_prompts():
    asked = experiment("sc_dmd")
    student, teacher = (Network(lowered(wan(seed)), Letters(), weight) for seed, weight in ((0, None), (1, 3.0)))
    found = measure(student, teacher, asked, 0, LATENT)
    assert set(found.records["n"]) == {3}
    assert {"defect_mean", "cross_step[2,4]", "depth_error[4]"} < set(found.records["metric"])
    assert set(found.trajectory["sample"]) == {0, 1, 2}, "samples are counted, whatever their number in the list"


def test_caches_are_measured_without_ground_truth(vae):
    found = measure_caches(lowered(causal()), Letters(), vae, experiment("self_forcing"), 0, LATENT)
    assert set(found["metric"]) == {"seam_across", "seam_within", *(f"mismatch@chunk{i}" for i in range(3))}
    assert set(found["solver"]) == {"cm"}, "no real clips"
    assert set(found["nfe"]) == {2, 4}
    assert set(found["n"]) == {3}
    assert (found["value"] > 0).all()
