"""Wan's transformer as a velocity model. The one place that touches diffusers' `WanTransformer3DModel`.

Symbols: latents x_t `(B, C, T, H, W)`, t `(B,)` in [0, 1] (diffusers wants 1000 t), text `(B, L, D)`.
Folders are in diffusers' own format: `config.json` and `diffusion_pytorch_model.safetensors`.
diffusers takes seconds to import, so each function imports it itself.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.nn import functional

from salt.config.backbone import Backbone
from salt.errors import SaltError
from salt.files import whole_folder
from salt.foreign import one_line, reason
from salt.models.finite import check_answer, check_finite, computing
from salt.models.names import is_original, to_diffusers
from salt.models.protocol import FirstFrame
from salt.models.released import fill
from salt.models.stored import check_sizes
from salt.readers import read_json

CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
WORDS_BESIDE_IMAGE = 512
"""Tokens of a text to a network that takes features of an image: diffusers counts them from the end."""


class WanVelocity(nn.Module):
    """An unmodified `WanTransformer3DModel` behind `salt.models.protocol.VelocityModel`."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, *, image: FirstFrame | None = None) -> Tensor:
        """`(B, C, T, H, W)`, `(B,)` in [0, 1], `(B, L, D)` -> v `(B, C, T, H, W)`."""
        given: dict[str, Tensor] = {"hidden_states": x_t}
        if image is not None:
            given["hidden_states"] = torch.cat([x_t, image.channels().to(x_t)], dim=1)
            if image.features is not None:
                given["encoder_hidden_states_image"] = image.features.to(x_t)
        prediction: Tensor = self.transformer(
            **given, timestep=1000 * t, encoder_hidden_states=text, return_dict=False
        )[0]
        return prediction

    @property
    def width(self) -> int:
        """D of its features."""
        config: Any = self.transformer.config
        return int(config.num_attention_heads * config.attention_head_dim)

    @property
    def depth(self) -> int:
        """Transformer blocks."""
        blocks: Any = self.transformer.blocks
        return len(blocks)

    @property
    def heads(self) -> int:
        """Heads of its attention."""
        config: Any = self.transformer.config
        return int(config.num_attention_heads)

    def features(
        self, x_t: Tensor, t: Tensor, text: Tensor, blocks: Sequence[int], image: FirstFrame | None = None
    ) -> list[Tensor]:
        """The outputs of blocks, each `(B, T, S, D)`: S tokens in each latent frame. Later blocks are not run.

        Args:
            x_t: `(B, C, T, H, W)`.
            t: `(B,)` in [0, 1].
            text: `(B, L, D)`.
            blocks: counted from 0.
            image: first frames, of a network that is conditioned on them.
        """
        transformer: Any = self.transformer
        every, found = transformer.blocks, dict[int, Tensor]()

        def keep(block: int) -> Any:
            return every[block].register_forward_hook(lambda module, given, out: found.update({block: out}))

        hooks = [keep(block) for block in blocks]
        transformer.blocks = every[: max(blocks) + 1]
        try:
            self(x_t, t, text, image=image)
        finally:
            transformer.blocks = every
            for hook in hooks:
                hook.remove()
        return [found[block].unflatten(1, (x_t.shape[2], -1)) for block in blocks]

    def share_tokens(self, mesh: DeviceMesh) -> None:
        """See `salt.models.protocol.TokenParallelModel`: Ulysses (Jacobs et al., 2023), as diffusers has it."""
        from diffusers import ContextParallelConfig, ParallelConfig
        from diffusers.hooks.context_parallel import apply_context_parallel

        transformer: Any = self.transformer
        context = ContextParallelConfig(ulysses_degree=mesh["ulysses"].size(), mesh=mesh)
        parallel = ParallelConfig(context_parallel_config=context)
        # What follows is `transformer.enable_parallelism`, which asks for an accelerator.
        parallel.setup(mesh.get_rank(), mesh.size(), torch.device(mesh.device_type), mesh=mesh)
        for processor in transformer.attn_processors.values():
            processor._parallel_config = parallel
        # "" would split t, where every token has its own
        plan = {place: parts for place, parts in transformer._cp_plan.items() if place}
        apply_context_parallel(transformer, context, plan)


def build_wan(backbone: Backbone, seed: int) -> WanVelocity:
    """A freshly initialised network; it depends on `seed` alone and leaves torch's random state untouched."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WanVelocity(WanTransformer3DModel(**backbone.model_dump()))


def empty_wan(backbone: Backbone) -> WanVelocity:
    """A network on the meta device, without values: names, shapes and counts for any size, at no cost."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    with torch.device("meta"):
        return WanVelocity(WanTransformer3DModel(**backbone.model_dump()))


def wan_of(weights: Mapping[str, Tensor], backbone: Backbone, source: Path) -> WanVelocity:
    """The network of exactly these weights, in the dtypes they have.

    Args:
        weights: under diffusers' names or the original ones, as `salt.models.released.released_weights` gives them.
        backbone: the shape that the network must have.
        source: where they come from, for messages.

    Raises:
        SaltError: weights are missing, unexpected, of another shape, or not finite.
    """
    network = empty_wan(backbone)
    translate = to_diffusers if is_original(weights) else lambda name: name
    called = {translate(name) or name: name for name in weights}
    renamed = {name: weights[original] for name, original in called.items()}
    fill(network.transformer, renamed, source, "the scale's backbone", called)
    return network


