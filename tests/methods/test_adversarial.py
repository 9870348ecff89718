"""The discriminator among the other roles: who learns from what, and the losses a second time."""

import pytest
import torch
from torch.nn.functional import relu, softplus

from salt.flow.grid import time_grid
from salt.methods import Distill, PhasedConsistency, build_method
from salt.methods.terms import Components, build_terms
from support.lab import arm, build
from support.students import CLOSE, LATENT, Exact, clips, network
from support.tiny import BACKBONE, OPTIMISER, experiment

HEAD = {"kind": "perceptron", "width": 8}
STEP = 3


def setting(adversarial=None, ratio=None, **changes):
    objectives = {"dmd": {"cfg_weight": 3.0}, "adversarial": {"head": HEAD} | (adversarial or {})}
    given = {"objectives": objectives, "scale__backbone": BACKBONE | {"num_layers": 3}}
    return experiment(**given | {"train__discriminator": {"optimiser": OPTIMISER, "ratio": ratio}} | changes)


def distill(config):
    networks = {name: network(config, i) for i, name in enumerate(("generator", "critic", "teacher"))}
    components = Components.of(config, streams=Exact(5), **networks)
    method = Distill(config, components, build_terms(config.objectives, components))
    method.trainable["discriminator"].double()
    return method, networks | {"discriminator": method.trainable["discriminator"]}


def reached(networks):
    """Which networks got a gradient."""
    return {
        name
        for name, each in networks.items()
        if any(weight.grad is not None and weight.grad.any() for weight in each.parameters())
    }


# ------------------------------------------------------------------------------------- who learns from what
@pytest.mark.parametrize("features", ["teacher", "critic"])
def test_the_discriminator_learns_with_the_critic(features):
    method, networks = distill(setting({"features": features}))
    assert method.roles(0) == ("generator", "critic", "critic")
    assert method.updated("critic") == ("critic", "discriminator")
    assert method.updated("generator") == ("generator",)
    method.loss("generator", clips(size=4), STEP)[0].backward()
    assert reached(networks) == {"generator"}
    networks["generator"].zero_grad()
    method.loss("critic", clips(size=4), STEP)[0].backward()
    assert reached(networks) == {"critic", "discriminator"}
    trained = {name for name, each in networks.items() if all(weight.requires_grad for weight in each.parameters())}
    assert trained == {"generator", "critic", "discriminator"}, "what was frozen for a while is not so any more"


def test_features_of_the_critic_are_trained_by_the_discriminator_and_those_of_the_teacher_leave_it_alone():
    found = {}
    for features in ("teacher", "critic"):
        for weight in (0.03, 30.0):
            method, networks = distill(setting({"features": features, "discriminator_weight": weight}))
            method.loss("critic", clips(size=4), STEP)[0].backward()
            grads = [each.grad for each in networks["critic"].parameters() if each.grad is not None]
            found[features, weight] = torch.cat([grad.flatten() for grad in grads])
    assert torch.equal(found["teacher", 0.03], found["teacher", 30.0])
    assert not torch.allclose(found["critic", 0.03], found["critic", 30.0])


def test_updates_of_its_own():
    method, networks = distill(setting(ratio=3))
    assert method.roles(0) == ("generator", "critic", "critic", *["discriminator"] * 3)
    assert method.updated("critic") == ("critic",)
    method.loss("critic", clips(size=4), STEP)[0].backward()
    assert reached(networks) == {"critic"}
    networks["critic"].zero_grad()
    method.loss("discriminator", clips(size=4), STEP)[0].backward()
    assert reached(networks) == {"discriminator"}


def test_weight_0_leaves_it_out_and_the_start_puts_off_the_student_alone():
    plain, _ = distill(setting({"start": 3}))
    assert "adversarial" not in plain.loss("generator", clips(), 2)[1]
    assert "adversarial" in plain.loss("generator", clips(), 3)[1]
    assert "discriminator" in plain.loss("critic", clips(), 0)[1]
    config = setting({"weight": 0.0})
    networks = {name: network(config, i) for i, name in enumerate(("generator", "critic", "teacher"))}
    components = Components.of(config, streams=Exact(5), **networks)
    method = Distill(config, components, build_terms(config.objectives, components))
    assert (set(method.trainable), method.updated("critic")) == ({"generator", "critic"}, ("critic",))


# ----------------------------------------------------------------------------------------- losses by hand
def judged(method, networks, features, x_t, t, batch):
    seen = networks[features].features(x_t, t, batch.text, (1, 2))
    return method.trainable["discriminator"](seen, 1)


