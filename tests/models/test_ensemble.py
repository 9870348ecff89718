"""Ensembles: the gradient of one member never reaches another, and each is what it would be alone."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from salt.config.lab import SmallNetwork
from salt.config.memory import Memory
from salt.config.schema import Experiment
from salt.data.exact import modes_of
from salt.errors import SaltError
from salt.methods import Distill
from salt.methods.terms import Components, build_terms
from salt.models.conditioning import told
from salt.models.ensemble import (
    FILE,
    EnsembleCausal,
    EnsembleVelocity,
    LastChunk,
    load_ensemble,
    lost_members,
    save_ensemble,
)
from salt.models.exact import ExactTeacher
from salt.models.protocol import CausalModel, ChunkMemory, Context, Ensemble
from salt.streams import MemberStreams
from support.lab import BATCH, SEEDS, alone, arm, distillation, ensemble, gradients, normal

SMALL = SmallNetwork(width=16, layers=2)
ARMS = {
    "noised data": ("sc_dmd", "lab", {}),
    "released form": ("sc_dmd_released", "lab", {}),
    "backward simulation": ("dmd_8_bs", "lab", {"objectives__sc__weight": 0.3}),
    "critic knows the exit": ("sc_dmd", "lab", {"train__critic__knows_exit": True}),
    "causal": ("causal_forcing_naive_sc", "lab_chain", {}),
    "causal, mixed, aligned": ("salt_causal_forcing", "lab_chain", {"objectives__align__start": 0}),
}


def states(network: nn.Module, size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """What a network of `shape` is asked: states, times, captions."""
    channels = 2
    frames = 1 if isinstance(network, EnsembleVelocity) else 4
    t = torch.rand(size, generator=torch.Generator().manual_seed(1)).to(dtype)
    return normal(size, channels, frames, 1, 1, dtype=dtype), t, normal(size, 1, 2, seed=2, dtype=dtype)


def networks() -> list[EnsembleVelocity | EnsembleCausal]:
    made: list[EnsembleVelocity | EnsembleCausal] = [
        EnsembleVelocity(4, (2, 1, 1, 1), 2, SMALL),
        EnsembleCausal(4, 2, 2, SMALL),
    ]
    for network in made:
        network.mlp.initialise(SEEDS)
    return made


# ------------------------------------------------------------------------------------------ one by one
@pytest.mark.parametrize("network", networks(), ids=["velocity", "causal"])
def test_a_member_answers_as_it_would_alone(network: EnsembleVelocity | EnsembleCausal) -> None:
    x, t, text = states(network, 4 * 8)
    whole = network(x, t, text)
    assert whole.shape == x.shape
    for index in range(4):
        rows = slice(8 * index, 8 * (index + 1))
        assert torch.equal(alone(network, index)(x[rows], t[rows], text[rows]), whole[rows])


@pytest.mark.parametrize("network", networks(), ids=["velocity", "causal"])
def test_weights_of_a_member_are_those_of_its_seed(network: EnsembleVelocity | EnsembleCausal) -> None:
    for index, seed in enumerate(SEEDS):
        one = alone(network, index)
        fresh = copy.deepcopy(one)
        fresh.mlp.initialise([seed])
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), fresh.parameters(), strict=True))
    first, second = (list(alone(network, index).parameters()) for index in (0, 1))
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(parameter.abs().max() <= parameter.new_tensor(1.0) for parameter in network.parameters())


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("role", ["generator", "critic"])
def test_the_gradient_of_one_member_never_reaches_another(name: str, role: str) -> None:
    """NaN in all that one member is given, and in its weights: every other gradient stays the same, bit for bit."""
    row, scale, changes = ARMS[name]
    setting = arm(row, scale, **changes)
    method, batch = distillation(setting)
    step = next(step for step in range(20) if acts(method, batch, step))
    method.loss(role, batch, step)[0].backward()
    clean = gradients(method.trainable[role])
    assert all((gradient.flatten(1).abs().amax(1) > 0).any() for gradient in clean.values())
    sick = 1
    for network in method.trainable.values():
        network.zero_grad()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter[sick] = torch.nan
    batch.x_0[BATCH * sick : BATCH * (sick + 1)] = torch.nan
    method.loss(role, batch, step)[0].backward()
    for key, gradient in gradients(method.trainable[role]).items():
        assert gradient[sick].isnan().any()
        for index in {0, 1, 2, 3} - {sick}:
            assert torch.equal(gradient[index], clean[key][index]), (key, index)


def acts(method: Distill, batch: object, step: int) -> bool:
    """Whether all terms that an arm has act in an iteration."""
    recorded = method.loss("generator", batch, step)[1]
    names = {type(term).__name__ for term in method._terms}
    return ("SelfConsistency" not in names or "sc" in recorded) if "Alignment" not in names else "align" in recorded


@pytest.mark.parametrize("name", ["noised data", "released form", "backward simulation", "critic knows the exit"])
@pytest.mark.parametrize("role", ["generator", "critic"])
def test_the_loss_of_an_ensemble_is_the_mean_over_its_members(name: str, role: str) -> None:
    """E times the gradient of the common mean is what each member's own mean gives it, alone, with its own seed."""
    row, scale, changes = ARMS[name]
    setting = arm(row, scale, **changes)
    method, batch = distillation(setting)
    whole = method.loss(role, batch, 3)[0]
    (len(SEEDS) * whole).backward()
    together = gradients(method.trainable[role])
    losses = []
    for index, seed in enumerate(SEEDS):
        single, own = distillation(setting, [seed])
        loss = single.loss(role, own, 3)[0]
        loss.backward()
        losses.append(loss.item())
        for key, gradient in gradients(single.trainable[role]).items():
            assert torch.equal(gradient[0], together[key][index]), (key, index)
    assert whole.item() == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    assert len(set(losses)) == len(losses)


