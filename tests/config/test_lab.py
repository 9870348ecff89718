"""Section `exact` of scales, and what experiments may ask of small networks: every bad input is one line."""

import shutil

import pytest

from salt.config import load_experiment, load_scale, repository_root, training_hash
from salt.config.hashing import NOT_TRAINING
from salt.config.lab import Chain, Exact, Mixture
from support.lab import message

LAB, CHAIN = (
    (repository_root() / "experiments" / "scales" / f"{name}.yaml").read_text() for name in ("lab", "lab_chain")
)
WORLD = "exact:\n  world"
FIRST = "{weight: 0.65, mean: [-1.0, -0.5], spread: [0.15, 0.25]}"
SECOND = "{weight: 0.35, mean: [1.0, -0.5], spread: [0.15, 0.25]}"
BACKBONE = "backbone: {num_layers: 1, num_attention_heads: 1, attention_head_dim: 12, ffn_dim: 8}\n"
MIXTURE_KEYS, CHAIN_KEYS = "accepted: kind, captions, style", "kind, chunks, generated, angle, weights, spread"


@pytest.fixture
def experiments(tmp_path, monkeypatch):
    """A copy of `experiments/`, which `SALT_ROOT` points to."""
    shutil.copytree(repository_root() / "experiments", tmp_path / "experiments")
    monkeypatch.setenv("SALT_ROOT", str(tmp_path))
    return tmp_path / "experiments"


# ------------------------------------------------------------------------------------------------- worlds
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            FIRST,
            FIRST.replace("0.65", "0.5"),
            "exact.world: captions.left: the weights of its modes add up to 0.85; acc",
        ),
        (FIRST, FIRST.replace("0.65", "0"), "exact.world.captions.left.0.weight = 0: accepted: greater than 0"),
        (FIRST, FIRST.replace("0.65", "-0.65"), "captions.left.0.weight = -0.65: accepted: greater than 0"),
        (
            FIRST,
            FIRST.replace("weight", "weigth"),
            "left.0.weigth = 0.65: unknown key; did you mean 'weight'? accepted",
        ),
        (FIRST, FIRST.replace("0.25", "0"), "exact.world.captions.left.0.spread.1 = 0: accepted: greater than 0"),
        (FIRST, FIRST.replace("0.25", "-0.25"), "captions.left.0.spread.1 = -0.25: accepted: greater than 0"),
        (
            FIRST,
            FIRST.replace(", 0.25", ""),
            "captions.left: a mode with 2 means and 1 spreads; accepted: 2 of each, as",
        ),
        (FIRST, FIRST.replace("-0.5", "left"), 'captions.left.0.mean.1 = "left": accepted: a valid number'),
        (
            f"- {FIRST}\n        - {SECOND}",
            f"- {FIRST.replace('0.65', '1.0')}",
            "captions.right: 2 modes; accepted: 1, as",
        ),
        (f"- {SECOND}", "-", "captions.left.1 = null: accepted: a mapping of weight, mean, spread"),
        ("kind: mixture", "kind: mixtur", "exact.world.kind = \"mixtur\": accepted: 'mixture' or 'chain'"),
        ("    kind: mixture\n", "", "exact.world.kind: missing; accepted: 'mixture' or 'chain'"),
        ("kind: mixture", "kind: mixture\n    chunks: 3", f"exact.world.chunks = 3: unknown key; {MIXTURE_KEYS}"),
        ("kind: mixture", "kind: chain", f"unknown key; accepted: {CHAIN_KEYS}"),
        ("kind: mixture", "kind: mixture\n    style: 2", "exact.world: style=2: accepted: a coordinate, 0 to 1"),
        (
            "width: 64",
            "widht: 64",
            "exact.network.widht = 64: unknown key; did you mean 'width'? accepted: width, layers",
        ),
        ("width: 64", "width: 0", "exact.network.width = 0: accepted: greater than 0"),
        (WORLD, "exact:\n  members: 0\n  world", "exact.members = 0: accepted: greater than 0"),
        (
            WORLD,
            "exact:\n  explore: {first: 0, last: 14}\n  world",
            "exact: explore: seeds 0 to 14: accepted: a multiple of",
        ),
        (
            WORLD,
            "exact:\n  confirm: {first: 100, last: 130}\n  world",
            "confirm: seeds 100 to 130: accepted: a multiple of",
        ),
        (
            WORLD,
            "exact:\n  explore: {first: 5, last: 4}\n  world",
            "exact: explore: seeds 5 to 4: accepted: a multiple of",
        ),
        (
            WORLD,
            "exact:\n  explore: {first: 96, last: 111}\n  world",
            "exact: confirm.first=100: accepted: seeds beyond exp",
        ),
        (
            WORLD,
            "exact:\n  confirm: {first: 0, last: 15}\n  world",
            "confirm.first=0: accepted: seeds beyond explore.last=15",
        ),
        (
            WORLD,
            "exact:\n  measured: {samples: 4}\n  world",
            "exact.measured.samples = 4: accepted: greater than or equal",
        ),
        (
            WORLD,
            "exact:\n  measured: {solvers: [heun]}\n  world",
            "exact.measured.solvers.0 = \"heun\": accepted: 'euler' or",
        ),
        (WORLD, f"{BACKBONE}{WORLD}", "backbone and exact: accepted: backbone (a Wan) or exact (small networks), one"),
    ],
)
def test_a_wrong_mixture_is_one_line(experiments, old, new, told):
    assert old in LAB
    (experiments / "scales" / "lab.yaml").write_text(LAB.replace(old, new, 1))
    text = message(load_scale, "lab")
    assert text.startswith("experiments/scales/lab.yaml: ")
    assert told in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "[0.65, 0.35]",
            "[0.6, 0.35]",
            "exact.world: weights: the shares of the two turns add up to 0.95; accepted: 1",
        ),
        ("[0.65, 0.35]", "[1.0, 0.0]", "exact.world.weights.1 = 0.0: accepted: greater than 0"),
        ("[0.65, 0.35]", "[1.0]", "exact.world.weights.1: missing; accepted: a longer list"),
        ("spread: 0.12", "spread: 0", "exact.world.spread = 0: accepted: greater than 0"),
        ("spread: 0.12", "spread: -1", "exact.world.spread = -1: accepted: greater than 0"),
        (
            "spread: 0.12",
            "sprad: 0.12",
            "exact.world.sprad = 0.12: unknown key; did you mean 'spread'? accepted: kind, chunks",
        ),
        ("chunks: 4", "chunks: 1", "exact.world.chunks = 1: accepted: greater than or equal to 2"),
    ],
)
def test_a_wrong_chain_is_one_line(experiments, old, new, told):
    assert old in CHAIN
    (experiments / "scales" / "lab_chain.yaml").write_text(CHAIN.replace(old, new, 1))
    text = message(load_scale, "lab_chain")
    assert text.startswith("experiments/scales/lab_chain.yaml: ")
    assert told in text


