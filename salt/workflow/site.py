"""What a cluster calls its partitions, accounts and GPUs: five settings of the environment, read once, here.

They reach a job as resources of its rule. In a profile they would be Python expressions (an account `12-34` is -22
there), and would vanish with the first `--default-resources` of a user.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from salt.errors import SaltError

PARTITION, CPU_PARTITION, ACCOUNT = "SALT_PARTITION", "SALT_CPU_PARTITION", "SALT_ACCOUNT"
QOS, GPU = "SALT_QOS", "SALT_GPU"
SETTINGS = (PARTITION, CPU_PARTITION, ACCOUNT, QOS, GPU)
_NAME = re.compile(r"[\w.+:-]+(,[\w.+:-]+)*")
_GPU = re.compile(r"(?:(gres)(?::([\w.]+))?|constraint:([\w.&|*\[\]-]+)|([\w.]+))")
HOW_GPU = "a type (h200), gres, gres:TYPE, or constraint:FEATURE"


@dataclass(frozen=True)
class Site:
    """A cluster, in SLURM's words."""

    partition: str = "gpu"
    """Of jobs with GPUs; several, separated by commas, as sbatch takes them."""
    cpu_partition: str | None = None
    """Of jobs without; None: the same."""
    account: str | None = None
    qos: str | None = None
    gpu_type: str | None = None
    gres: bool = False
    """GPUs are asked for by --gres and not by --gpus."""
    constraint: str | None = None
    """A feature of the nodes of jobs with GPUs."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Site":
        """The settings; one that is empty counts as left out.

        Raises:
            SaltError: a value that sbatch would not take.
        """
        said = {name: environment[name] for name in SETTINGS if environment.get(name)}
        for name, value in said.items():
            if name != GPU and not _NAME.fullmatch(value):
                raise SaltError(f"{name}={value}: accepted: a name as SLURM has it, or several separated by commas")
        site = cls(said.get(PARTITION, cls.partition), said.get(CPU_PARTITION), said.get(ACCOUNT), said.get(QOS))
        if GPU not in said:
            return site
        asked = _GPU.fullmatch(said[GPU])
        if asked is None:
            raise SaltError(f"{GPU}={said[GPU]}: accepted: {HOW_GPU}")
        by_gres, of_gres, constraint, kind = asked.groups()
        return replace(site, gpu_type=of_gres or kind, gres=by_gres is not None, constraint=constraint)

    def resources(self, gpus: int, nodes: int) -> dict[str, int | str]:
        """What Snakemake's SLURM plugin is told of a job.

        Args:
            gpus: on each node.
            nodes: on how many it runs; more than one are started by srun, which knows --gres alone.
        """
        said: dict[str, int | str] = {
            "slurm_partition": self.partition if gpus else self.cpu_partition or self.partition,
            "slurm_extra": "--open-mode=append",  # a job that SLURM itself starts again keeps its first log
        }
        said |= {"slurm_account": self.account} if self.account else {}
        said |= {"qos": self.qos} if self.qos else {}
        if not gpus:
            return said | ({"gpu": 0} if nodes == 1 else {})
        said |= {"constraint": self.constraint} if self.constraint else {}
        if self.gres or nodes > 1:
            return said | {"gres": self.gres_of(gpus)}
        return said | {"gpu": gpus} | ({"gpu_model": self.gpu_type} if self.gpu_type else {})

    def gres_of(self, gpus: int) -> str:
        """GPUs of one node, as --gres takes them."""
        return ":".join(filter(None, ("gpu", self.gpu_type, str(gpus))))
