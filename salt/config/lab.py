"""Section `exact` of a scale: a world that can name its modes, and the small networks that are trained in it.

A world's states are short vectors in the shape of latents: `(C, T, 1, 1)`, C coordinates of each of T chunks.
"""

from math import isclose
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from salt.config.base import Name, Section, Set, Solver

TOKEN_WIDTH = 4
"""Numbers of a token of a small network's features: its width, shared among the chunks, is some tokens for each."""


class Mode(Section):
    """One Gaussian of a mixture."""

    weight: PositiveFloat
    """Its share; those of a caption add up to 1."""
    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    spread: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    """Standard deviation along each coordinate."""


class Mixture(Section):
    """For every caption a mixture of Gaussians: futures that a caption leaves open, and a style with a known spread."""

    kind: Literal["mixture"] = "mixture"
    captions: Annotated[dict[Name, tuple[Mode, ...]], Field(min_length=1)]
    """Caption -> its modes. Captions are equally frequent; the empty one stands for all of them."""
    style: NonNegativeInt = 1
    """The coordinate that is a style (a "colour"): its mean is the caption's, its spread is known."""

    @model_validator(mode="after")
    def _modes(self) -> "Mixture":
        size = len(next(iter(self.captions.values()))[0].mean)
        number = len(next(iter(self.captions.values())))
        for caption, modes in self.captions.items():
            if len(modes) != number:
                raise ValueError(
                    f"captions.{caption}: {len(modes)} modes; accepted: {number}, as the first caption has"
                )
            if not isclose(total := sum(mode.weight for mode in modes), 1, abs_tol=1e-6):
                raise ValueError(f"captions.{caption}: the weights of its modes add up to {total:g}; accepted: 1")
            for mode in modes:
                if len(mode.mean) != size or len(mode.spread) != size:
                    raise ValueError(
                        f"captions.{caption}: a mode with {len(mode.mean)} means and {len(mode.spread)} spreads; "
                        f"accepted: {size} of each, as the first mode has"
                    )
        if self.style >= size:
            raise ValueError(f"style={self.style}: accepted: a coordinate, 0 to {size - 1}")
        return self

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(C, 1, 1, 1)`."""
        return len(next(iter(self.captions.values()))[0].mean), 1, 1, 1


class Chain(Section):
    """A sequence of points in the plane, each the one before turned by one of two angles, with noise.

    z_1 ~ N((1, 0), spread^2 I); z_i = R(+-angle) z_(i-1) + spread eps. One caption, which says nothing.
    """

    kind: Literal["chain"]
    chunks: Annotated[int, Field(ge=2)] = 4
    """In training."""
    generated: Annotated[int, Field(ge=2)] = 8
    """When measured: beyond the training length."""
    angle: PositiveFloat = 50.0
    """Degrees."""
    weights: tuple[PositiveFloat, PositiveFloat] = (0.65, 0.35)
    """How often it turns to the left, and to the right."""
    spread: PositiveFloat = 0.12

    @model_validator(mode="after")
    def _shares(self) -> "Chain":
        if not isclose(total := sum(self.weights), 1, abs_tol=1e-6):
            raise ValueError(f"weights: the shares of the two turns add up to {total:g}; accepted: 1")
        return self

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(2, chunks, 1, 1)`."""
        return 2, self.chunks, 1, 1


class SmallNetwork(Section):
    """A multi-layer perceptron behind the protocols of networks."""

    width: PositiveInt = 64
    layers: PositiveInt = 3
    """Hidden layers, of `width` each."""
    frequencies: PositiveInt = 4
    """Of the sines and cosines of t that it sees."""


class Phase(Section):
    """Training seeds `first` to `last`, both included."""

    first: NonNegativeInt
    last: NonNegativeInt


class Measured(Section):
    """What is measured of every arm, and on how many samples."""

    samples: Annotated[int, Field(ge=8)] = 2048
    """Of each caption and member."""
    nfe: Set[PositiveInt] = (1, 2, 4, 8, 16, 32)
    solvers: Set[Solver] = ("cm", "euler")
    directions: PositiveInt = 16
    """Of the sliced distances, evenly over half a circle."""
    teacher_nfe: PositiveInt = 200
    """Euler steps of the guided teacher, where guidance leaves the truth without a closed form."""
    cache: Set[PositiveInt] = (2, 4, 8)
    """Steps of the chunks that a chain's last chunk is conditioned on."""


class Exact(Section):
    """A world of known modes, small networks, and how they are measured: the lab."""

    world: Annotated[Mixture | Chain, Field(discriminator="kind")]
    network: SmallNetwork = SmallNetwork()
    members: PositiveInt = 16
    """Seeds that are trained together, as one network."""
    explore: Phase = Phase(first=0, last=15)
    """Seeds with which everything was chosen."""
    confirm: Phase | None = Phase(first=100, last=131)
    """Fresh seeds, on which claims are decided that were written down before; null: nothing is decided. For smoke."""
    most_updates: PositiveInt | None = None
    """No arm is trained for more updates than this; None: each for as many as it says. For smoke."""
    pool: PositiveInt = 16384
    """Trajectories of the exact teacher that students are started with."""
    measured: Measured = Measured()

    @model_validator(mode="after")
    def _whole_ensembles(self) -> "Exact":
        for name, phase in self.phases.items():
            if (number := phase.last - phase.first + 1) < 1 or number % self.members:
                raise ValueError(
                    f"{name}: seeds {phase.first} to {phase.last}: accepted: a multiple of members={self.members} seeds"
                )
        if self.confirm is not None and self.explore.last >= self.confirm.first:
            raise ValueError(
                f"confirm.first={self.confirm.first}: accepted: seeds beyond explore.last={self.explore.last}, so that "
                "claims are decided on fresh ones"
            )
        return self

    @property
    def phases(self) -> dict[str, Phase]:
        """Those that there are, by name; figures are drawn from the last one."""
        return {"explore": self.explore} | ({} if self.confirm is None else {"confirm": self.confirm})
