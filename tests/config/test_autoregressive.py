"""What does not fit together in autoregressive experiments is told in one line, before any work."""

import pytest

from salt.config import load_experiment
from salt.errors import SaltError

AUTOREGRESSIVE = """
extends: dmd
causal: {chunk: 1}
rollout: {kind: autoregressive, steps: {"2": 0.2, "4": 0.4, "8": 0.4}}
objectives:
  sc: {rollouts: [8]}
  align: {}
"""
ODE = """
title: ODE
init: ar
causal: {chunk: 1}
grid: {steps: 4, train_steps: 8}
objectives: {ode: {}}
pairs: {teacher: ar}
train: {critic: null}
"""


def message(name):
    with pytest.raises(SaltError) as caught:
        load_experiment(name, "one")
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{chunk: 1}", "{chunk: 0}", "ar.yaml: causal.chunk = 0: accepted: greater than 0"),
        ("{chunk: 1}", "{}", "ar.yaml: causal.chunk: missing; accepted: Latent frames made at once."),
        (
            "{chunk: 1}",
            "{chunk: 2}",
            "causal.chunk=2 does not divide the 3 latent frames of a clip; accepted: a divisor",
        ),
        ("{chunk: 1}", "{chunk: 1, memory: {window: 1, sink: 2}}", "sink=2 must not be larger than window=1"),
        ("{chunk: 1}", "{chunk: 1, memory: {sink: 1}}", "causal.memory: sink and sink_ema need a window: with none"),
        ("{chunk: 1}", "{chunk: 1, memory: {sink_ema: 0.9}}", "causal.memory: sink and sink_ema need a window"),
        ("{chunk: 1}", "{chunk: 1, memory: {window: 2, sink_ema: 0.9}}", "sink_ema mixes into the sink: sink must be"),
        (
            "{chunk: 1}",
            "{chunk: 1, memory: {window: 2, sink: 1, sink_ema: 1}}",
            "ar.yaml: causal.memory.sink_ema = 1: accepted: less than 1",
        ),
        (
            "{chunk: 1}",
            "{chunk: 1, memory: {positions: rotary}}",
            "causal.memory.positions = \"rotary\": accepted: 'absolute' or 'relative'",
        ),
        ("{chunk: 1}", "{chunk: 1, memory: {on_switch: drop}}", "accepted: 'keep' or 'recache'"),
        (
            "{chunk: 1}",
            "null",
            "ar.yaml: rollout.kind=autoregressive needs a causal generator and objectives.dmd: give",
        ),
        (
            "kind: autoregressive",
            "kind: noised_data",
            "ar.yaml: rollout: steps belongs to autoregressive rollouts, but kind=noised_data",
        ),
        (
            'autoregressive, steps: {"2": 0.2, "4": 0.4, "8": 0.4}',
            "backward_simulation",
            "ar.yaml: rollout.kind=backward_simulation makes whole clips: autoregressive is the causal one",
        ),
        (
            'autoregressive, steps: {"2": 0.2, "4": 0.4, "8": 0.4}',
            "noised_data",
            "ar.yaml: objectives.align compares autoregressive rollouts, but rollout.kind=noised_data",
        ),
        (
            'steps: {"2": 0.2, "4": 0.4, "8": 0.4}',
            'steps: {"8": 1.0}, history: {clips: 400}',
            "ar.yaml: rollouts of 1203 latent frames, but scale.backbone.rope_max_seq_len=1024; accepted: fewer "
            "rollout.history.clips, or causal.memory.positions: relative",
        ),
        (
            "{kind: autoregressive,",
            "{kind: autoregressive, clean: true,",
            "ar.yaml: rollout: clean belongs to noised data judged at any level, but kind=autoregressive, last=0",
        ),
        (
            'kind: autoregressive, steps: {"2": 0.2, "4": 0.4, "8": 0.4}',
            "kind: noised_data, cache_gradient: exit",
            "ar.yaml: rollout: cache_gradient belongs to autoregressive rollouts, but kind=noised_data",
        ),
        ('"8": 0.4', '"8": 0.3', "ar.yaml: rollout: steps: the shares add up to 0.9; accepted: 1"),
        ('"8": 0.4', "8: 0.4", "ar.yaml, line 4: not valid YAML: key '8' is not text: quote it"),
        ('"8": 0.4', '"8": 1.4', "ar.yaml: rollout.steps.8 = 1.4: accepted: less than or equal to 1"),
        ('"8": 0.4', "eight: 0.4", 'ar.yaml: rollout.steps.eight.[key] = "eight": accepted: a valid integer'),
        ('"8": 0.4', '"3": 0.4', "rollout.steps: K=3 is not on the training grid: a divisor of grid.train_steps=8"),
        ('"8": 0.4', '"16": 0.4', "rollout.steps: K=16 is not on the training grid: a divisor of grid.train_steps=8"),
        ("[8]", "[8, 5]", "objectives.sc.rollouts: K=5 is not on the training grid"),
        ("[8]", "[0]", "ar.yaml: objectives.sc.rollouts.0 = 0: accepted: greater than 0"),
        ("[8]", "[1]", "ar.yaml: objectives.sc.rollouts: [1], but rollouts have K in [2, 4, 8]: it would never act"),
        (
            ', steps: {"2": 0.2, "4": 0.4, "8": 0.4}}',
            "}",
            "ar.yaml: objectives.align.references: [2, 4], but rollouts have K in [8]: it would never act",
        ),
        (
            '"2": 0.2, "4": 0.4, "8": 0.4',
            '"2": 0.5, "4": 0.5',
            "ar.yaml: objectives.sc.rollouts: [8], but rollouts have K in [2, 4]: it would never act",
        ),
        (
            "align: {}",
            'align: {references: {"4": 16}}',
            "objectives.align.references: K=16 is not on the training grid",
        ),
        (
            "align: {}",
            'align: {references: {"4": 6}}',
            "objectives.align: references: 4: 6; accepted: a larger multiple",
        ),
        (
            "align: {}",
            'align: {references: {"4": 4}}',
            "objectives.align: references: 4: 4; accepted: a larger multiple",
        ),
        ("align: {}", "align: {probability: 2}", "objectives.align.probability = 2: accepted: less than or equal to 1"),
        ("align: {}", "align: {features: student}", "objectives.align.features = \"student\": accepted: 'teacher' or"),
        ("align: {}", "dmd: null", "objectives: driving objectives given: none; accepted: exactly one of dmd"),
        (
            "align: {}",
            "dmd: null\n  flow_matching: {}\ntrain: {critic: null}",
            "objectives: sc: not added to flow_matching; accepted beside it: none",
        ),
        ("align: {}", "ode: {}", "objectives: driving objectives given: dmd, ode; accepted: exactly one of dmd"),
    ],
)
def test_autoregressive_experiment_file(repository, old, new, told):
    repository.write("ar.yaml", AUTOREGRESSIVE)
    assert load_experiment("ar", "one").objectives.align.references == {2: 4, 4: 8}
    assert old in AUTOREGRESSIVE
    repository.write("ar.yaml", AUTOREGRESSIVE.replace(old, new, 1))
    text = message("ar")
    assert text.startswith("experiments/ar.yaml")
    assert told in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pairs: {teacher: ar}\n", "", "objectives.ode and pairs belong together: give both or neither"),
        ("{ode: {}}", "{flow_matching: {}}", "objectives.ode and pairs belong together: give both or neither"),
        ("{ode: {}}", "{ode: {}, sc: {}}", "sc: not added to ode; accepted beside it: none"),
        ("{ode: {}}", "{ode: {}, dmd: {}}", "objectives: driving objectives given: dmd, ode; accepted: exactly one"),
        ("causal: {chunk: 1}\n", "", "ode.yaml: objectives.ode starts causal students: give causal.chunk"),
        (
            "objectives: {ode: {}}",
            "objectives: {ode: {}}\nrollout: {kind: autoregressive}",
            "ode.yaml: rollout.kind=autoregressive needs a causal generator and objectives.dmd",
        ),
        (
            "objectives: {ode: {}}",
            "objectives: {ode: {}}\nrollout: {kind: backward_simulation}",
            "ode.yaml: rollout.kind=backward_simulation makes whole clips: autoregressive is the causal one",
        ),
        ("train: {critic: null}", "", "objectives.dmd and train.critic belong together: give both or neither"),
        (
            "{teacher: ar}",
            "{solver_steps: 20}",
            "pairs.solver_steps=20 does not pass the levels of T_train: a multiple",
        ),
        ("{teacher: ar}", "{count: 0}", "ode.yaml: pairs.count = 0: accepted: greater than 0"),
        ("{teacher: ar}", "{teacher: AR}", 'ode.yaml: pairs.teacher = "AR": accepted: '),
        ("init: ar\n", "", "pairs.teacher=ar, but init=teacher: accepted: `teacher`, or the causal teacher that init"),
    ],
)
def test_regression_experiment_file(repository, old, new, told):
    repository.write("ode.yaml", ODE)
    assert load_experiment("ode", "one").pairs.solver_steps == 48
    assert old in ODE
    repository.write("ode.yaml", ODE.replace(old, new, 1))
    text = message("ode")
    assert text.startswith("experiments/ode.yaml")
    assert told in text


def test_a_law_of_steps_is_replaced_with_nulls(repository):
    """Mappings are merged key by key, also this one."""
    repository.write("ar.yaml", AUTOREGRESSIVE)
    repository.write("naive.yaml", 'extends: ar\nrollout: {steps: {"4": 1.0}}\n')
    assert "experiments/naive.yaml: rollout" in message("naive")
    naive = 'extends: ar\nrollout: {steps: {"2": null, "4": 1.0, "8": null}}\n'
    repository.write("naive.yaml", naive)
    assert "objectives.sc.rollouts: [8], but rollouts have K in [4]: it would never act" in message("naive")
    repository.write("naive.yaml", naive + "objectives: {sc: {rollouts: null}}\n")
    assert load_experiment("naive", "one").rollout.steps == {4: 1.0}
    overrides = {"rollout.steps.2": "0.6", "rollout.steps.4": "null"}
    assert load_experiment("ar", "one", overrides).rollout.steps == {2: 0.6, 8: 0.4}
