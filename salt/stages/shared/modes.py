"""The modes of a scale's world, whose cue channels `salt latents` wrote, and its exact teacher."""

from pathlib import Path

from salt.data.latents import COMMAND, About
from salt.data.modes import WorldModes, captions_of
from salt.data.store import Store
from salt.errors import SaltError
from salt.models.codec import TinyCodec
from salt.models.factored import FactoredModes, FactoredTeacher
from salt.stages.shared.assets import Assets


def modes_of(assets: Assets, folder: Path, about: About, hashed: bool = True) -> tuple[WorldModes, FactoredModes]:
    """The modes of a scale's world.

    Args:
        assets: with the codec.
        folder: made by `salt latents`.
        about: what it must have been made from.
        hashed: see `Store`.

    Raises:
        SaltError: see `Store`.
    """
    modes, store = WorldModes(assets.scale.world), Store(folder, About, about.model_dump(), COMMAND, hashed)
    cues, wanted = store.latents(range(len(store))), (tiny_codec(assets).cues, *assets.latent_shape[1:])
    if tuple(cues.shape[1:]) != wanted:
        raise SaltError(f"{folder}: latents {tuple(cues.shape[1:])}; accepted: {wanted}, which `{COMMAND}` makes")
    return modes, modes.factored(tiny_codec(assets), cues)


def exact_teacher(assets: Assets, folder: Path, about: About, device: str) -> FactoredTeacher:
    """The exact teacher of a scale's world; arguments as for `modes_of`, and where it computes."""
    modes, factored = modes_of(assets, folder, about)
    return FactoredTeacher(factored.to(device), captions_of(modes, assets.text_encoder).to(device))


def tiny_codec(assets: Assets) -> TinyCodec:
    """The codec of a world."""
    assert isinstance(assets.codec, TinyCodec)  # `Scale` gives a world no other
    return assets.codec