@pytest.mark.parametrize("features", ["teacher", "critic"])
@pytest.mark.parametrize("shared", [True, False])
def test_losses_by_hand(features, shared):
    """t and eps by their names from the streams; samples from the rollout."""
    config = setting({
        "features": features, "shared_noise": shared, "discriminator_weight": 0.5, "weight": 2.0,
        "noise": {"shift": 1.0, "t_min": 0.0, "t_max": 1.0},
        "r1": {"weight": 7.0, "sigma": 0.2}, "r2": {"weight": 11.0, "sigma": 0.3},
    })  # fmt: skip
    method, networks = distill(config)
    batch, streams = clips(size=4), Exact(5)

    def drawn(name, step=STEP):
        return streams.normal(name, step, batch.samples, LATENT)

    def noised(x_0, name, t):
        t = t.view(-1, 1, 1, 1, 1)
        return (1 - t) * x_0 + t * drawn(name)

    with torch.no_grad():
        output = method._rollout(batch, STEP, "generator")
        t = streams.uniform("generator/adversarial/t", STEP, batch.samples)
        fake = judged(method, networks, features, noised(output.x_0, "generator/adversarial/eps", t), t, batch)
        student = softplus(-fake).mean()
    _, recorded = method.loss("generator", batch, STEP)
    assert recorded["adversarial"] == pytest.approx(student.item(), rel=1e-5)
    with torch.no_grad():
        output = method._rollout(batch, STEP, "critic")
        t = streams.uniform("discriminator/t", STEP, batch.samples)
        data = "discriminator/eps" if shared else "discriminator/data"
        x_real, x_fake = noised(batch.x_0, data, t), noised(output.x_0, "discriminator/eps", t)
        real, fake = (judged(method, networks, features, x_t, t, batch) for x_t in (x_real, x_fake))
        expected = 0.5 * (softplus(-real) + softplus(fake)).mean()
        near = judged(method, networks, features, x_real + 0.2 * drawn("discriminator/r1"), t, batch)
        far = judged(method, networks, features, x_fake + 0.3 * drawn("discriminator/r2"), t, batch)
        expected = expected + 7 * (near - real).square().mean() + 11 * (far - fake).square().mean()
    _, recorded = method.loss("critic", batch, STEP)
    assert recorded["discriminator"] == pytest.approx(expected.item(), rel=1e-4)


def test_the_students_loss_is_added_with_its_weight():
    batch = clips(size=4)
    totals, parts = [], []
    for weight in (0.5, 2.0):
        loss, recorded = distill(setting({"weight": weight}))[0].loss("generator", batch, STEP)
        totals.append(loss.item())
        parts.append(recorded["adversarial"])
    assert parts[0] == parts[1]
    assert totals[1] - totals[0] == pytest.approx(1.5 * parts[0])


def test_two_micro_batches_are_one_batch():
    for role in ("generator", "critic"):
        method, _ = distill(setting({"r1": {}}, rollout={"kind": "noised_data"}))
        whole = method.loss(role, clips(0, 4), STEP)[0]
        halves = [method.loss(role, clips(first, 2), STEP)[0] for first in (0, 2)]
        torch.testing.assert_close(torch.stack(halves).mean(), whole, **CLOSE)


def test_a_discriminator_that_learns_tells_samples_from_data():
    """Some updates on one batch: its logits part."""
    method, _ = distill(setting())
    head = method.trainable["discriminator"]
    optimiser = torch.optim.Adam(head.parameters(), 0.01)
    gaps = []
    for _ in range(40):
        optimiser.zero_grad()
        loss, recorded = method.loss("critic", clips(size=8), STEP)
        loss.backward()
        optimiser.step()
        gaps.append(recorded["real_logit"] - recorded["fake_logit"])
    assert gaps[-1] > gaps[0] + 0.1


def test_blocks_by_default_are_fastgens_in_wan():
    config = setting().objectives.adversarial
    assert config.blocks_in(30) == (15, 22, 29)
    assert config.blocks_in(3) == (1, 2)
    assert config.blocks_in(1) == (0,)
    assert setting({"blocks": [2, 0]}).objectives.adversarial.blocks_in(3) == (2, 0)


# ------------------------------------------------------------------------------------ of an ensemble, of PCM
def test_members_of_an_ensemble_have_discriminators_of_their_own():
    """Both together lose what each loses alone, on the mean."""
    changes = {"objectives__adversarial": {"features": "critic", "head": HEAD},
               "train__discriminator": {"optimiser": OPTIMISER}}  # fmt: skip
    config, losses = arm("dmd_4", **changes), {}
    for seeds in ((3, 4), (3,), (4,)):
        method, data = build(config, seeds)
        losses[seeds] = method.loss("critic", data.batch(range(8)), 0)[0].item()
    assert losses[3, 4] == pytest.approx((losses[3,] + losses[4,]) / 2, rel=1e-5)


PHASES = {"grid": {"steps": 4, "train_steps": 4, "shift": 3.0}, "train__critic": None}