def test_a_scale_without_any_network_is_one_line(experiments):
    (experiments / "scales" / "lab.yaml").write_text("meaningful: false\n")
    assert "backbone and exact: accepted: backbone (a Wan) or exact" in message(load_scale, "lab")
    (experiments / "scales" / "lab.yaml").write_text(BACKBONE)
    assert "assets: missing; accepted: the folder of codec" in message(load_scale, "lab")


# -------------------------------------------------------------------------------------------- experiments
@pytest.mark.parametrize(
    ("row", "scale", "key", "value", "told"),
    [
        ("sc_dmd", "paper", "objectives.dmd.teacher", "exact", "but the world of scale paper cannot name its modes"),
        ("sc_dmd", "lab", "objectives.dmd.teacher", "exat", "accepted: 'own', 'larger' or 'exact'"),
        ("sc_dmd", "lab", "objectives.dmd.teacher", "larger", "but scale lab has no `larger`: own is accepted"),
        (
            "sc_dmd",
            "lab",
            "objectives.dmd.normaliser",
            "global",
            "would mix the members of an ensemble: per_sample or none",
        ),
        ("sc_dmd", "lab", "train.accumulate", "2", "accepted: train.accumulate=1, shard=false, context_parallel=1"),
        ("sc_dmd", "lab", "train.shard", "true", "accepted: train.accumulate=1, shard=false, context_parallel=1"),
        (
            "sc_dmd",
            "lab",
            "train.context_parallel",
            "2",
            "accepted: train.accumulate=1, shard=false, context_parallel=1",
        ),
        (
            "sc_dmd",
            "lab",
            "train.optimiser.muon_lr",
            "0.01",
            "small networks have no blocks of matrices; accepted: null",
        ),
        (
            "sc_dmd",
            "lab",
            "train.critic.optimiser.muon_lr",
            "0.01",
            "small networks have no blocks of matrices; accepted:",
        ),
        ("sc_dmd", "lab", "rollout.last", "1.5", "rollout.last = 1.5: accepted: less than or equal to 1"),
        ("sc_dmd", "lab", "rollout.last", "-0.5", "rollout.last = -0.5: accepted: greater than or equal to 0"),
        ("ode_init", "lab", "pairs.teacher", "teacher", "pairs.teacher=teacher: accepted in an exact world: exact"),
        ("ode_init", "paper", "pairs.teacher", "exact", "pairs.teacher=exact, but init=teacher: accepted: `teacher`"),
        ("ode_init", "tiny", "causal", "null", "objectives.ode starts causal students: give causal.chunk"),
        ("salt_causal_forcing", "lab_chain", "objectives.align.features", "teacher", "no features; accepted: critic"),
        (
            "salt_causal_forcing",
            "lab_chain",
            "causal.memory.window",
            "2",
            "memory.window=2: small causal networks see the",
        ),
        (
            "salt_causal_forcing",
            "lab_chain",
            "causal.memory.window",
            "null",
            "memory.window=None: small causal networks see",
        ),
        (
            "salt_causal_forcing",
            "lab_chain",
            "causal.memory.sink",
            "1",
            "and nothing else; accepted: chunk 1, window 1, no",
        ),
        ("salt_causal_forcing", "lab_chain", "causal.memory.positions", "relative", "nothing else; accepted: chunk 1"),
        (
            "salt_causal_forcing",
            "lab_chain",
            "causal.chunk",
            "2",
            "causal.chunk=2, causal.memory.window=1: small causal",
        ),
        (
            "salt_causal_forcing",
            "lab_chain",
            "rollout.history",
            '{"clips": 1}',
            "no clips before the judged one; accepted",
        ),
        ("causvid", "lab_chain", "train.critic.knows_exit", "true", "an exit for each chunk; accepted: false"),
        ("sc_dmd", "tiny_i2v", "train.critic.knows_exit", "true", "take captions of one length; accepted: false"),
    ],
)
def test_what_small_networks_cannot_do_is_one_line(row, scale, key, value, told):
    text = message(load_experiment, row, scale, {key: value})
    assert told in text
    assert key.split(".")[-1] in text
    assert text.startswith(("experiments/", "command line"))


