"""Shape checks for the mathematics, and the closed-form flow that tests compare with."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook
from torch import Tensor

# Before anything imports these packages; under the numeric tower an int may stand for a float, as in the type system.
install_import_hook(
    ["salt.flow", "salt.objectives", "salt.rollout"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

# Generated cases: the same ones each time. `make soak` tries as many as the fault table states.
for profile, count in (("quick", 100), ("soak", 2000)):
    settings.register_profile(
        profile,
        derandomize=True,
        deadline=None,
        max_examples=count,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
settings.load_profile("soak" if os.environ.get("SALT_SOAK") else "quick")

# What the shell sets for real runs must not decide a test; only where VBench's environment lies is asked of it.
for name in [name for name in os.environ if name.startswith("SALT_") and name != "SALT_VBENCH"]:
    del os.environ[name]


@dataclass(frozen=True)
class GaussianFlow:
    """The flow of x_0 ~ N(mean, std^2), element by element: everything about it is known. States are `(B, n)`."""

    mean: float
    std: float

    def variance(self, t: float | Tensor) -> float | Tensor:
        """Var x_t, for x_t = (1 - t) x_0 + t eps."""
        return (1 - t) ** 2 * self.std**2 + t**2

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        """E[eps - x_0 | x_t], by linear regression of jointly Gaussian variables."""
        t = t.reshape(-1, 1)
        return -self.mean + (t - (1 - t) * self.std**2) / self.variance(t) * (x_t - (1 - t) * self.mean)

    def flow_map(self, x_t: Tensor, t: float, s: float) -> Tensor:
        """Moves every quantile of x_t to the same quantile of x_s."""
        stretch = (self.variance(s) / self.variance(t)) ** 0.5
        return (1 - s) * self.mean + stretch * (x_t - (1 - t) * self.mean)

    def posterior_mean(self, x_t: Tensor, t: float) -> Tensor:
        """E[x_0 | x_t]."""
        return self.mean + (1 - t) * self.std**2 / self.variance(t) * (x_t - (1 - t) * self.mean)

    def score(self, x_t: Tensor, t: float) -> Tensor:
        """The gradient of log p(x_t)."""
        return ((1 - t) * self.mean - x_t) / self.variance(t)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """No test reaches beyond this machine, so no verb does that is not asked to."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: object) -> None:
        here = not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost")
        assert here, f"a connection to {address}"
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local)
        yield


@pytest.fixture(scope="session")
def gaussian() -> GaussianFlow:
    return GaussianFlow(mean=0.7, std=0.4)


@pytest.fixture(scope="session")
def gaussian_flow() -> type[GaussianFlow]:
    return GaussianFlow


@pytest.fixture
def randn() -> Callable[..., Tensor]:
    """randn(*shape): float64 standard normal numbers from a generator of this test alone."""
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
