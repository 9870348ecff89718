"""The exact teacher of a world whose modes are made of a few parts: E[x_0 | x_t, c] of a quarter of a million modes.

Setting: a state is a picture part and a cue part. A mode k is a figure q (which shapes go where) in the colours of a
content i. In latent frame f its picture part with style z ~ N(0, I_R) is

    constant + sum_j (a_ij + (B_q z)_j) D[d_qjf],

a and B coefficients, D a dictionary of a few hundred pictures, d_qjf which of them; its cue part is a vector of the
figure. So mode k is Gaussian with mean m_k and the covariance U_q U_q^T of its style, flat in all other directions, and
x_t is N((1 - t) m_k, (1 - t)^2 U_q U_q^T + t^2 I). Products of x_t with m_k and U_q are sums of its products with the
dictionary, of which there are few; those of m_k and U_q with each other are known in advance.

Symbols: B samples, C = P / (h w) picture channels, T latent frames of h x w, K modes, Q figures, I contents, J parts of
a figure, E pictures in the dictionary, R numbers of a style. What stands for a caption's embedding is looked up: each
caption leaves certain modes open, with known probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from salt.errors import SaltError

AT_ONCE = 1 << 20
"""Open modes that are looked at at once, of one or more samples: 9 numbers each take 75 MB."""
TOLERANCE = 1e-3
"""By which an embedding may miss that of its caption, relative to its norm: float32, in batches of any size."""


@dataclass(frozen=True, eq=False)
class FactoredModes:
    """The modes of a world, in parts; numbers are float64.

    Attributes:
        constant: what every latent frame shows, `(P,)`.
        dictionary: D, `(E, P)`.
        parts: d, `(Q, J, T)`.
        style: B, `(Q, J, R)`.
        cues: `(Q, C', T, h, w)`.
        coefficients: a, `(I, J)`.
        figure: of each mode, `(K,)`.
        content: of each mode, `(K,)`.
    """

    constant: Tensor
    dictionary: Tensor
    parts: Tensor
    style: Tensor
    cues: Tensor
    coefficients: Tensor
    figure: Tensor
    content: Tensor

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """`(C + C', T, h, w)`."""
        channels, frames, height, width = self.cues.shape[1:]
        return len(self.constant) // (height * width) + channels, frames, height, width

    def states(self, mode: Tensor, z: Tensor) -> Tensor:
        """The latents `(B, C + C', T, h, w)` of modes `(B,)` with styles z `(B, R)`, in float64."""
        figure = self.figure[mode]
        amount = self.coefficients[self.content[mode]] + torch.einsum("bjr,br->bj", self.style[figure], z.double())
        pictures = self.constant + torch.einsum("bj,bjtp->btp", amount, self.dictionary[self.parts[figure]])
        return self.joined(pictures, self.cues[figure])

    def joined(self, pictures: Tensor, cues: Tensor) -> Tensor:
        """Pictures `(B, T, P)` and cues `(B, C', T, h, w)` as latents."""
        _, _, height, width = self.latent_shape
        return torch.cat([pictures.unflatten(2, (-1, height, width)).transpose(1, 2), cues], dim=1)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `joined`, in float64.

        Raises:
            SaltError: latents of another shape.
        """
        if tuple(x.shape[1:]) != self.latent_shape:
            raise SaltError(f"exact teacher: latents {tuple(x.shape[1:])}; accepted: {self.latent_shape}")
        pictures, cues = x.double().split([x.shape[1] - self.cues.shape[1], self.cues.shape[1]], dim=1)
        return pictures.transpose(1, 2).flatten(2), cues

    def to(self, device: str) -> "FactoredModes":
        """The same on a device."""
        return FactoredModes(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    @cached_property
    def products(self) -> "Products":
        """What is known in advance."""
        gram = self.dictionary @ self.dictionary.T
        of_frames = gram[self.parts[:, :, None], self.parts[:, None]].sum(3)  # (Q, J, J), over latent frames
        styles = torch.einsum("qir,qij,qjs->qrs", self.style, of_frames, self.style)
        variance, axes = torch.linalg.eigh(styles)
        across = torch.einsum("qrs,qir,qij->qsj", axes, self.style, of_frames)
        a, figure = self.coefficients[self.content], self.figure
        mean, along = self.cues.square().flatten(1).sum(1)[figure], []
        for some in torch.arange(len(figure)).split(AT_ONCE // 16):
            mean[some] += torch.einsum("ki,kij,kj->k", a[some], of_frames[figure[some]], a[some])
            along.append(torch.einsum("ksj,kj->ks", across[figure[some]], a[some]))
        return Products(mean, torch.cat(along), variance.clamp(min=0), axes)


class Products(NamedTuple):
    """Inner products of modes; `m` is without the constant, and V_q are the axes in which U_q^T U_q is diagonal."""

    mean: Tensor
    """|m_k|^2, `(K,)`."""
    along: Tensor
    """V_q^T U_q^T m_k, `(K, R)`."""
    variance: Tensor
    """The diagonal of V_q^T U_q^T U_q V_q, `(Q, R)`."""
    axes: Tensor
    """V_q, `(Q, R, R)`."""


class Open(NamedTuple):
    """The modes that captions leave open, N for all of B samples."""

    sample: Tensor
    """Whose, `(N,)`, ascending."""
    mode: Tensor
    """`(N,)`."""
    log_prior: Tensor
    """The log of its probability, `(N,)`."""


class Conditions(Protocol):
    """What embeddings of captions say."""

    def modes(self, text: Tensor) -> Open:
        """The modes that embeddings `(B, L, D)` leave open.

        Raises:
            SaltError: an embedding that is no caption's of the world.
        """
        ...


@dataclass(frozen=True, eq=False)
class Posterior:
    """What noised states say of the modes and styles that they came from."""

    open: Open
    probability: Tensor
    """Of each open mode, `(N,)`, adding up to 1 for each sample."""
    style: Tensor
    """V_q^T E[z | x_t, mode], `(N, R)`."""
    log_joint: Tensor
    """log p(mode, x_t) up to the same number for all modes, `(N,)`."""


class FactoredTeacher(nn.Module):
    """v = (x_t - E[x_0 | x_t, c]) / t, evaluated in float64; a `VelocityModel` without parameters."""

    def __init__(self, modes: FactoredModes, conditions: Conditions) -> None:
        super().__init__()
        self.modes, self.conditions = modes, conditions

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """`(B, C, T, h, w)`, t `(B,)` above 0, `(B, L, D)` -> v in the dtype of x_t.

        Raises:
            SaltError: a caption that the world has no modes for, or latents of another shape.
        """
        x_0 = self.posterior_mean(x_t, t, text)
        return ((x_t.double() - x_0) / t.double()[:, None, None, None, None]).to(x_t.dtype)

    def posterior_mean(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """E[x_0 | x_t, c], of the shape of x_t, in float64."""
        known = self.conditions.modes(text)
        if len(known.mode) > AT_ONCE and len(x_t) > 1:
            halves = (slice(0, len(x_t) // 2), slice(len(x_t) // 2, None))
            return torch.cat([self.posterior_mean(x_t[half], t[half], text[half]) for half in halves])
        return self._mean(self.posterior(x_t, t, known), len(x_t))

    def _mean(self, found: Posterior, samples: int) -> Tensor:
        modes, (sample, mode, _), p = self.modes, found.open, found.probability[:, None]
        figures, (_, parts, frames) = len(modes.parts), modes.parts.shape
        row = sample * figures + modes.figure[mode]

        def of_figures(values: Tensor) -> Tensor:
            """The sum over modes `(N, ...)` of each figure of each sample, `(B, Q, ...)`."""
            total = values.new_zeros(samples * figures, *values.shape[1:])
            return total.index_add_(0, row, values).view(samples, figures, *values.shape[1:])

        z = torch.einsum("qrs,bqs->bqr", modes.products.axes, of_figures(p * found.style))
        amount = of_figures(p * modes.coefficients[modes.content[mode]]) + torch.einsum("qjr,bqr->bqj", modes.style, z)
        used = amount.new_zeros(samples, frames, len(modes.dictionary))
        for frame in range(frames):
            used[:, frame].index_add_(1, modes.parts[:, :, frame].flatten(), amount.view(samples, figures * parts))
        cues = torch.einsum("bq,qcthw->bcthw", of_figures(found.probability), modes.cues)
        return modes.joined(modes.constant + used @ modes.dictionary, cues)

    def posterior(self, x_t: Tensor, t: Tensor, known: Open) -> Posterior:
        """Of the open modes, given x_t at times `(B,)`."""
        modes, products, (sample, mode, log_prior) = self.modes, self.modes.products, known
        figure, time = modes.figure[mode], t.double()
        pictures, cues = modes.split(x_t)
        centred = pictures - (1 - time)[:, None, None] * modes.constant
        along = centred @ modes.dictionary.T  # (B, T, E)
        of_parts = along.new_zeros(len(x_t), *modes.parts.shape[:2])  # (B, Q, J)
        for frame in range(modes.parts.shape[2]):
            of_parts += along[:, frame][:, modes.parts[:, :, frame]]
        of_style = torch.einsum("qrs,qjr,bqj->bqs", products.axes, modes.style, of_parts)
        of_cues = torch.einsum("bcthw,qcthw->bq", cues, modes.cues)
        total = centred.square().sum((1, 2)) + cues.square().sum((1, 2, 3, 4))
        clean, noise = (1 - time)[sample], time.square()[sample]
        # r = x_t - (1 - t) m: its square, and its part along the style
        in_mean = (modes.coefficients[modes.content[mode]] * of_parts[sample, figure]).sum(1) + of_cues[sample, figure]
        distance = total[sample] - 2 * clean * in_mean + clean.square() * products.mean[mode]
        in_style = of_style[sample, figure] - clean[:, None] * products.along[mode]
        inner = noise[:, None] + clean.square()[:, None] * products.variance[figure]
        explained = clean.square() * (in_style.square() / inner).sum(1)
        volume = inner.log().sum(1) + (x_t[0].numel() - inner.shape[1]) * noise.log()
        log_joint = log_prior - 0.5 * ((distance - explained) / noise + volume)
        style = clean[:, None] * in_style / inner
        return Posterior(known, _softmax(log_joint, sample, len(x_t)), style, log_joint)


def _softmax(logits: Tensor, sample: Tensor, count: int) -> Tensor:
    """Of the logits of each sample."""
    largest = logits.new_full((count,), -torch.inf).scatter_reduce_(0, sample, logits, "amax")
    weights = (logits - largest[sample]).exp()
    return weights / weights.new_zeros(count).index_add_(0, sample, weights)[sample]


@dataclass(frozen=True, eq=False)
class Captions:
    """Captions known by their embeddings; each leaves some contents open, each of which is a range of modes."""

    embeddings: Tensor
    """Of all captions, `(A, L D)`."""
    names: tuple[str, ...]
    """`(A,)`."""
    contents: Sequence[Tensor]
    """For each caption, the contents that it leaves open."""
    log_shares: Sequence[Tensor]
    """And the logs of their probabilities."""
    bounds: Tensor
    """Content i has modes bounds[i] to bounds[i + 1] - 1."""
    log_weights: Tensor
    """Of the modes within their content, `(K,)`."""

    def to(self, device: str) -> "Captions":
        """The same on a device."""
        return replace(
            self,
            embeddings=self.embeddings.to(device),
            contents=[each.to(device) for each in self.contents],
            log_shares=[each.to(device) for each in self.log_shares],
            bounds=self.bounds.to(device),
            log_weights=self.log_weights.to(device),
        )

    def modes(self, text: Tensor) -> Open:
        """See `Conditions`."""
        found = [self._of_caption(int(caption)) for caption in self.recognised(text)]
        sizes = torch.tensor([len(mode) for mode, _ in found], device=text.device)
        sample = torch.arange(len(found), device=text.device).repeat_interleave(sizes)
        return Open(sample, torch.cat([mode for mode, _ in found]), torch.cat([prior for _, prior in found]))

    def recognised(self, text: Tensor) -> Tensor:
        """Which caption each embedding is of, `(B,)`.

        Raises:
            SaltError: one of them is no caption's.
        """
        flat = text.flatten(1).to(self.embeddings)
        distance, caption = torch.cdist(flat, self.embeddings).min(1)
        limit = TOLERANCE * flat.norm(dim=1).clamp(min=1)
        if bool((distance > limit).any()):
            number = int((distance - limit).argmax())
            raise SaltError(
                f"exact teacher: caption {number} of the batch: the world has no modes for it; accepted: one of its "
                f"{len(self.names)} captions, such as {self.names[int(caption[number])]!r}"
            )
        return caption

    def _of_caption(self, caption: int) -> tuple[Tensor, Tensor]:
        contents = self.contents[caption]
        begin, end = self.bounds[contents], self.bounds[contents + 1]
        sizes = end - begin
        first = begin.repeat_interleave(sizes) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        mode = first + torch.arange(int(sizes.sum()), device=first.device)
        return mode, self.log_shares[caption].repeat_interleave(sizes) + self.log_weights[mode]
