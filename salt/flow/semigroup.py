"""The semigroup law of flow maps, and how far a student's Euler operator is from it.

Setting: a triple of times t_s > t_m > t_e. From the state x_s at t_s, one direct step leads to x_1 at t_e, and two
steps by way of t_m lead to x_2. An exact flow map has x_1 = x_2. For the Euler operator
x_1 - x_2 = (t_m - t_e) (v_m - v_s): the velocities at t_s and at t_m have to agree.
"""

from salt.flow.path import Velocity, batch_time
from salt.flow.shapes import PerSample, State, Time
from salt.flow.transport import FlowMap, euler_step


def composition_gap(flow_map: FlowMap, x_t: State, t: Time, u: Time, s: Time) -> State:
    """Eq. (3): Phi^{t->s} = Phi^{u->s} o Phi^{t->u} for t > u > s; returns the right side minus the left, at x_t."""
    return flow_map(flow_map(x_t, t, u), u, s) - flow_map(x_t, t, s)


def direct_endpoint(x_s: State, v_s: State, t_s: Time, t_e: Time) -> State:
    """Eq. (6), (14): x_1 = Psi^{t_s->t_e}(x_s), one Euler step with the velocity v_s at (x_s, t_s)."""
    return euler_step(x_s, v_s, t_s, t_e)


def composed_endpoint(velocity: Velocity, x_s: State, v_s: State, t_s: Time, t_m: Time, t_e: Time) -> State:
    """Eq. (7), (15): x_2 = Psi^{t_m->t_e}(Psi^{t_s->t_m}(x_s)); `velocity` is evaluated once, at t_m."""
    x_m = euler_step(x_s, v_s, t_s, t_m)
    v_m = velocity(x_m, batch_time(t_m, x_m))
    return euler_step(x_m, v_m, t_m, t_e)


def sc_loss(x_1: State, x_2: State) -> PerSample:
    """Eq. (8): d(x_1, x_2) of each sample, as the mean of squares over its elements.

    The paper writes the squared norm, a sum; the mean (the released trainer's choice) keeps lambda_SC independent of
    the resolution.
    """
    return (x_1 - x_2).square().flatten(1).mean(1)


def semigroup_defect(x_1: State, x_2: State, x_s: State, eps: float = 1e-8) -> PerSample:
    """Eq. (16): |x_1 - x_2|^2 / (|x_1 - x_s|^2 + eps) of each sample; the expectation is the caller's.

    It needs no unit: the squared composition error relative to the squared length of the direct step. The paper does
    not give eps.
    """
    error, length = ((x_1 - other).square().flatten(1).sum(1) for other in (x_2, x_s))
    return error / (length + eps)
