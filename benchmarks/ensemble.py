"""What an ensemble of E seeds costs beside one seed: an iteration of one arm of the lab.

    python benchmarks/ensemble.py --arm sc_dmd --members 1 4 16 32

The ensembles take turns, iteration by iteration, so that a busy machine slows them alike; the first is the unit.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from salt.config.lab_arms import load_arms
from salt.data.exact import ExactData, captions_of, modes_of
from salt.methods import build_method
from salt.models.ensemble import EnsembleVelocity
from salt.models.exact import ExactTeacher
from salt.streams import MemberStreams
from salt.training.loop import Job, iterate
from salt.training.state import TrainState


def iteration(arm: str, members: int) -> Callable[[], None]:
    """One iteration of an arm with so many members, from random networks."""
    experiment = load_arms().every()[arm].experiment("lab")
    exact = experiment.scale.exact
    assert exact is not None
    seeds, text = range(members), len(captions_of(exact.world).names)
    networks = [EnsembleVelocity(members, exact.world.latent_shape, text, exact.network) for _ in range(2)]
    for network in networks:
        network.mlp.initialise(seeds)
    streams = MemberStreams(seeds)
    method = build_method(experiment, networks[0], networks[1], streams, ExactTeacher(modes_of(exact.world)))
    job = Job(method, ExactData(exact, streams), experiment.train, Path(tempfile.mkdtemp()))
    state = TrainState(method.trainable, experiment.train, method.constant)
    return lambda: void(iterate(job, state))


def void(_: object) -> None:
    """Forget a result."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", default="sc_dmd")
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    torch.set_num_threads(1)
    steps = {members: iteration(given.arm, members) for members in given.members}
    seconds: dict[int, list[float]] = {members: [] for members in steps}
    for round_ in range(given.rounds + 3):
        for members, step in steps.items():
            begun = time.perf_counter()
            step()
            if round_ >= 3:
                seconds[members].append(time.perf_counter() - begun)
    unit = statistics.median(seconds[given.members[0]])
    for members, measured in seconds.items():
        median = statistics.median(measured)
        print(
            f"{members:3} members: {1e3 * median:6.1f} ms an iteration, {median / unit:5.2f} times {given.members[0]}; "
            f"{members * unit / given.members[0] / median:5.1f} times faster than one after another"
        )


if __name__ == "__main__":
    main()
