"""The checks of shapes are on while the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from salt.flow.path import interpolate
from salt.objectives.regression import flow_matching_loss
from salt.rollout import Sample


def test_functions_refuse_shapes_that_would_broadcast():
    x = torch.zeros(3, 2)
    with pytest.raises(TypeCheckError):
        interpolate(x, torch.zeros(3, 1), 0.5)
    with pytest.raises(TypeCheckError):
        interpolate(x, x, torch.zeros(1))
    with pytest.raises(TypeCheckError):
        flow_matching_loss(x, x, torch.zeros(1, 2))


def test_samples_refuse_fields_that_do_not_belong_together():
    x, t = torch.zeros(3, 2), torch.zeros(3)
    with pytest.raises(TypeCheckError):
        Sample(x_s=x, t_s=t, v_s=x, x_0=x, index=torch.zeros(2, dtype=torch.long), velocity=lambda x, t: x)
