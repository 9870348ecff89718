"""The cost of training and sampling, before anything is run: floating-point operations, memory, disk.

Operations are those of matrix products and attention, two for each multiply-add, as in torch's flop counter, with which
the tests compare. A backward pass costs two forward passes, and one more with `train.recompute`. There are S tokens in
each of T latent frames; d is the width of the network.
"""

from dataclasses import dataclass, replace
from math import prod

from salt.config.backbone import Backbone
from salt.config.memory import Memory
from salt.config.objectives import Align
from salt.config.scale import Scale, Text
from salt.config.schema import Experiment


@dataclass(frozen=True)
class ClipTokens:
    """The numbers of tokens of a clip and its conditions."""

    frames: int
    """T, latent."""
    tokens: int
    """S, of one latent frame."""
    text: int
    """Tokens of a caption."""
    image: int
    """Tokens of a first frame's features; 0: networks take none."""


def clip_of(scale: Scale) -> ClipTokens:
    """A clip of training length."""
    return ClipTokens(scale.latent_shape[1], scale.frame_tokens, scale.text.tokens, scale.image_tokens)


def width_of(backbone: Backbone) -> int:
    """The channels of a token, d."""
    return backbone.num_attention_heads * backbone.attention_head_dim


def forward(backbone: Backbone, queries: int, keys: float, text: int, times: int = 1, image: int = 0) -> float:
    """Operations of one evaluation of one sample.

    Args:
        backbone: the network.
        queries: tokens that are computed.
        keys: mean number of tokens that each of them attends to, itself included.
        text: tokens of the caption; their keys and values are computed too.
        times: noise levels among the tokens; more than one where every token has its own.
        image: tokens of a first frame's features.
    """
    d, patch, seen = width_of(backbone), prod(backbone.patch_size), backbone.image_dim or 0
    own = 4 * queries * d * d + 2 * queries * keys * d  # q, k, v, out; scores and their sum
    cross = 2 * queries * d * d + 2 * text * d * d + 2 * queries * text * d
    cross += 2 * image * d * d + 2 * queries * image * d
    block = own + cross + 2 * queries * d * backbone.ffn_dim
    inside = patch * queries * d * (backbone.in_channels + backbone.out_channels)
    condition = times * (backbone.freq_dim * d + 7 * d * d) + text * (backbone.text_dim * d + d * d)
    condition += image * (seen * seen + seen * d)
    return 2 * (backbone.num_layers * block + inside + condition)


def entry(backbone: Backbone, queries: int, text: int, times: int = 1) -> float:
    """Operations of layers whose inputs need no gradient; their backward pass costs one forward pass, not two."""
    d, patch = width_of(backbone), prod(backbone.patch_size)
    return 2.0 * d * (patch * queries * backbone.in_channels + text * backbone.text_dim + times * backbone.freq_dim)


def parameters(backbone: Backbone) -> int:
    """The number of parameters of a network."""
    d, patch = width_of(backbone), prod(backbone.patch_size)
    attention = 4 * (d * d + d) + 2 * d
    block = 2 * attention + 2 * d * backbone.ffn_dim + backbone.ffn_dim + d + 2 * d + 6 * d
    condition = backbone.freq_dim * d + d + d * d + d + 6 * (d * d + d) + backbone.text_dim * d + d + d * d + d
    ends = patch * (backbone.in_channels * d + d * backbone.out_channels + backbone.out_channels) + d + 2 * d
    if (seen := backbone.image_dim) is not None:
        block += 2 * (d * d + d) + d
        condition += 2 * seen + seen * seen + seen + seen * d + d + 2 * d
    return backbone.num_layers * block + condition + ends


VOCABULARY = 256_384
"""Size of UMT5's vocabulary."""
AUTOENCODER, IMAGE_ENCODER = 126_892_531, 630_766_080
"""Parameters of Wan 2.1's autoencoder, and of the vision tower of CLIP ViT-H/14."""


def text_parameters(text: Text) -> int:
    """The number of parameters of a UMT5 encoder with the released vocabulary and its 32 relative positions."""
    attention = 4 * text.d_model**2 + 32 * text.num_heads
    return (
        VOCABULARY * text.d_model
        + text.d_model
        + text.num_layers * (attention + 3 * text.d_model * text.d_ff + 2 * text.d_model)
    )


