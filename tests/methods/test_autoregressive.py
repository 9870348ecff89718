"""Mixed steps, SC and alignment of autoregressive students: what is drawn, and who is called when."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from salt.flow.grid import time_grid
from salt.methods import rollouts
from salt.methods.rollouts import Autoregressive, RolloutOutput
from salt.methods.terms import align, sc
from salt.models.protocol import Batch
from support.students import (
    CHUNKS,
    SALT,
    always,
    build,
    causal_experiment,
    causal_network,
    clips,
    rollout_of,
    spy,
    watch,
)

MIXED = {2: 0.2, 4: 0.4, 8: 0.4}


# ------------------------------------------------------------------------------------------------ draws
@dataclass
class Forgetful:
    """A causal model without weights whose v = x_t / t predicts x_0 = 0; it counts what it is asked for."""

    chunk: int = 1
    start: int = 0
    calls: Counter = field(default_factory=Counter)

    def open_memory(self, *sizes: Any) -> "Forgetful":
        self.start = 0
        return self

    def context(self) -> int:
        return self.start

    def step(self, x_t: Tensor, t: Tensor, text: Tensor, context: int, exits: None = None) -> Tensor:
        self.calls["step"] += 1
        return x_t / t.view(-1, 1, 1, 1, 1)

    def remember(self, memory: Any, x_0: Tensor, text: Tensor, exits: None = None) -> None:
        self.calls["remember"] += 1
        self.start += self.chunk

    def switch(self, memory: Any, text: Tensor) -> None:
        raise AssertionError("a rollout has one prompt")

    def __call__(self, x_t: Tensor, t: Tensor, text: Tensor, clean: Tensor | None = None) -> Tensor:
        raise AssertionError("a rollout goes chunk by chunk")


def drawn(role: str = "generator", updates: int = 400, law: dict[int, float] = MIXED) -> list[RolloutOutput]:
    """One rollout per update, of its second half only: what a second process or micro-batch would make."""
    setting = causal_experiment(rollout={"kind": "autoregressive", "steps": law})
    rollout = rollout_of(setting, Forgetful())
    return [rollout(clips(4 * i + 2, 2, (1, 1, 1, 1)), i // 3, role) for i in range(updates)]


def test_steps_follow_their_law_and_the_exit_is_uniform() -> None:
    made = drawn(updates=400)
    number = Counter(one.steps for one in made)
    assert number.keys() == MIXED.keys()
    for steps, share in MIXED.items():
        assert number[steps] / 400 == pytest.approx(share, abs=0.07)
        exits = Counter(int(one.sample.index[0]) for one in made if one.steps == steps)
        assert sorted(exits) == list(range(steps))
        assert max(exits.values()) < 2 * number[steps] / steps
    for one in made:
        level = time_grid(one.steps, 5.0)[int(one.sample.index[0])]
        assert one.sample.t_s.tolist() == [level] * 2
        assert one.sample.index.unique().numel() == 1


def test_without_a_law_a_rollout_takes_all_training_steps() -> None:
    rollout = rollout_of(causal_experiment(), Forgetful())
    made = [rollout(clips(4 * i, 1, (1, 1, 1, 1)), i, "generator") for i in range(60)]
    assert {one.steps for one in made} == {8}
    assert {int(one.sample.index[0]) for one in made} == set(range(8))


def test_micro_batches_share_steps_and_exit_and_other_updates_have_their_own() -> None:
    rollout = rollout_of(causal_experiment(rollout=SALT["rollout"]), Forgetful())

    def draw(first: int, role: str = "generator", step: int = 0) -> tuple[int, int]:
        made = rollout(clips(first, 2, (1, 1, 1, 1)), step, role)
        return made.steps, int(made.sample.index[0])

    whole = [draw(4 * i) for i in range(40)]
    assert whole == [draw(4 * i + 2) for i in range(40)], "batches of 4, in halves"
    assert len(set(whole)) > 8, "updates of one step"
    assert [draw(4 * i, "critic") for i in range(40)] != whole
    assert [draw(0, step=i) for i in range(40)] != whole


def test_the_order_in_which_a_law_is_written_means_nothing() -> None:
    """It does not change the configuration's hash, so it must not change the weights."""
    turned = dict(reversed(MIXED.items()))
    steps = [[one.steps for one in drawn(updates=40, law=law)] for law in (MIXED, turned)]
    assert steps[0] == steps[1]