# ------------------------------------------------------------------------------------------- causal ones
def test_chunk_by_chunk_is_the_whole_clip_given_the_clean_one() -> None:
    network = networks()[1]
    assert isinstance(network, EnsembleCausal)
    x, t, text = states(network, 8)
    clean = normal(*x.shape, seed=3, dtype=torch.float32)
    memory = network.open_memory(Memory(window=1), 8, 1, 1)
    parts = []
    for chunk in range(4):
        assert memory.start == chunk
        parts.append(network.step(x[:, :, chunk : chunk + 1], t, text, memory.context()))
        network.remember(memory, clean[:, :, chunk : chunk + 1], text)
    torch.testing.assert_close(torch.cat(parts, dim=2), network(x, t, text, clean), rtol=1e-5, atol=1e-6)
    by_time = network(x, t[:, None].expand(-1, 4), text, clean)
    assert torch.equal(by_time, network(x, t, text, clean))


def test_a_chunk_sees_the_one_before_and_no_other() -> None:
    network = networks()[1]
    x, t, text = states(network, 4)
    before = network(x, t, text)
    for chunk in range(4):
        moved = x.clone()
        moved[:, :, chunk] += 1
        changed = [bool((network(moved, t, text) - before)[:, :, i].any()) for i in range(4)]
        assert changed == [i in (chunk, chunk + 1) for i in range(4)]


def test_a_first_chunk_at_the_origin_is_no_chunk_without_a_past() -> None:
    """Whether there is a chunk before is told apart from one that lies at zero."""
    network = networks()[1]
    assert isinstance(network, EnsembleCausal)
    x, t, text = states(network, 4)
    first = network.open_memory(Memory(window=1), 4, 1, 1)
    second = network.open_memory(Memory(window=1), 4, 1, 1)
    network.remember(second, torch.zeros_like(x[:, :, :1]), text)
    one, two = (network.step(x[:, :, :1], t, text, memory.context()) for memory in (first, second))
    assert not torch.equal(one, two)


def test_what_is_remembered_is_constant_and_a_context_stays_as_it_was() -> None:
    network = networks()[1]
    assert isinstance(network, EnsembleCausal)
    x, _, text = states(network, 4)
    memory = network.open_memory(Memory(window=1), 4, 1, 1)
    network.remember(memory, x[:, :, :1].requires_grad_(True), text)
    context = memory.context()
    network.remember(memory, x[:, :, 1:2], text)
    assert not memory.before.requires_grad
    assert (context.start, memory.start) == (1, 2)
    assert torch.equal(context.before, x[:, :, 0].flatten(1))
    network.switch(memory, text)


def test_the_protocols_hold() -> None:
    velocity, causal = networks()
    assert isinstance(velocity, Ensemble)
    assert isinstance(causal, Ensemble)
    assert isinstance(causal, CausalModel)
    assert isinstance(LastChunk(1, 2), ChunkMemory)
    assert isinstance(LastChunk(1, 2).context(), Context)


@pytest.mark.parametrize("window", [None, 2, 3])
def test_another_window_is_refused(window: int | None) -> None:
    network = networks()[1]
    assert isinstance(network, EnsembleCausal)
    with pytest.raises(SaltError, match=rf"memory.window={window}: a small causal network sees one chunk; accepted: 1"):
        network.open_memory(Memory(window=window), 4, 1, 1)


# -------------------------------------------------------------------------------------- features and text
def test_features_are_tokens_of_four_numbers_for_every_frame() -> None:
    setting = arm("salt_causal_forcing", "lab_chain", objectives__align__start=0)
    critic = ensemble(setting, causal=False)
    assert isinstance(critic, EnsembleVelocity)
    x, t = normal(8, 2, 4, 1, 1, dtype=torch.float32), torch.rand(8)
    text = torch.ones(8, 1, 1)
    (features,) = critic.features(x, t, text, [0])
    assert features.shape == (8, 4, 4, 4)
    moved = x.clone()
    moved[0] += 1
    changed = (critic.features(moved, t, text, [0])[0] - features).flatten(1).any(1)
    assert changed.tolist() == [True] + [False] * 7