# --------------------------------------------------------------------------------------------- rollouts
@dataclass(frozen=True)
class Evaluations:
    """Expected operations of evaluating the student on one sample."""

    plain: float
    """Without gradient."""
    graded: float
    """With gradient: the forward pass alone."""
    entry: float
    """Operations that the backward pass of the latter saves, as its inputs need no gradient."""


def whole_clip(experiment: Experiment, doubled: bool = False) -> Evaluations:
    """One evaluation of a whole clip, with gradient; block-causal with a time for every chunk if the network is causal.

    Args:
        experiment: of the network.
        doubled: the sequence is [clean | noisy] (teacher forcing).
    """
    clip, causal, backbone = clip_of(experiment.scale), experiment.causal, experiment.scale.backbone
    tokens = clip.frames * clip.tokens
    keys, times = float(tokens), 1
    if causal is not None:
        seen = [causal.chunk + before for before in remembered(causal.memory, clip.frames, causal.chunk)]
        tokens *= 2 if doubled else 1
        keys, times = clip.tokens * sum(seen) / len(seen), tokens
    graded = forward(backbone, tokens, keys, clip.text, times, clip.image)
    return Evaluations(0.0, graded, entry(backbone, tokens, clip.text, times))


def remembered(memory: Memory, frames: int, chunk: int) -> list[int]:
    """Number of frames, besides its own, that each chunk of a video attends to."""
    most = frames if memory.window is None else memory.window + memory.sink
    return [min(start, most) for start in range(0, frames, chunk)]


def chunk_passes(experiment: Experiment, clips: float = 1.0, memory: Memory | None = None) -> tuple[float, float]:
    """Operations of evaluating every chunk of a video once, with its memory; and of the last chunk alone.

    Args:
        experiment: of a causal student.
        clips: length of the video, in clips.
        memory: policy in place of the student's own.
    """
    causal, clip = experiment.causal, clip_of(experiment.scale)
    assert causal is not None
    queries = causal.chunk * clip.tokens
    before = remembered(memory or causal.memory, round(clip.frames * clips), causal.chunk)
    costs = [forward(experiment.scale.backbone, queries, queries + n * clip.tokens, clip.text) for n in before]
    return sum(costs), costs[-1]


def rollout(experiment: Experiment, steps: int, exit_at: float) -> Evaluations:
    """One autoregressive rollout: every chunk runs to its exit step and, except the last, is then remembered."""
    history, clip, causal = experiment.rollout.history, clip_of(experiment.scale), experiment.causal
    assert causal is not None
    once, last = chunk_passes(experiment)
    plain = exit_at * once + once - last
    if history is not None:
        whole, end = chunk_passes(experiment, 1 + history.clips / 2)
        plain += (exit_at + 2) * (whole - once) + last - end
    chunks = clip.frames // causal.chunk
    first = entry(experiment.scale.backbone, causal.chunk * clip.tokens, clip.text)
    return Evaluations(plain, once, chunks * first)


def student(experiment: Experiment) -> Evaluations:
    """Evaluations of the student in the rollout of an experiment."""
    levels, train = experiment.grid.train_steps, experiment.train
    if experiment.rollout.kind == "autoregressive":
        law = experiment.rollout.steps or {levels: 1.0}
        each = {steps: rollout(experiment, steps, (steps - 1) / 2) for steps in law}
        plain = sum(share * each[steps].plain for steps, share in law.items())
        return replace(each[max(law)], plain=plain)
    whole = whole_clip(experiment)
    if experiment.rollout.kind == "noised_data":
        return whole
    if experiment.rollout.kind == "flow_map":
        return replace(whole, graded=3 * whole.graded)
    together = train.batch_size // train.accumulate  # a batch takes the steps of its last sample
    before = sum(1 - (i / levels) ** together for i in range(1, levels))
    return replace(whole, plain=before * whole.graded)


def judged_by(experiment: Experiment) -> Evaluations:
    """One evaluation of a clip by the teacher that an experiment distils."""
    whole, scale = experiment.model_copy(update={"causal": None}), experiment.scale
    if experiment.teacher_backbone is not scale.backbone:
        whole = whole.model_copy(update={"scale": scale.model_copy(update={"backbone": experiment.teacher_backbone})})
    return whole_clip(whole)