def test_rollouts_of_all_k_share_their_noise_and_reach_common_levels_with_the_same_fresh_noise() -> None:
    """Where x_0 is predicted to be 0, the state at t_s is t_s times the noise that led there."""
    rollout = rollout_of(causal_experiment(), Forgetful())
    assert isinstance(rollout, Autoregressive)
    batch, reached = clips(), {}
    for steps in (8, 4, 2):
        for exit_at in range(steps):
            x_s = rollout.run(batch, 0, "generator", steps, exit_at).sample.x_s
            level = exit_at * 8 // steps
            assert torch.equal(x_s, reached.setdefault(level, x_s)), f"K={steps} at level {level} of T_train"
    flat = torch.stack([reached[level].flatten() / t for level, t in enumerate(time_grid(8, 5.0))])
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.7, "levels have noise of their own"
    others = [(0, "critic"), (1, "generator")]
    assert not any(torch.equal(rollout.run(batch, *other, 2, 1).sample.x_s, reached[4]) for other in others)


def test_a_reference_leaves_at_the_same_time_with_a_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = spy(monkeypatch, rollouts, "autoregressive")
    rollout = rollout_of(causal_experiment(), causal_network(causal_experiment()))
    assert isinstance(rollout, Autoregressive)
    for steps, exit_at in ((2, 1), (4, 3), (4, 0)):
        made = rollout.run(clips(), 0, "generator", steps, exit_at)
        better = rollout.reference(clips(), 0, "generator", made, 2 * steps)
        (low, _), (ref, sample) = calls[-2:]
        assert torch.equal(low[3], ref[3]), "noise"
        assert ref[4] == time_grid(2 * steps, 5.0)
        assert ref[1] is not low[1], "memory"
        assert torch.equal(sample.t_s, made.sample.t_s)
        assert torch.equal(better, sample.x_0)
        assert not better.requires_grad
        assert made.x_0.requires_grad
        assert torch.equal(better, made.x_0) == (exit_at == 0), "at pure noise both have taken the same one step"


def test_calls_of_the_model_follow_k_and_the_exit() -> None:
    """n (e + 1) + (n - 1)."""
    rollout = rollout_of(causal_experiment(), model := Forgetful())
    assert isinstance(rollout, Autoregressive)
    for steps, exit_at in ((2, 0), (4, 3), (8, 5)):
        model.calls.clear()
        rollout.run(clips(), 0, "critic", steps, exit_at)
        assert model.calls == {"step": CHUNKS * (exit_at + 1), "remember": CHUNKS - 1}


# ---------------------------------------------------------------------------------------- who is called
def test_sc_and_alignment_are_computed_for_their_own_k_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eq. (13): at K = 8 SC and never a reference, at K = 2 and 4 a reference and never SC; every call counted.

    Nothing is called for SC at the last level of T_train, below which there is no t_m, nor for a reference where the
    rollout exits at its first step, which would be its own.
    """
    method, networks = build(**SALT)
    seen = {name: watch(one) for name, one in networks.items()}
    defects, relations = spy(monkeypatch, sc, "sc_objective"), spy(monkeypatch, align, "alignment_loss")
    features = spy(monkeypatch, networks["teacher"], "features")
    cases = set()
    for step in range(40):
        for calls in (defects, relations, features, *seen.values()):
            calls.clear()
        metrics = method.loss("generator", clips(4 * step), step)[1]
        steps, exit_at = int(metrics["steps"]), [grad for _, grad in seen["generator"]].index(True)
        cases.add((steps, exit_at))
        dense, aligned = steps == 8, steps < 8 and exit_at > 0
        triple = dense and exit_at < 7
        assert (len(defects), len(relations), len(features)) == (triple, aligned, 2 * aligned)
        assert ("sc" in metrics, "align" in metrics) == (dense, aligned)
        assert (metrics.get("sc", 0.0) > 0) == triple
        rollout, reference = CHUNKS * (exit_at + 1) + CHUNKS - 1, CHUNKS * (2 * exit_at + 1) + CHUNKS - 1
        assert len(seen["generator"]) == rollout + CHUNKS * triple + reference * aligned
        assert sum(grad for _, grad in seen["generator"]) == CHUNKS * (1 + triple)
        assert len(seen["critic"]) == 1
        assert len(seen["teacher"]) == 2 + 2 * aligned
    assert {(2, 0), (2, 1), (4, 0), (8, 7)} <= cases
    assert len(cases) >= 10


@pytest.mark.parametrize(
    ("align", "aligned"),
    [
        ({"weight": 0.0}, lambda step, steps: False),
        ({"references": {4: 8}}, lambda step, steps: steps == 4),
        ({"start": 12}, lambda step, steps: step >= 12),
        ({}, lambda step, steps: True),
    ],
    ids=["weight", "references", "start", "always"],
)
def test_alignment_is_left_out_where_the_experiment_says(
    align: dict[str, Any], aligned: Callable[[int, int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And, whatever it says, where a rollout exits at its first step."""
    half = {"kind": "autoregressive", "steps": {2: 0.5, 4: 0.5}}
    method, networks = build(rollout=half, objectives={"dmd": {}, "align": align}, train__iterations=24)
    seen, features = watch(networks["generator"]), spy(monkeypatch, networks["teacher"], "features")
    cases = set()
    for step in range(24):
        seen.clear()
        features.clear()
        metrics = method.loss("generator", clips(4 * step), step)[1]
        exit_at = [grad for _, grad in seen].index(True)
        cases.add((metrics["steps"], exit_at > 0, step >= 12))
        expected = exit_at > 0 and aligned(step, int(metrics["steps"]))
        assert len(features) == 2 * expected
        assert len(seen) == CHUNKS * (exit_at + 1) + CHUNKS - 1 + expected * (
            CHUNKS * (exit_at + 1) + exit_at * CHUNKS + CHUNKS - 1
        )
        assert ("align" in metrics) == expected
    assert {case[:2] for case in cases} == {(2, False), (2, True), (4, False), (4, True)}
    assert {case[1:] for case in cases} == {(False, False), (False, True), (True, False), (True, True)}


