"""Heads of discriminators: what they see, and of what they depend."""

import pytest
import torch

from salt.config.adversarial import Head
from salt.models.discriminator import MemberDiscriminator, build_discriminator, rows
from salt.models.wan import build_wan
from support.lab import arm, ensemble
from support.tiny import experiment

KINDS = ("attention", "convolution", "tokens", "perceptron")
LOGITS = {"attention": 1, "convolution": 1, "tokens": 2 * 3 * 4, "perceptron": 1}
"""Of two blocks, three frames and 2 x 2 tokens."""


def head(kind, seed=0, blocks=2, **changes):
    network = build_wan(experiment().scale.backbone, 0)
    made = build_discriminator(Head(kind=kind, width=8, **changes), network, blocks, [seed])
    return made.double(), network.width


def features(width, batch=5, blocks=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3, 4, width, generator=generator).double() for _ in range(blocks)]


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_of_each_sample_alone_and_of_every_block(kind):
    made, width = head(kind)
    seen = features(width)
    with torch.no_grad():
        for parameter in made.parameters():  # a query begins at 0, which sees all tokens alike
            parameter.add_(0.1 * torch.ones_like(parameter).cumsum(-1) % 0.37)
    logits = made(seen, 2)
    assert logits.shape == (5, LOGITS[kind])
    torch.testing.assert_close(made([each[1:3] for each in seen], 2), logits[1:3])
    for block in range(2):
        moved = [each.clone() for each in seen]
        moved[block][:, 1, 3, ::2] += 1  # not of all channels alike: a norm would not see it
        assert ((made(moved, 2) - logits).abs().amax(1) > 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_all_weights_and_features_get_a_gradient(kind):
    made, width = head(kind, **({"scales": (1, 2)} if kind == "convolution" else {}))
    seen = [each.requires_grad_() for each in features(width)]
    made(seen, 2).square().sum().backward()
    assert all(each.grad.abs().sum() > 0 for each in seen)
    still = [name for name, weight in made.named_parameters() if weight.grad is None or not weight.grad.any()]
    # the query and the keys: attention begins uniform, and all queries see the same
    assert [name for name in still if "attention" not in name and "query" not in name] == []


@pytest.mark.parametrize("kind", KINDS)
def test_weights_depend_on_the_seed_alone(kind):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    one, other, third = (head(kind, seed)[0].state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(one[name], third[name]) for name in one)


def test_convolutions_know_where_tokens_lie_and_attention_does_not():
    for kind, knows in (("convolution", True), ("attention", False), ("perceptron", False)):
        made, width = head(kind)
        seen = features(width)
        mixed = [each[:, :, torch.tensor([3, 0, 2, 1])] for each in seen]
        assert torch.allclose(made(seen, 2), made(mixed, 2)) is not knows


def test_rows_of_tokens():
    """Wan's patches of 2 x 2: 60 x 104 latents are 30 x 52 tokens."""
    assert rows(30 * 52, 60, 104) == 30
    assert rows(52 * 30, 104, 60) == 52
    assert rows(9, 6, 6) == 3
    assert rows(1, 1, 1) == 1


def test_members_judge_by_themselves_and_begin_as_they_would_alone():
    setting = arm("sc_dmd")
    critic = ensemble(setting)
    both = build_discriminator(Head(kind="perceptron", width=8), critic, 1, [3, 4])
    assert isinstance(both, MemberDiscriminator)
    seen = torch.randn(8, 1, critic.width // 4, 4, generator=torch.Generator().manual_seed(0))
    logits = both([seen], 1)
    for member, seed in enumerate((3, 4)):
        alone = build_discriminator(Head(kind="perceptron", width=8), ensemble(setting, [seed]), 1, [seed])
        torch.testing.assert_close(alone([seen[4 * member : 4 * member + 4]], 1), logits[4 * member : 4 * member + 4])
