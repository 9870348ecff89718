"""The cost model against torch's own counter, on the real method and at Wan's real sizes."""

import copy

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import UMT5Config, UMT5EncoderModel

from salt.config import load_experiment, load_scale
from salt.config.backbone import Backbone
from salt.config.memory import Memory
from salt.config.schema import Experiment
from salt.methods import build_method
from salt.models.protocol import Batch, FirstFrame
from salt.models.wan import build_wan, empty_wan
from salt.planning import cost
from salt.stages.shared.networks import as_experiment
from salt.streams import Streams

SIZES = {"1.3B": (30, 12, 8960, 1_418_996_800), "14B": (40, 40, 13824, 14_288_491_584)}


@pytest.mark.parametrize("size", SIZES)
def test_parameters_and_operations_of_wan(size):
    layers, heads, ffn, count = SIZES[size]
    backbone = Backbone(num_layers=layers, num_attention_heads=heads, attention_head_dim=128, ffn_dim=ffn)
    assert cost.parameters(backbone) == count
    with torch.device("meta"):
        inputs = torch.empty(1, 16, 21, 60, 104), torch.ones(1), torch.empty(1, 512, 4096)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty_wan(backbone)(*inputs)
    assert cost.forward(backbone, 32760, 32760, 512) == counter.get_total_flops()


def test_parameters_and_operations_of_image_to_video():
    scale = load_scale("paper_i2v")
    assert cost.parameters(scale.backbone) == 16_394_878_784
    with torch.device("meta"):
        inputs = torch.empty(1, 16, 21, 60, 104), torch.ones(1), torch.empty(1, 512, 4096)
        image = FirstFrame(torch.empty(1, 16, 21, 60, 104), torch.empty(1, 257, 1280))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty_wan(scale.backbone)(*inputs, image=image)
    assert cost.forward(scale.backbone, 32760, 32760, 512, image=257) == counter.get_total_flops()
    student = load_experiment("sc_dmd", "paper_i2v")
    assert cost.whole_clip(student).graded == counter.get_total_flops()


def test_parameters_of_the_text_encoder():
    text = load_scale("paper").text
    config = UMT5Config(
        vocab_size=cost.VOCABULARY,
        d_model=text.d_model,
        d_kv=text.d_model // text.num_heads,
        d_ff=text.d_ff,
        num_layers=text.num_layers,
        num_heads=text.num_heads,
        feed_forward_proj="gated-gelu",
    )
    with torch.device("meta"):
        model = UMT5EncoderModel(config)
    assert cost.text_parameters(text) == sum(p.numel() for p in model.parameters()) == 5_680_910_336


def shrunk(name: str, **changes: object) -> Experiment:
    """An experiment of the smoke scale with one sample a batch, whose teacher is a network."""
    given = {"train.batch_size": "1", "train.accumulate": "1"}
    if name not in ("teacher", "ar_teacher"):
        given |= {"objectives.dmd.teacher": "own", "objectives.dmd.cfg_weight": "3.0"}
    given |= {k: str(v) for k, v in changes.items()}
    return load_experiment(name, "smoke", given)


class Chosen(Streams):
    """Streams whose draws for whole updates are given: which K, which exit."""

    shared: dict[str, float]

    def uniform(self, purpose, step, samples, shape=()):
        found = super().uniform(purpose, step, samples, shape)
        return torch.full_like(found, self.shared[purpose]) if purpose in self.shared else found


def counted(experiment: Experiment, shared: dict[str, float] | None = None, step: int = 0) -> dict[str, float]:
    """What torch counts of one update of each role."""
    streams = Chosen(0)
    streams.shared = shared or {}
    teacher = build_wan(experiment.scale.backbone, 0)
    generator = as_experiment(copy.deepcopy(teacher), experiment)
    method = build_method(experiment, generator, teacher, streams)
    text = torch.randn(1, experiment.scale.text.tokens, experiment.scale.backbone.text_dim)
    batch = Batch(torch.randn(1, *experiment.scale.latent_shape), text, torch.zeros_like(text), (0,), text_before=text)
    found = {}
    for role in dict.fromkeys(method.roles(0)):
        with (
            FlopCounterMode(display=False) as counter,
            sdpa_kernel(SDPBackend.MATH),
        ):  # the others are not counted on a CPU
            method.loss(role, batch, step)[0].backward()
        found[role] = counter.get_total_flops()
    return found