def test_a_share_of_the_rollouts_is_aligned_and_micro_batches_agree_which() -> None:
    """Of those that exit below their first step: 3 of 4 at K = 4."""
    changes = {"rollout": always(4), "objectives": {"dmd": {}, "align": {"probability": 0.4}}}
    method, _ = build(**changes)
    halves = [["align" in method.loss("generator", clips(4 * i + j, 1), 0)[1] for i in range(30)] for j in (0, 2)]
    assert halves[0] == halves[1]
    assert 3 < sum(halves[0]) < 17


# ---------------------------------------------------------------------------------------------- history
def with_history(clips_before: int, switch: float, **changes: Any) -> Autoregressive:
    history = {"kind": "autoregressive", "history": {"clips": clips_before, "switch": switch}}
    setting = causal_experiment(rollout=history, **changes)
    return rollout_of(setting, causal_network(setting))


def told(rollout: Autoregressive, batch: Batch, step: int, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of every chunk of a rollout, whether it is told the batch's own captions."""
    seen: list[bool] = []
    calls = spy(monkeypatch, rollouts, "autoregressive")
    rollout(batch, step, "generator")
    (_, _, text, noise, *_, judged_from, _), made = calls[0]
    seen += [text(start) is batch.text for start in range(noise.shape[2])]
    assert made.x_0.shape == batch.x_0.shape
    assert noise.shape[2] - judged_from == batch.x_0.shape[2]
    monkeypatch.undo()
    return seen


def test_histories_are_of_any_length_up_to_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    rollout, batch = with_history(2, switch=0.0), clips(size=1)
    lengths = Counter(len(told(rollout, batch, step, monkeypatch)) // CHUNKS - 1 for step in range(24))
    assert set(lengths) == {0, 1, 2}
    assert min(lengths.values()) >= 3


@pytest.mark.parametrize("switch", [0.0, 1.0])
def test_the_prompt_changes_where_the_judged_clip_begins(switch: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout, batch = with_history(1, switch), clips(size=1)
    for step in range(6):
        own = told(rollout, batch, step, monkeypatch)
        assert own[-CHUNKS:] == [True] * CHUNKS
        assert own[:-CHUNKS] == [not switch] * (len(own) - CHUNKS)


def test_with_no_clip_before_it_the_judged_one_is_as_without_a_history() -> None:
    rollout, batch = with_history(1, switch=1.0), clips(size=1)
    plain = rollout_of(causal_experiment(), rollout.model)
    same = [torch.equal(rollout(batch, i, "generator").x_0, plain(batch, i, "generator").x_0) for i in range(8)]
    assert any(same), "some updates have no history"
    assert not all(same), "others have one, and it matters"