# --------------------------------------------------------------------------------------------- training
def judging(experiment: Experiment) -> float:
    """Operations of the guided teacher's verdict on a clip; 0 where it is a closed form, which is no Wan."""
    objective = experiment.objectives.dmd or experiment.objectives.pcm
    closed = objective is not None and objective.teacher == "exact"
    return 0.0 if closed else 2 * judged_by(experiment).graded


def iteration(experiment: Experiment) -> dict[str, float]:
    """Purpose -> expected operations of one iteration, for each sample of a batch.

    Alignment is counted as if it had started.
    """
    objectives, train = experiment.objectives, experiment.train
    learn = 4.0 if train.recompute else 3.0
    if objectives.pcm is not None:
        own = whole_clip(experiment)
        jump = judging(experiment) + 2 * own.graded
        return {
            "generator": (learn + 1) * own.graded - own.entry,
            "judging": judging(experiment),
            **_adversary(experiment, jump),
        }
    if objectives.flow_map is not None:  # two evaluations for the derivative, one without a caption
        own, guidance = whole_clip(experiment), float(objectives.flow_map.cfg_weight != 1)
        return {"generator": (learn + 2 + guidance) * own.graded - own.entry}
    if objectives.dmd is None:
        doubled = experiment.of_clean_chunks or objectives.flow_matching is not None
        own = whole_clip(experiment, doubled=doubled)
        return {"generator": learn * own.graded - own.entry}
    assert train.critic is not None
    made, critic = student(experiment), whole_clip(experiment.model_copy(update={"causal": None}))
    parts = {
        "generator": made.plain + learn * made.graded - made.entry,
        "judging": judging(experiment) + critic.graded,  # the teacher is guided
        "critic": train.critic.ratio * (made.plain + made.graded + learn * critic.graded - critic.entry),
    }
    if objectives.scm is not None and objectives.scm.weight:  # its derivative is another evaluation or two
        own = whole_clip(experiment)
        parts["consistency"] = (learn + 2) * own.graded - own.entry + judging(experiment)
    parts |= _adversary(experiment, made.plain + made.graded)
    levels = experiment.grid.train_steps
    law = experiment.rollout.steps or {levels: 1.0}
    if objectives.sc is not None and objectives.sc.weight:
        passes = learn if objectives.sc.stop_gradient == "none" else 1.0
        share = sum(s for k, s in law.items() if k in (objectives.sc.rollouts or law))
        has = 1 - 1 / levels if experiment.rollout.kind == "autoregressive" else 1.0  # the last level has no triple
        parts["self-consistency"] = share * has * passes * made.graded
    if objectives.align is not None and objectives.align.weight:
        parts["alignment"] = sum(
            law.get(steps, 0.0) * _alignment(experiment, objectives.align, steps)
            for steps in objectives.align.references
        )
    return parts


def _adversary(experiment: Experiment, made: float) -> dict[str, float]:
    """Operations of the discriminator's features, for the student and for itself; its head counts for nothing.

    `made`: operations of the samples of an update of its own.
    """
    adversarial, train = experiment.objectives.adversarial, experiment.train
    if adversarial is None or not adversarial.weight or train.discriminator is None:
        return {}
    shared, depth = adversarial.features == "critic", experiment.looked_through(adversarial.features).num_layers
    judge = whole_clip(experiment.model_copy(update={"causal": None})) if shared else judged_by(experiment)
    features = judge.graded * (max(adversarial.blocks_in(depth)) + 1) / depth
    seen = 2 + (adversarial.r1 is not None) + (adversarial.r2 is not None)
    own, critic = train.discriminator.ratio, train.critic
    updates = own or (1 if critic is None else critic.ratio)
    samples = made if own or critic is None else 0.0
    learn = (4.0 if train.recompute else 3.0) if shared else 1.0
    return {"adversary": 2 * features + updates * (samples + seen * learn * features)}


