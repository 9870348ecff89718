"""`workflow/resources.yaml`: what a job asks for, in the words of Snakemake and its SLURM plugin."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from salt.config.base import Section
from salt.config.files import accepted, as_mapping, read_mapping, relative
from salt.config.load import of_scale
from salt.config.validate import Layer, Merged, validate
from salt.errors import SaltError
from salt.workflow.ended import lacked
from salt.workflow.site import Site
from salt.workflow.stages import Stages

DEFAULT = "default"
RULES = (*Stages.model_fields, "sample_long", "score_long", "modes_any_step")
"""Rules that may ask for something of their own: a part of a work asks for what the whole does."""
RESUMED = (
    *("teacher", "train", "latents", "latents_part", "ode_pairs", "ode_pairs_part"),
    *("sample", "sample_long"),
)
"""Rules whose jobs go on where they were stopped: `preemptible-rules` of the profile."""
Asked = int | str | Callable[[Sequence[str], int], int]


class Request(Section):
    """What one job asks for."""

    gpu: NonNegativeInt
    """GPUs on each node."""
    mem_mb: PositiveInt
    """Memory on each node."""
    runtime: PositiveInt
    """Minutes."""
    cpus_per_task: PositiveInt
    """CPU cores on each node."""
    nodes: PositiveInt = 1
    """More than one for `train` alone."""
    device: Literal["cpu", "cuda"] | None = None
    """None: cuda where there is a GPU."""
    parts: PositiveInt = 1
    """So many jobs, each as asked, share the work of `latents` or `ode_pairs`."""

    @property
    def gpus(self) -> int:
        """On all nodes."""
        return self.gpu * self.nodes


@dataclass(frozen=True)
class Resources:
    """What the jobs of one scale ask for."""

    default: Request
    rules: dict[str, Request]
    site: Site = field(default_factory=Site)

    @classmethod
    def load(cls, folder: Path, scale: str) -> "Resources":
        """Read `resources.yaml` in the workflow's folder.

        Raises:
            SaltError: an unknown rule or key, a value that is not accepted, or nothing for this scale; or a setting of
                the site that SLURM would not take.
        """
        path = folder / "resources.yaml"
        source = relative(path)
        entries = as_mapping(of_scale(read_mapping(path), scale), source)
        for rule in entries:
            if rule not in (DEFAULT, *RULES):
                raise SaltError(f"{source}: {rule}: unknown rule; {accepted(rule, (DEFAULT, *RULES))}")
        read = {rule: _request(asked, source, rule) for rule, asked in entries.items()}
        if DEFAULT not in read:
            raise SaltError(f"{source}: scale {scale}: {DEFAULT} is missing; accepted: what a job of any rule asks for")
        return cls(read.pop(DEFAULT), read, Site.read(os.environ))

    def of(self, rule: str) -> Request:
        """What a job of `rule` asks for, a part of its work as much as the whole."""
        return self.rules.get(rule.removesuffix("_part"), self.default)

    def most_gpus(self) -> int:
        """Of any job, on one node."""
        return max(request.gpu for request in (self.default, *self.rules.values()))

    def threads(self, rule: str) -> int:
        """CPU cores of a job, as Snakemake counts them on one machine."""
        return self.of(rule).cpus_per_task

    def device(self, rule: str) -> str:
        """The `--device` of a job."""
        request = self.of(rule)
        return request.device or ("cuda" if request.gpu else "cpu")

    def asked(self, rule: str) -> dict[str, Asked]:
        """The `resources:` of a rule.

        An attempt gets twice the memory where one before ran out of it, and twice the time likewise, but for what goes
        on where it was stopped.
        """
        request, logs = self.of(rule), Path(os.environ.get("SALT_SCRATCH", "scratch"), "slurm_logs")

        def memory(wildcards: Sequence[str], attempt: int) -> int:
            return request.mem_mb * (1 + lacked("memory", logs, rule, wildcards, attempt))

        def runtime(wildcards: Sequence[str], attempt: int) -> int:
            return request.runtime * (1 + lacked("time", logs, rule, wildcards, attempt))

        common: dict[str, Asked] = {
            "nodes": request.nodes,
            "cpus_per_task": request.cpus_per_task,
            "runtime": request.runtime if rule in RESUMED else runtime,
            "mem_mb": memory,
            "gpu_jobs": min(request.gpu, 1),  # only on one machine: workflow/Snakefile
        }
        common |= self.site.resources(request.gpu, request.nodes)
        if request.nodes == 1:
            return common
        # `mpi` leaves srun to the rule; without tasks_per_gpu=0 the plugin would ask for `tasks` on every GPU.
        return common | {"mpi": "srun", "tasks": request.nodes, "tasks_per_gpu": 0}

    def launcher(self, rule: str) -> str:
        """What stands before a command: nothing, or one process per GPU on one node or several, of one SLURM job."""
        request = self.of(rule)
        nodes, gpus = request.nodes, request.gpu
        workers = f"--nproc-per-node={max(gpus, 1)} --no-python "
        if nodes == 1:
            return f"torchrun --standalone {workers}" if gpus > 1 else ""
        step = f"srun --nodes={nodes} --ntasks={nodes} --cpus-per-task={request.cpus_per_task} --kill-on-bad-exit=1"
        if gpus:
            step += f" --gres={self.site.gres_of(gpus)}"
        # The shell of a job runs on its first node, so `hostname` is where the processes meet.
        meet = "--rdzv-backend=c10d --rdzv-id=$SLURM_JOB_ID"
        meet += " --rdzv-endpoint=$(hostname):$((20000 + SLURM_JOB_ID % 20000))"
        return f"{step} torchrun --nnodes={nodes} {meet} {workers}"


def _request(asked: object, source: str, rule: str) -> Request:
    layer = Layer(as_mapping(asked, f"{source}: {rule}"), source, (rule,))
    return validate(Request, Merged([layer]), source)
