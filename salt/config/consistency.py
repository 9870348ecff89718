"""What the parts of an experiment must be for each other, each rule with the reason.

A rule takes a whole experiment and raises a `ValueError` that names the key, its value and what is accepted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from salt.config.lab import TOKEN_WIDTH, Exact
from salt.config.memory import Memory
from salt.config.objectives import PCM, Align
from salt.config.train import Critic

if TYPE_CHECKING:
    from salt.config.schema import Experiment


def _one_implies_the_other(experiment: "Experiment") -> None:
    """Sections that are given both or neither."""
    objectives, train, causal = experiment.objectives, experiment.train, experiment.causal
    if causal is not None and experiment.scale.image_to_video:
        raise ValueError(
            f"networks of scale {experiment.scale.name} are conditioned on a first frame, which causal ones do not "
            "take; accepted: an experiment of whole clips"
        )
    pairs = {
        "objectives.dmd and train.critic": (objectives.dmd, train.critic),
        "objectives.adversarial and train.discriminator": (objectives.adversarial, train.discriminator),
        "objectives.ode and pairs": (objectives.ode, experiment.pairs),
    }
    for names, (one, other) in pairs.items():
        if (one is None) != (other is None):
            raise ValueError(f"{names} belong together: give both or neither")
    if objectives.adversarial is not None:
        depth = experiment.looked_through(objectives.adversarial.features).num_layers
        objectives.adversarial.check(train, depth, experiment.scale.exact is not None)


def _rollout_of_its_network(experiment: "Experiment") -> None:
    """Rollouts that causal networks, networks of whole clips and networks of two times can make."""
    kind, causal, objectives = experiment.rollout.kind, experiment.causal, experiment.objectives
    if kind == "autoregressive" and (causal is None or objectives.dmd is None):
        raise ValueError("rollout.kind=autoregressive needs a causal generator and objectives.dmd: give causal.chunk")
    if experiment.flow_map is None and (objectives.flow_map is not None or kind == "flow_map"):
        raise ValueError("objectives.flow_map and rollout.kind=flow_map are of networks of two times: give flow_map")
    if experiment.flow_map is not None:
        _of_two_times(experiment)
    if kind == "backward_simulation" and causal is not None:
        raise ValueError("rollout.kind=backward_simulation makes whole clips: autoregressive is the causal one")


def _teacher_of_its_scale(experiment: "Experiment") -> None:
    """Teachers, closed forms among them, that the scale has."""
    scale, objectives, causal = experiment.scale, experiment.objectives, experiment.causal
    pairs, flow_matching = experiment.pairs, objectives.flow_matching
    exact = ("exact",) if scale.names_modes or scale.exact is not None else ()
    if pairs is not None and pairs.teacher not in ("teacher", experiment.init, *exact):
        raise ValueError(
            f"pairs.teacher={pairs.teacher}, but init={experiment.init}: accepted: `teacher`, or the causal teacher "
            "that init names, since a student starts from the teacher it imitates"
        )
    if objectives.dmd is not None and objectives.dmd.teacher == "larger" and scale.larger is None:
        raise ValueError(f"objectives.dmd.teacher=larger, but scale {scale.name} has no `larger`: own is accepted")
    if flow_matching is not None and flow_matching.target == "exact" and not scale.names_modes:
        raise ValueError(
            f"objectives.flow_matching.target=exact, but the world of scale {scale.name} cannot name its "
            "modes: sample is accepted"
        )
    if flow_matching is not None and flow_matching.target == "exact" and causal is not None:
        raise ValueError("objectives.flow_matching.target=exact is of whole clips; accepted, with causal: sample")
    if flow_matching is not None and experiment.grid.levels is not None:
        raise ValueError(
            "grid.levels are a student's; objectives.flow_matching draws its times from all of [0, 1]; accepted: null"
        )
    distilled = (objectives.dmd, objectives.pcm)
    if any(objective is not None and objective.teacher == "exact" for objective in distilled):
        _exact_teacher(experiment)
    if scale.exact is not None:
        _small_networks(experiment, scale.exact)


def _objectives_of_its_student(experiment: "Experiment") -> None:
    """What objectives and rollouts ask of the clips and chunks that a student makes."""
    objectives, causal, critic = experiment.objectives, experiment.causal, experiment.train.critic
    if critic is not None and (critic.knows_exit or critic.knows_steps):
        _one_token_of_a_clip(experiment, critic)
    if objectives.pcm is not None:
        _whole_phases(experiment, objectives.pcm)
    if objectives.ode is not None and causal is None and experiment.scale.exact is None:
        raise ValueError("objectives.ode starts causal students: give causal.chunk")
    if objectives.align is not None:
        _features_of_rollouts(experiment, objectives.align)
    if experiment.rollout.clean:
        _clean_chunks(experiment)
    if causal is not None:
        frames = experiment.scale.latent_shape[1]
        _whole_chunks(frames, causal.chunk)
        _within_rotary_table(experiment, frames, causal.memory)


def _of_two_times(experiment: "Experiment") -> None:
    if experiment.causal is not None:
        raise ValueError("flow_map: networks of two times make whole clips: leave causal out")
    if experiment.objectives.dmd is not None and experiment.rollout.kind != "flow_map":
        raise ValueError(f"rollout.kind={experiment.rollout.kind}: accepted of networks of two times: flow_map")
    known = {"dmd", "adversarial", "flow_map"}
    if beside := sorted(experiment.objectives.given().keys() - known):
        raise ValueError(
            f"objectives.{beside[0]} is not of networks of two times; accepted: {', '.join(sorted(known))}"
        )


def _features_of_rollouts(experiment: "Experiment", align: Align) -> None:
    if experiment.rollout.kind != "autoregressive":
        raise ValueError(
            f"objectives.align compares autoregressive rollouts, but rollout.kind={experiment.rollout.kind}"
        )
    depth = experiment.looked_through(align.features).num_layers
    if align.block is not None and align.block >= depth:
        raise ValueError(f"objectives.align.block={align.block}: accepted: 0 to {depth - 1}, the network's blocks")


def _clean_chunks(experiment: "Experiment") -> None:
    if experiment.causal is None or experiment.scale.exact is not None:
        raise ValueError("rollout.clean is for the chunks of a causal Wan; accepted: false")
    if experiment.objectives.sc is not None:
        raise ValueError("rollout.clean: a clean chunk has no triple for objectives.sc; accepted: one of the two")
    if experiment.of_clean_chunks:
        assert experiment.pairs is not None
        raise ValueError(
            f"rollout.clean: with pairs.teacher={experiment.pairs.teacher} all chunks see clean ones; accepted: false"
        )


def _exact_teacher(experiment: "Experiment") -> None:
    if experiment.scale.exact is None and not experiment.scale.names_modes:
        raise ValueError(
            f"objectives: teacher=exact, but the world of scale {experiment.scale.name} cannot name its modes (that "
            "takes `exact`, or objects that turn round and no first frame): own is accepted"
        )


def _small_networks(experiment: "Experiment", exact: Exact) -> None:
    """What members of an ensemble, which are rows of one batch, cannot have."""
    train, dmd, align = experiment.train, experiment.objectives.dmd, experiment.objectives.align
    others = [one.optimiser for one in (train.critic, train.discriminator) if one is not None]
    if train.accumulate > 1 or train.shard or train.context_parallel > 1:
        raise ValueError(
            f"the networks of scale {experiment.scale.name} are trained many at once, on one batch in one process: "
            "accepted: train.accumulate=1, shard=false, context_parallel=1"
        )
    if any(one.muon_lr is not None for one in (train.optimiser, *others)):
        raise ValueError("optimiser.muon_lr: small networks have no blocks of matrices; accepted: null")
    if experiment.pairs is not None and experiment.pairs.teacher != "exact":
        raise ValueError(f"pairs.teacher={experiment.pairs.teacher}: accepted in an exact world: exact")
    if dmd is not None and dmd.normaliser == "global":
        raise ValueError("objectives.dmd.normaliser=global would mix the members of an ensemble: per_sample or none")
    if align is not None and align.features == "teacher":
        raise ValueError("objectives.align.features=teacher: an exact teacher has no features; accepted: critic")
    if align is not None and exact.network.width % (tokens := TOKEN_WIDTH * experiment.scale.latent_shape[1]):
        raise ValueError(
            f"objectives.align: scale.exact.network.width={exact.network.width} is shared among the chunks, in "
            f"tokens of {TOKEN_WIDTH}: accepted: a multiple of {tokens}"
        )
    causal = experiment.causal
    if causal is not None and (causal.chunk, causal.memory) != (1, Memory(window=1)):
        raise ValueError(
            f"causal.chunk={causal.chunk}, causal.memory.window={causal.memory.window}: small causal networks see the "
            "one chunk before and nothing else; accepted: chunk 1, window 1, no sink"
        )
    if experiment.rollout.cache_gradient != "none":
        raise ValueError(
            f"rollout.cache_gradient={experiment.rollout.cache_gradient}: small causal networks remember a chunk, no "
            "keys and values; accepted: none"
        )
    if experiment.rollout.history is not None:
        raise ValueError("rollout.history: an exact world has no clips before the judged one; accepted: null")


def _one_token_of_a_clip(experiment: "Experiment", critic: Critic) -> None:
    """What a critic can be told: one number for each clip, as a token beside its caption."""
    if critic.knows_exit and experiment.causal is not None and experiment.rollout.kind == "noised_data":
        raise ValueError(
            "train.critic.knows_exit: noised data of a causal student have an exit for each chunk; accepted: false"
        )
    if experiment.scale.image_to_video:
        raise ValueError(
            f"train.critic.knows_exit, knows_steps: networks of scale {experiment.scale.name} take captions of one "
            "length; accepted: false"
        )


def _whole_phases(experiment: "Experiment", pcm: PCM) -> None:
    if experiment.causal is not None:
        raise ValueError("objectives.pcm is for whole clips: leave causal out")
    if pcm.solver_steps % experiment.grid.steps:
        raise ValueError(
            f"objectives.pcm.solver_steps={pcm.solver_steps} cannot be split into phases: a multiple of grid.steps="
            f"{experiment.grid.steps} is accepted"
        )


def _within_rotary_table(experiment: "Experiment", frames: int, memory: Memory) -> None:
    history, table = experiment.rollout.history, experiment.scale.backbone.rope_max_seq_len
    longest = frames * (1 + (history.clips if history else 0))
    if memory.positions == "absolute" and longest > table:
        raise ValueError(
            f"rollouts of {longest} latent frames, but scale.backbone.rope_max_seq_len={table}; accepted: fewer "
            "rollout.history.clips, or causal.memory.positions: relative"
        )


def _whole_chunks(frames: int, chunk: int) -> None:
    if frames % chunk:
        raise ValueError(
            f"causal.chunk={chunk} does not divide the {frames} latent frames of a clip; accepted: a divisor"
        )


def _everything_begins(experiment: "Experiment") -> None:
    """What would begin after the last update would be absent without a word."""
    train, objectives = experiment.train, experiment.objectives
    begins = {
        "train.ema.start": train.ema.start,
        "objectives.align.start": objectives.align.start if objectives.align else 0,
        "objectives.scm.warmup": objectives.scm.warmup if objectives.scm else 0,
        "objectives.adversarial.start": objectives.adversarial.start if objectives.adversarial else 0,
    }
    for key, start in begins.items():
        if start >= train.iterations:
            raise ValueError(
                f"{key}={start}, but train.iterations={train.iterations}: what it puts off would never be; "
                "accepted: less"
            )
    if not any(section.weight for section in objectives.given().values()):
        raise ValueError("objectives: every weight is 0, and nothing would be learnt; accepted: one above 0")


def _tokens_are_shared_evenly(experiment: "Experiment") -> None:
    processes, most = experiment.train.context_parallel, experiment.shareable
    if most % processes:
        why = "causal networks are not shared" if experiment.causal else "tokens and heads are split evenly"
        raise ValueError(f"train.context_parallel={processes}: accepted: a divisor of {most} ({why})")


def _consistency_has_whole_networks(experiment: "Experiment") -> None:
    scm, train = experiment.objectives.scm, experiment.train
    if scm is not None and experiment.causal is not None:
        raise ValueError("objectives.scm is for whole clips, but `causal` is given: remove one of them")
    if scm is not None and scm.derivative == "forward_mode" and (train.shard or train.context_parallel > 1):
        raise ValueError(
            "objectives.scm.derivative=forward_mode needs whole networks (train.shard=false, "
            "train.context_parallel=1); accepted otherwise: difference"
        )


def _steps_are_nested(experiment: "Experiment") -> None:
    """Every K is on the training grid (T2 < T4 < T8); else a rollout's states would not lie where triples do."""
    align, sc, pairs = experiment.objectives.align, experiment.objectives.sc, experiment.pairs
    levels = experiment.grid.train_steps
    mixed = tuple(experiment.rollout.steps or (levels,))
    named = {"rollout.steps": mixed, "objectives.sc.rollouts": (sc and sc.rollouts) or ()}
    acts_on = {"objectives.sc.rollouts": named["objectives.sc.rollouts"]}
    if align is not None:
        named["objectives.align.references"] = tuple(align.references.values())
        acts_on["objectives.align.references"] = tuple(align.references)
    if pairs is not None and experiment.grid.levels is None and pairs.solver_steps % levels:
        raise ValueError(
            f"pairs.solver_steps={pairs.solver_steps} does not pass the levels of T_train: a multiple of "
            f"grid.train_steps={levels} is accepted"
        )
    for key, values in named.items():
        for steps in values:
            if levels % steps:
                raise ValueError(
                    f"{key}: K={steps} is not on the training grid: a divisor of grid.train_steps={levels} is accepted"
                )
    for key, values in acts_on.items():
        if values and not set(values) & set(mixed):
            raise ValueError(f"{key}: {sorted(values)}, but rollouts have K in {sorted(mixed)}: it would never act")


RULES: tuple[Callable[["Experiment"], None], ...] = (
    _one_implies_the_other,
    _rollout_of_its_network,
    _teacher_of_its_scale,
    _objectives_of_its_student,
    _everything_begins,
    _tokens_are_shared_evenly,
    _consistency_has_whole_networks,
    _steps_are_nested,
)