def _alignment(experiment: Experiment, align: Align, steps: int) -> float:
    """Operations of alignment in an update whose rollout takes `steps`: a reference rollout, and the features of both.

    A gradient flows through the features of one of them, but not to weights, so backward costs about one forward pass.
    """
    better, by_teacher = align.references[steps], align.features == "teacher"
    backbone = experiment.teacher_backbone if by_teacher else experiment.scale.backbone
    block = backbone.num_layers // 2 if align.block is None else align.block
    judge = judged_by(experiment) if by_teacher else whole_clip(experiment.model_copy(update={"causal": None}))
    features = 3 * judge.graded * (block + 1) / backbone.num_layers
    exits = [exit_at * better // steps for exit_at in range(1, steps)]  # the first exit is its own reference
    references = [rollout(experiment, better, exit_at) for exit_at in exits]
    return align.probability / steps * sum(made.plain + made.graded + features for made in references)


def training(experiment: Experiment) -> float:
    """Operations of the whole training."""
    train = experiment.train
    return train.iterations * train.batch_size * sum(iteration(experiment).values())


def trajectories(experiment: Experiment) -> float:
    """Operations of the trajectories on which an experiment regresses, those of a guided teacher."""
    pairs = experiment.pairs
    assert pairs is not None
    bidirectional = not experiment.of_clean_chunks
    seen = experiment.model_copy(update={"causal": None}) if bidirectional else experiment
    stops = experiment.grid.train_steps if experiment.grid.levels is not None else 0  # at most, off the solver's grid
    steps = pairs.solver_steps + stops
    return 2.0 * pairs.count * steps * whole_clip(seen, doubled=not bidirectional).graded


def video(experiment: Experiment, nfe: int, clips: int = 1, memory: Memory | None = None) -> float:
    """Operations of the student for one video; `clips` and `memory` are for long ones."""
    if experiment.causal is None:
        return nfe * whole_clip(experiment).graded
    once, last = chunk_passes(experiment, clips, memory)
    return (nfe + 1) * once - last


# ----------------------------------------------------------------------------------------------- memory
def training_memory(experiment: Experiment, processes: int) -> dict[str, float]:
    """Purpose -> bytes on one device.

    Float32 weights, gradients and the two moments of AdamW of every trained network; the average; the teacher; the
    activations that backward needs (those of every block, or with `train.recompute` the inputs of every block and the
    activations of one); the encoders and the autoencoder, which every device holds whole.
    """
    train, backbone, clip = experiment.train, experiment.scale.backbone, clip_of(experiment.scale)
    count, share = parameters(backbone), processes if train.shard else 1
    trained = 2 if experiment.objectives.dmd is not None else 1
    held = 2 if train.precision == "bfloat16" else 4
    local = train.batch_size * train.context_parallel // (train.accumulate * processes)
    tokens = max(local, 1) * clip.frames * clip.tokens // train.context_parallel
    values = tokens * width_of(backbone) * held
    inside = 12 + 2 * backbone.ffn_dim / width_of(backbone)  # q, k, v, two attentions, norms; the hidden layer, twice
    kept = backbone.num_layers + inside if train.recompute else backbone.num_layers * inside
    found = {
        "weights, gradients, moments": 16.0 * trained * count / share,
        "average": 4.0 * count / share,
        "teacher": 4.0 * parameters(experiment.teacher_backbone) / share
        if trained > 1 or experiment.objectives.pcm
        else 0.0,
        "gathered blocks": 2.0 * held * count / backbone.num_layers if share > 1 else 0.0,
        "activations": float(kept * values),
    }
    if experiment.scale.data is not None:  # captions are embedded batch by batch
        text = experiment.scale.text
        found["text encoder"] = (2.0 if text.precision == "bfloat16" else 4.0) * text_parameters(text)
        found["autoencoder"] = 4.0 * AUTOENCODER
        if clip.image:
            found["image encoder"] = 4.0 * IMAGE_ENCODER
    if experiment.causal is not None and experiment.rollout.kind == "autoregressive":
        found["keys and values"] = 2.0 * backbone.num_layers * values
    return found


def checkpoint_bytes(experiment: Experiment) -> float:
    """Bytes of one checkpoint: weights and moments of every trained network, and the average."""
    trained = 2 if experiment.objectives.dmd is not None else 1
    return parameters(experiment.scale.backbone) * (12.0 * trained + 4.0)