def pcm(**adversarial):
    given = {"loss": "hinge", "head": HEAD, "blocks": [1, 2], "shared_noise": False, "weight": 0.1} | adversarial
    objectives = {"pcm": {"solver_steps": 12, "cfg_weight": 3.0, "huber": 0.01}, "adversarial": given}
    config = setting(objectives=objectives, **PHASES)
    networks = {"generator": network(config, 0), "teacher": network(config, 1)}
    method = build_method(config, *networks.values(), Exact(5))
    assert isinstance(method, PhasedConsistency)
    method.trainable["discriminator"].double()
    return method, networks | {"discriminator": method.trainable["discriminator"]}


def test_pcm_takes_turns_and_each_learns_alone():
    method, networks = pcm()
    assert method.roles(0) == ("generator", "discriminator")
    for role in method.roles(0):
        loss, _ = method.loss(role, clips(size=4), STEP)
        loss.backward()
        assert reached(networks) == {role}
        networks[role].zero_grad()


def test_pcm_by_hand():
    """What is made of the later state is real; both are noised within the phase that ended, by PCM's own rule."""
    method, networks = pcm()
    batch, streams, fine = clips(size=6), Exact(5), torch.tensor([*time_grid(12, 3.0), 0.0]).double()

    def arrived(role):
        place = streams.integers(f"{role}/index", STEP, batch.samples, 12)
        noise = streams.normal(f"{role}/noise", STEP, batch.samples, LATENT)
        t, after, end = fine[place], fine[place + 1], fine[(place // 3 + 1) * 3]
        wide = lambda each: each.view(-1, 1, 1, 1, 1)  # noqa: E731
        x_t = (1 - wide(t)) * batch.x_0 + wide(t) * noise
        teacher = networks["teacher"]
        cond, uncond = teacher(x_t, t, batch.text), teacher(x_t, t, batch.empty_text.expand_as(batch.text))
        x_next = x_t - wide(t - after) * (uncond + 3 * (cond - uncond))
        target = x_next - wide(after - end) * networks["generator"](x_next, after, batch.text)
        x_e = x_t - wide(t - end) * networks["generator"](x_t, t, batch.text)
        back = streams.integers(f"{role}/back/index", STEP, batch.samples, 3)
        return x_e, target, wide(end), fine[(place // 3 + 1) * 3 - back]

    def noised(x, end, t, name):
        noise, wide = streams.normal(name, STEP, batch.samples, LATENT), t.view(-1, 1, 1, 1, 1)
        return ((1 - wide) * x + (wide - end) * noise) / (1 - end)

    with torch.no_grad():
        x_e, target, end, t = arrived("generator")
        assert ((t >= end.flatten()) & (t < 1)).all()
        fake = judged(method, networks, "teacher", noised(x_e, end, t, "generator/eps"), t, batch)
        consistency = (((x_e - target) ** 2 + 1e-4).sqrt() - 0.01).mean()
        expected = consistency + 0.1 * relu(1 - fake).mean()
        loss, recorded = method.loss("generator", batch, STEP)
        torch.testing.assert_close(loss, expected, **CLOSE)
        assert recorded["consistency"] == pytest.approx(consistency.item(), rel=1e-5)
        x_e, target, end, t = arrived("discriminator")
        fake = judged(method, networks, "teacher", noised(x_e, end, t, "discriminator/eps"), t, batch)
        real = judged(method, networks, "teacher", noised(target, end, t, "discriminator/eps/data"), t, batch)
        expected = (relu(1 - real) + relu(1 + fake)).mean()
        torch.testing.assert_close(method.loss("discriminator", batch, STEP)[0], expected, **CLOSE)


# ------------------------------------------------------------------------------------------------ mistakes
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train__discriminator": None}, "objectives.adversarial and train.discriminator belong together"),
        ({"adversarial": {"features": "critic"}, "ratio": 2}, "train.discriminator.ratio=2: features of the critic"),
        ({"adversarial": {"blocks": [0, 3]}}, r"adversarial.blocks=\[0, 3\]: accepted: 0 to 2"),
        ({"adversarial": {"head": HEAD | {"scales": [1, 2]}}}, r"head.scales=\[1, 2\]: accepted with kind=perceptron"),
        ({"adversarial": {"head": {"kind": "tokens", "width": 8}}}, "head.width=8: accepted with kind=tokens: none"),
        ({"adversarial": {"start": 9}}, "objectives.adversarial.start=9, but train.iterations=4"),
        (
            {"objectives": {"pcm": {"solver_steps": 8}, "adversarial": {"noise": {"shift": 2.0}}}, **PHASES},
            "objectives.adversarial.noise: beside pcm t is a level of a phase; accepted: none",
        ),
        ({"objectives": {"flow_matching": {}, "adversarial": {}}}, "adversarial: not added to flow_matching"),
        (
            {"objectives": {"pcm": {"solver_steps": 8}, "adversarial": {"features": "critic"}}, **PHASES},
            "objectives.adversarial.features=critic: there is none; accepted beside pcm: teacher",
        ),
    ],
)
def test_mistakes_are_told(changes, told):
    with pytest.raises(ValueError, match=told):
        setting(**changes)
