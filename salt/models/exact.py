"""The exact teacher: E[x_0 | x_t, c] of a world that can name its modes, as a velocity model.

Setting: under condition c the data are a mixture of Gaussians with weights w_k, means m_k and covariances U_k U_k^T of
any rank. On the path x_t = (1 - t) x_0 + t eps mode k is N((1 - t) m_k, (1 - t)^2 U_k U_k^T + t^2 I), so that given x_t
the modes have a posterior, and x_0 within each of them a Gaussian mean: the mean over all is in closed form.

Symbols: C conditions, M modes of each, N = numbers of a state, R the rank. What stands for a caption's embedding is the
probability of each condition, `(B, 1, C)`: 1 for the caption's own, 1/C each for the empty caption.
"""

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor, nn

from salt.errors import SaltError

LARGEST_ERROR = 1e-6
"""By which the weights of a condition may miss 1."""


@dataclass(frozen=True, eq=False)
class Modes:
    """A world's modes; all tensors are float64.

    Attributes:
        weights: `(C, M)`, of each condition adding up to 1.
        means: `(C, M, N)`.
        factors: U of each covariance U U^T, `(C, M, N, R)`.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __post_init__(self) -> None:
        totals = self.weights.sum(1)
        if not bool((self.weights > 0).all()) or bool(((totals - 1).abs() > LARGEST_ERROR).any()):
            raise SaltError(
                f"modes: weights {self.weights.tolist()}; accepted: positive ones that add up to 1 for each condition"
            )
        if not bool((self.factors.square().sum((2, 3)) > 0).all()):
            raise SaltError("modes: a spread that is not positive; accepted: a covariance that is not zero")

    def sample(self, condition: Tensor, mode: Tensor, noise: Tensor) -> Tensor:
        """States `(B, N)` of given conditions and modes `(B,)`, from standard normal noise `(B, R)`."""
        means, factors = self.means[condition, mode].to(noise), self.factors[condition, mode].to(noise)
        return means + torch.einsum("bnr,br->bn", factors, noise)


class ExactTeacher(nn.Module):
    """v = (x_t - E[x_0 | x_t, c]) / t, evaluated in float64; a `VelocityModel` without parameters."""

    means: Tensor
    log_weights: Tensor
    axes: Tensor
    spreads: Tensor

    def __init__(self, modes: Modes) -> None:
        super().__init__()
        # Of U only its principal axes `(C, M, N, R)` and the variances along them `(C, M, R)` are needed.
        axes, scales, _ = torch.linalg.svd(modes.factors, full_matrices=False)
        for name, value in (
            ("means", modes.means),
            ("log_weights", modes.weights.log()),
            ("axes", axes),
            ("spreads", scales.square()),
        ):
            self.register_buffer(name, value.double(), persistent=False)

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """`(B, C, T, H, W)`, t `(B,)` above 0, text `(B, L, C)` -> v in the dtype of x_t.

        Raises:
            SaltError: `text` is of another number of conditions than the world has.
        """
        x, time = x_t.double().flatten(1), t.double()[:, None]
        x_0 = self.posterior_mean(x, t.double(), text[:, 0].double())
        return ((x - x_0) / time).view_as(x_t).to(x_t.dtype)

    def posterior_mean(self, x: Tensor, t: Tensor, prior: Tensor) -> Tensor:
        """E[x_0 | x_t] `(B, N)` of states `(B, N)` at times `(B,)` under probabilities of the conditions `(B, C)`."""
        responsibility, means = self._posterior(x, t, prior)
        return torch.einsum("bcm,bcmn->bn", responsibility, means)

    def responsibilities(self, x: Tensor, t: Tensor, prior: Tensor) -> Tensor:
        """The probability of every mode of every condition given x_t, `(B, C, M)`."""
        return self._posterior(x, t, prior)[0]

    def log_density(self, x: Tensor, t: Tensor, prior: Tensor) -> Tensor:
        """The log of p(x_t), `(B,)`; at t = 0 only where no mode is flat."""
        return self._log_joint(*self._coordinates(x, t), t, prior).flatten(1).logsumexp(1)

    def score(self, x: Tensor, t: Tensor, prior: Tensor) -> Tensor:
        """The gradient of log p(x_t), `(B, N)`, for t > 0."""
        time = t[:, None]
        return -(x - (1 - time) * self.posterior_mean(x, t, prior)) / time.square()

    def _posterior(self, x: Tensor, t: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        along, off = self._coordinates(x, t)
        joint = self._log_joint(along, off, t, prior)
        responsibility = joint.flatten(1).softmax(1).view_as(joint)
        clean, variance = 1 - t[:, None, None, None], self._variance(t)
        shift = torch.einsum("cmnr,bcmr->bcmn", self.axes, clean * self.spreads / variance * along)
        return responsibility, self.means + shift

    def _coordinates(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t about each mode: along its axes `(B, C, M, R)`, and the squared distance from their span `(B, C, M)`."""
        if x.shape[1] != self.means.shape[2]:
            raise SaltError(f"exact teacher: states of {x.shape[1]} numbers; accepted: {self.means.shape[2]}")
        centred = x[:, None, None] - (1 - t)[:, None, None, None] * self.means
        along = torch.einsum("cmnr,bcmn->bcmr", self.axes, centred)
        return along, (centred.square().sum(3) - along.square().sum(3)).clamp(min=0)

    def _variance(self, t: Tensor) -> Tensor:
        """Of x_t along each axis, `(B, C, M, R)`."""
        time = t[:, None, None, None]
        return (1 - time).square() * self.spreads + time.square()

    def _log_joint(self, along: Tensor, off: Tensor, t: Tensor, prior: Tensor) -> Tensor:
        """The log of the probability of each condition and mode times its density at x_t, `(B, C, M)`."""
        if prior.shape[1] != len(self.means):
            raise SaltError(f"exact teacher: a caption of {prior.shape[1]} conditions; accepted: {len(self.means)}")
        variance, size = self._variance(t), self.means.shape[2]
        distance = (along.square() / variance).sum(3)
        volume = variance.log().sum(3)
        if (flat := size - along.shape[3]) > 0:
            time = t[:, None, None]
            distance = distance + off / time.square()
            volume = volume + 2 * flat * time.log()
        likelihood = -0.5 * (distance + volume + size * log(2 * pi))
        return prior.log()[:, :, None] + self.log_weights + likelihood