@pytest.mark.parametrize("name", ["teacher", "dmd_4", "sc_dmd", "causvid", "ar_teacher"])
def test_an_update_of_whole_clips(name):
    experiment = shrunk(name)
    found, expected = counted(experiment), cost.iteration(experiment)
    critic = expected.pop("critic", 0.0)
    assert found["generator"] == pytest.approx(sum(expected.values()), rel=0.02)
    if critic:
        assert found["critic"] == pytest.approx(critic / experiment.train.critic.ratio, rel=0.02)


@pytest.mark.parametrize("name", ["self_forcing", "longlive", "salt_self_forcing"])
def test_an_update_of_autoregressive_rollouts(name):
    """Every K and every exit in turn, weighted by their probabilities."""
    experiment = shrunk(name)
    law = experiment.rollout.steps or {experiment.grid.train_steps: 1.0}
    align = experiment.objectives.align
    step = align.start if align else 0
    found = {"generator": 0.0, "critic": 0.0}
    begun = 0.0
    for steps, share in sorted(law.items()):
        for exit_at in range(steps):
            for clips in (0.25, 0.75):
                u = {"steps": begun + share / 2, "exit": (exit_at + 0.5) / steps, "clips": clips}
                shared = {f"{role}/{name}": value for role in found for name, value in u.items()}
                for role, flops in counted(experiment, shared | {"generator/align": 0.0}, step).items():
                    found[role] += share / steps / 2 * flops
        begun += share
    expected = cost.iteration(experiment)
    critic = expected.pop("critic")
    # the text's keys are computed once per chunk, which the model leaves out: much where text is longer than a chunk
    assert found["generator"] == pytest.approx(sum(expected.values()), rel=0.11)
    assert found["critic"] == pytest.approx(critic / experiment.train.critic.ratio, rel=0.11)


def test_a_longer_memory_a_longer_video_and_more_steps_cost_more():
    experiment = shrunk("self_forcing")
    base = cost.video(experiment, 4)
    assert cost.video(experiment, 8) > 1.5 * base
    assert cost.video(experiment, 4, clips=3) > 3 * base
    assert cost.video(experiment, 4, memory=Memory(window=1)) < base


def test_what_recomputing_and_splitting_save():
    plain = shrunk("self_forcing")
    saving = plain.model_copy(update={"train": plain.train.model_copy(update={"recompute": True, "shard": True})})
    one, many = cost.training_memory(plain, 1), cost.training_memory(saving, 8)
    assert many["weights, gradients, moments"] == one["weights, gradients, moments"] / 8
    assert many["activations"] < one["activations"]
    assert cost.training(saving) == pytest.approx(cost.training(plain) * 4 / 3, rel=0.2)


def test_a_larger_teacher_judges_dearly_and_is_split_too():
    own = {"objectives.dmd.teacher": "own"}
    larger, plain = load_experiment("self_forcing", "paper"), load_experiment("self_forcing", "paper", own)
    assert larger.scale.larger is not None
    big, clip = larger.scale.larger.backbone, cost.clip_of(larger.scale)
    found, other = cost.iteration(larger), cost.iteration(plain)
    assert {name for name in found if found[name] != other[name]} == {"judging"}
    tokens = clip.frames * clip.tokens
    teacher, critic = (cost.forward(one, tokens, tokens, clip.text) for one in (big, larger.scale.backbone))
    assert found["judging"] == pytest.approx(2 * teacher + critic)
    aligned = (cost.iteration(load_experiment("salt_self_forcing", "paper", change)) for change in ({}, own))
    by_larger, by_own = (parts["alignment"] for parts in aligned)
    assert by_larger > 1.3 * by_own
    assert cost.training_memory(larger, 8)["teacher"] == 4 * cost.parameters(big) / 8