def test_alignment_needs_tokens_of_each_chunk(experiments):
    scale = CHAIN.replace("exact:\n", "exact:\n  network: {width: 24}\n", 1)
    (experiments / "scales" / "lab_chain.yaml").write_text(scale)
    text = message(load_experiment, "salt_causal_forcing", "lab_chain")
    assert "scale.exact.network.width=24 is shared among the chunks, in tokens of 4: accepted: a multiple of 16" in text


# ------------------------------------------------------------------------------------------- what decides
def test_only_what_trains_decides_the_hash(experiments):
    """What is measured and which seeds there are does not make an arm another one; world and networks do."""

    def trained(text: str) -> str:
        (experiments / "scales" / "lab.yaml").write_text(text)
        return training_hash(load_experiment("sc_dmd", "lab"))

    before = trained(LAB)
    for same in ("measured: {samples: 64}", "explore: {first: 0, last: 31}", "confirm: {first: 200, last: 215}"):
        assert trained(LAB.replace(WORLD, f"exact:\n  {same}\n  world", 1)) == before, same
    assert trained(LAB.replace("width: 64", "width: 32")) != before
    assert trained(LAB.replace(FIRST, FIRST.replace("-1.0", "-1.1"))) != before


def test_keys_of_the_lab_change_no_hash_elsewhere():
    """Defaults are left out of what is hashed: no training from before the lab is made again."""
    shown = load_experiment("sc_dmd", "paper").model_dump_json(exclude=NOT_TRAINING)
    assert not any(key in shown for key in ("knows_exit", '"last"', '"exact"', '"lab"'))


def test_the_lab_is_as_it_says():
    lab, chain, small, small_chain = (load_scale(name) for name in ("lab", "lab_chain", "lab_smoke", "lab_chain_smoke"))
    assert (lab.beside, small.beside) == ("lab_chain", "lab_chain_smoke")
    assert chain.beside is small_chain.beside is None
    for scale, kind, shape in ((lab, Mixture, (2, 1, 1, 1)), (chain, Chain, (2, 4, 1, 1))):
        assert isinstance(scale.exact, Exact)
        assert isinstance(scale.exact.world, kind)
        assert scale.latent_shape == shape
        assert scale.exact.members == 16
        assert (scale.exact.explore.last, scale.exact.confirm.first, scale.exact.confirm.last) == (15, 100, 131)
    assert small.exact.world == lab.exact.world
    assert small_chain.exact.world == chain.exact.world
    assert lab.exact.network == chain.exact.network
