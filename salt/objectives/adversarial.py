"""Adversarial losses: a discriminator D tells samples of the student from data, and the student is trained to pass.

Setting: D gives one logit or several for a noised sample, `(B, n)`: high for data. Losses are means over the logits of
a sample, `(B,)`. In optimum D is log p_data(x_t) - log p_student(x_t) under `non_saturating`, and its sign under
`hinge`.
"""

from typing import Literal, TypeAlias, assert_never

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu, softplus

from salt.flow.shapes import PerSample

Logits = Float[Tensor, "B n"]
Loss: TypeAlias = Literal["non_saturating", "hinge"]


def student_loss(fake: Logits, loss: Loss) -> PerSample:
    """What the student minimises: log(1 + e^-D) (arXiv 1406.2661), or max(0, 1 - D) as in PCM's code."""
    match loss:
        case "non_saturating":
            return softplus(-fake).mean(1)
        case "hinge":
            return relu(1 - fake).mean(1)
        case _:
            assert_never(loss)


def discriminator_loss(real: Logits, fake: Logits, loss: Loss) -> PerSample:
    """What D minimises: log(1 + e^-D(real)) + log(1 + e^D(fake)), or max(0, 1 - D(real)) + max(0, 1 + D(fake))."""
    match loss:
        case "non_saturating":
            return softplus(-real).mean(1) + softplus(fake).mean(1)
        case "hinge":
            return relu(1 - real).mean(1) + relu(1 + fake).mean(1)
        case _:
            assert_never(loss)


def gradient_penalty(logits: Logits, nearby: Logits) -> PerSample:
    """Return (D(x + sigma n) - D(x))^2, n ~ N(0, I): sigma^2 |grad D|^2 to first order, without second derivatives.

    On data it is the approximate R1 of APT (arXiv 2501.08316), on the student's samples R2.
    """
    return (nearby - logits).square().mean(1)
