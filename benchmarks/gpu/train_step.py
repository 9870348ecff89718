"""One training iteration on one GPU (a generator update and its critic updates), and its share of the ceiling.

    python benchmarks/gpu/train_step.py dmd_8 sc_dmd --scale paper --batch-size 1 --iterations 3

Weights, latents and embeddings are random. The experiments take turns; the first is the unit of the others. Operations
are those that `salt plan` counts, the ceiling a large matrix product in the same run.
"""

import argparse
import gc
import statistics
import sys
from pathlib import Path

import torch
from ceiling import finish, matmul_ceiling

from salt.config import load_experiment
from salt.planning import cost

sys.path.insert(0, str(Path(__file__).parents[1]))
from step_cost import Run


def main() -> None:
    """Print a line for each experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=3)
    options = parser.parse_args()
    settings = {"train.batch_size": str(options.batch_size), "train.shard": "false"}
    ceiling, unit = matmul_ceiling(options.device), 0.0
    print(f"ceiling {ceiling / 1e12:.3g} TFLOP/s, bfloat16")
    for name in options.experiments:
        experiment = load_experiment(name, options.scale, settings)
        run = Run(experiment, options.device)
        for _ in range(1 + options.iterations):
            run.step()
            finish(options.device)
        seconds = statistics.mean(run.totals[1:])
        unit = unit or seconds
        operations = experiment.train.batch_size * sum(cost.iteration(experiment).values())
        print(
            f"{name}: {seconds:.3f} s an iteration, {seconds / unit:.3f} of {options.experiments[0]}; "
            f"{operations / seconds / 1e12:.3g} TFLOP/s, {operations / seconds / ceiling:.1%} of the ceiling",
            end="",
        )
        if options.device.startswith("cuda"):
            expected = sum(cost.training_memory(experiment, 1).values())
            print(f"; peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB, by the plan {expected / 1e9:.1f}", end="")
            torch.cuda.reset_peak_memory_stats()
        print(flush=True)
        del run  # the next one needs the memory
        gc.collect()


if __name__ == "__main__":
    main()