@pytest.mark.parametrize("scale", ["lab_chain", "lab_chain_smoke"])
def test_alignment_looks_at_the_features_of_the_critic(scale: str) -> None:
    """Only the generator gets a gradient from it, and the critic keeps what makes it trainable."""
    setting = arm(
        "salt_causal_forcing", scale, objectives__align__start=0, objectives__align__margin=0.0, objectives__sc=None
    )
    method, batch = distillation(setting)
    (term,) = (term for term in method._terms if type(term).__name__ == "Alignment")
    for step in range(40):
        rollout = method._rollout(batch, step, "generator")
        judged = term.loss(lambda: rollout, batch, step)  # noqa: B023
        if judged is not None:
            break
    assert judged is not None
    judged[0].backward()
    assert any(parameter.grad is not None for parameter in method.trainable["generator"].parameters())
    assert all(parameter.grad is None for parameter in method.trainable["critic"].parameters())
    assert all(parameter.requires_grad for parameter in method.trainable["critic"].parameters())


def test_a_critic_is_told_the_exit_by_one_more_token() -> None:
    text, t_s = normal(4, 1, 2, dtype=torch.float32), torch.tensor([1.0, 0.5, 0.25, 0.0])
    both = told(text, t_s)
    assert both.shape == (4, 2, 2)
    assert torch.equal(both[:, 0], text[:, 0])
    assert torch.equal(both[:, 1], t_s[:, None].expand(-1, 2))
    network = networks()[0]
    x, t, _ = states(network, 4)
    answers = network(x, t, both)
    assert torch.equal(answers[3], network(x, t, text)[3]), "told nothing is told 0"
    assert not torch.equal(answers[:3], network(x, t, text)[:3])


def test_a_critic_that_ignores_the_exit_has_the_same_losses() -> None:
    """Its weights for the token are zero: what it is told changes no bit."""
    losses = []
    for knows in (False, True):
        setting = arm("sc_dmd", train__critic__knows_exit=knows)
        components = components_of(setting)
        with torch.no_grad():
            first = components.critic.mlp.layers[0]
            first.weight[:, -2:] = 0
        method = Distill(setting, components, build_terms(setting.objectives, components))
        batch = distillation(setting)[1]
        losses.append([method.loss(role, batch, 2)[0].item() for role in ("generator", "critic")])
    assert losses[0] == losses[1]


def test_a_critic_that_listens_has_other_losses() -> None:
    told_it, not_told = (arm("sc_dmd", train__critic__knows_exit=knows) for knows in (True, False))
    one, other = (distillation(setting) for setting in (told_it, not_told))
    for role in ("generator", "critic"):
        assert one[0].loss(role, one[1], 2)[0] != other[0].loss(role, other[1], 2)[0]


def components_of(setting: Experiment) -> Components:
    assert setting.scale.exact is not None
    networks = ensemble(setting), ensemble(setting, causal=False)
    return Components.of(setting, *networks, ExactTeacher(modes_of(setting.scale.exact.world)), MemberStreams(SEEDS))


# ------------------------------------------------------------------------------------------- wrong input
@pytest.mark.parametrize("network", networks(), ids=["velocity", "causal"])
def test_a_batch_of_no_multiple_of_the_members_is_refused(network: EnsembleVelocity | EnsembleCausal) -> None:
    x, t, text = states(network, 7)
    with pytest.raises(SaltError, match="an ensemble of 4 members was given 7 samples; accepted: a multiple of 4"):
        network(x, t, text)


def test_weights_come_back_bit_for_bit_and_with_the_lost(tmp_path: Path) -> None:
    network, other = networks()[0], networks()[0]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[2] = torch.nan
    save_ensemble(network, tmp_path / "weights")
    load_ensemble(other, tmp_path / "weights")
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(a.nan_to_num(7), b.nan_to_num(7))
    assert lost_members(other) == [2]
    assert lost_members(networks()[0]) == []


@pytest.mark.parametrize("what", ["members", "world", "width", "layers", "causal"])
def test_weights_of_another_ensemble_are_refused(tmp_path: Path, what: str) -> None:
    made: nn.Module = {
        "members": EnsembleVelocity(3, (2, 1, 1, 1), 2, SMALL),
        "world": EnsembleVelocity(4, (2, 4, 1, 1), 2, SMALL),
        "width": EnsembleVelocity(4, (2, 1, 1, 1), 2, SmallNetwork(width=8, layers=2)),
        "layers": EnsembleVelocity(4, (2, 1, 1, 1), 2, SmallNetwork(width=16, layers=3)),
        "causal": EnsembleCausal(4, 2, 2, SMALL),
    }[what]
    save_ensemble(made, tmp_path / "weights")
    with pytest.raises(
        SaltError, match=rf"{tmp_path}/weights/{FILE}: mlp\.layers.* is expected: accepted: weights"
    ) as e:
        load_ensemble(networks()[0], tmp_path / "weights")
    assert "\n" not in str(e.value)


def test_files_that_are_no_ensemble_are_refused(tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    foreign = tmp_path / FILE
    save_file({"a": torch.zeros(2)}, foreign)
    text = tmp_path / "text"
    text.write_text("no weights")
    none = "not the weights of an ensemble"
    for path, told_so in ((missing, none), (text, none), (foreign, "a has shape")):
        with pytest.raises(SaltError, match=told_so) as caught:
            load_ensemble(networks()[0], path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
