"""One training iteration on one GPU (a generator update and its critic updates), and its share of the ceiling.

    python benchmarks/gpu/train_step.py dmd_8 sc_dmd --scale paper --batch-size 1 --iterations 3

Weights, latents and embeddings are random, and the teacher has the student's size: a larger one fits no single GPU. An
update of the generator and one of the critic are timed; an iteration has as many of the latter as the experiment says.
The first experiment is the unit of the others. Operations are those that `salt plan` counts, the ceiling a large matrix
product in the same run.
"""

import argparse
import gc
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from ceiling import finish, matmul_ceiling, told

from salt.config import load_experiment
from salt.planning import cost

sys.path.insert(0, str(Path(__file__).parents[1]))
from step_cost import Run


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What an iteration of each experiment takes."""
    settings = {"train.batch_size": str(options.batch_size), "train.shard": "false", "train.accumulate": "1"}
    settings["objectives.dmd.teacher"] = "own"
    ceiling = matmul_ceiling(options.device)
    found: dict[str, Any] = {"scale": options.scale, "batch_size": options.batch_size, "ceiling_tflops": ceiling / 1e12}
    found["experiments"] = {}
    for name in options.experiments:
        experiment = load_experiment(name, options.scale, settings)
        assert experiment.train.critic is not None, f"{name} has no critic"
        ratio = experiment.train.critic.ratio
        run = Run(load_experiment(name, options.scale, settings | {"train.critic.ratio": "1"}), options.device)
        for _ in range(1 + options.iterations):
            run.step()
            finish(options.device)
        generator = statistics.mean(run.generator[1:])
        critic = statistics.mean(run.totals[1:]) - generator
        seconds = generator + ratio * critic
        operations = experiment.train.batch_size * sum(cost.iteration(experiment).values())
        first = next(iter(found["experiments"].values()), {"iteration_s": seconds})
        here = {
            "generator_s": generator,
            "critic_s": critic,
            "critic_updates": ratio,
            "iteration_s": seconds,
            "warm_up_s": run.totals[0],
            f"of_{options.experiments[0]}": seconds / first["iteration_s"],
            "tflops": operations / seconds / 1e12,
            "share_of_ceiling": operations / seconds / ceiling,
            "planned_gb": sum(cost.training_memory(experiment, 1).values()) / 1e9,
        }
        if options.device.startswith("cuda"):
            here["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
            torch.cuda.reset_peak_memory_stats()
        found["experiments"][name] = here
        del run  # the next one needs the memory
        gc.collect()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=3)
    told(measure, parser)