def with_first_frame_channels(network: WanVelocity, backbone: Backbone) -> WanVelocity:
    """A text-to-video network widened by the input channels of a first frame; their weights are 0, so it ignores them.

    Args:
        network: of the same shape but for `in_channels`.
        backbone: the widened shape.
    """
    weights = dict(network.transformer.state_dict())
    name = "patch_embedding.weight"
    more = backbone.in_channels - weights[name].shape[1]
    weights[name] = functional.pad(weights[name], (0, 0, 0, 0, 0, 0, 0, more))
    widened = build_wan(backbone, 0)
    widened.transformer.load_state_dict(weights)
    return widened


def recompute_blocks(model: nn.Module) -> None:
    """Activation checkpointing: in backward each block is run again from its inputs."""
    transformer: Any = model.transformer
    transformer.enable_gradient_checkpointing()


def save_wan(model: nn.Module, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write a network in diffusers' own format; the folder appears only when it is complete.

    Args:
        model: a `WanVelocity`.
        folder: where to write; an existing folder is replaced.
        dtype: of the weights on disk; None: as they are.
    """
    transformer: Any = model.transformer
    if dtype is not None:
        with silent_diffusers():  # it warns against computing in a cast network, but this one is only stored
            transformer = copy.deepcopy(transformer).to(dtype)
    with whole_folder(folder) as temporary:
        transformer.save_pretrained(temporary)
        _forget_place(temporary / CONFIG)


def _forget_place(config: Path) -> None:
    """Leave out the folder that a network was read from: one of this machine, which diffusers writes down."""
    known = read_json(config)
    if known.pop("_name_or_path", None) is not None:
        config.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")  # as diffusers does


def load_wan(folder: Path, expect: Backbone | None = None) -> WanVelocity:
    """Read a network in diffusers' own format, as float32 whatever dtype it was stored in.

    Args:
        folder: with `config.json` and the weights, in one file or in shards with an index.
        expect: the shape it must have; None: any.

    Raises:
        SaltError: the folder is missing, broken or of another shape, or weights are missing, unexpected or not finite.
    """
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    network = WanVelocity(pretrained(WanTransformer3DModel, folder, torch.float32, expect))
    with computing(folder):
        _check_velocity(network, folder)
    return network


def _check_velocity(network: WanVelocity, folder: Path) -> None:
    """Refuse a network by its answer to the smallest input: two tokens and one word."""
    config: Any = network.transformer.config
    frames, height, width = config.patch_size
    shape = (1, config.in_channels, frames, height, 2 * width)
    given = torch.linspace(-1, 1, prod(shape)).view(shape)
    words = 1 if config.image_dim is None else WORDS_BESIDE_IMAGE
    text = torch.linspace(-1, 1, words * config.text_dim).view(1, words, -1)
    beside = None
    if config.image_dim is not None:
        tokens = config.pos_embed_seq_len or 1
        beside = torch.linspace(-1, 1, tokens * config.image_dim).view(1, tokens, -1)
    answer = network.transformer(given, torch.full((1,), 500.0), text, beside, return_dict=False)[0]
    check_answer(answer, (1, config.out_channels, *shape[2:]), folder, "velocities")


def pretrained(kind: Any, folder: Path, dtype: torch.dtype, expect: Backbone | None = None) -> nn.Module:
    """A network of one of diffusers' classes, read from a folder in diffusers' own format.

    Args:
        kind: the class, which `config.json` must name.
        folder: with `config.json` and the weights, in one file or in shards with an index.
        dtype: to which the weights are converted.
        expect: values that `config.json` must have.

    Raises:
        SaltError: see `load_wan`.
    """
    _check_config(folder, kind.__name__, expect)
    with silent_diffusers():
        check_sizes(folder / CONFIG, kind.from_config, folder)
    try:
        with silent_diffusers():
            network, report = kind.from_pretrained(
                folder, output_loading_info=True, torch_dtype=dtype, use_safetensors=True, local_files_only=True
            )
    except Exception as error:  # diffusers lets errors of the libraries below it through
        raise SaltError(
            f"{folder / WEIGHTS}: whole safetensors weights of the network in config.json are expected: {reason(error)}"
        ) from error
    for keys in ("missing_keys", "unexpected_keys"):
        if report[keys]:
            raise SaltError(
                f"{folder / WEIGHTS}: {keys.replace('_keys', '')} weights {one_line(min(report[keys]))!r} "
                f"({len(report[keys])} in all); exactly those of the network in config.json are expected"
            )
    check_finite(network.state_dict(), folder / WEIGHTS)
    return network


def _check_config(folder: Path, kind: str, expect: Backbone | None) -> None:
    """Refuse a folder whose `config.json` is missing, broken, of another class or of another shape."""
    path = folder / CONFIG
    config = read_json(path)
    if (found := config.get("_class_name")) != kind:
        raise SaltError(f"{path}: _class_name={one_line(found)!r}, but {kind} is expected")
    for key, value in (expect.model_dump(mode="json") if expect else {}).items():
        if config.get(key) != value:
            given = one_line(config.get(key))
            raise SaltError(f"{path}: {key}={given}, but the scale's backbone has {key}={value}")


@contextmanager
def silent_diffusers() -> Iterator[None]:
    """Silence diffusers, where an error is reported in one line of ours."""
    from diffusers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)
