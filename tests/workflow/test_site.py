"""The five settings of a site, as Snakemake's SLURM plugin is told of them."""

import pytest

from salt.errors import SaltError
from salt.workflow.site import Site

GPU_JOB = {"slurm_partition": "gpu", "slurm_extra": "--open-mode=append"}


@pytest.mark.parametrize(
    ("said", "one_node", "two_nodes"),
    [
        ({}, {"gpu": 2}, {"gres": "gpu:2"}),
        ({"SALT_GPU": "h200"}, {"gpu": 2, "gpu_model": "h200"}, {"gres": "gpu:h200:2"}),
        ({"SALT_GPU": "gres"}, {"gres": "gpu:2"}, {"gres": "gpu:2"}),
        ({"SALT_GPU": "gres:h200"}, {"gres": "gpu:h200:2"}, {"gres": "gpu:h200:2"}),
        (
            {"SALT_GPU": "constraint:h200&ib"},
            {"gpu": 2, "constraint": "h200&ib"},
            {"gres": "gpu:2", "constraint": "h200&ib"},
        ),
        ({"SALT_QOS": "long", "SALT_ACCOUNT": ""}, {"gpu": 2, "qos": "long"}, {"gres": "gpu:2", "qos": "long"}),
    ],
)
def test_gpus_are_asked_for_as_the_site_has_them(
    said: dict[str, str], one_node: dict[str, object], two_nodes: dict[str, object]
) -> None:
    site = Site.read(said)
    assert site.resources(2, 1) == GPU_JOB | one_node
    assert site.resources(2, 2) == GPU_JOB | two_nodes


def test_jobs_without_gpus_go_elsewhere_where_the_site_says_so() -> None:
    said = {"SALT_PARTITION": "h200,h100", "SALT_CPU_PARTITION": "all", "SALT_GPU": "constraint:h200"}
    assert Site.read(said).resources(0, 1) == GPU_JOB | {"slurm_partition": "all", "gpu": 0}
    assert Site.read(said | {"SALT_CPU_PARTITION": ""}).resources(0, 1)["slurm_partition"] == "h200,h100"
    assert "constraint" not in Site.read(said).resources(0, 1)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"SALT_PARTITION": "gpu; rm"}, "SALT_PARTITION=gpu; rm: accepted: a name as SLURM has it"),
        ({"SALT_ACCOUNT": "a,,b"}, "SALT_ACCOUNT=a,,b: accepted"),
        ({"SALT_GPU": "h200:8"}, r"SALT_GPU=h200:8: accepted: a type \(h200\), gres, gres:TYPE, or constraint:FEATURE"),
        ({"SALT_GPU": "constraint:"}, "SALT_GPU=constraint:: accepted"),
    ],
)
def test_what_sbatch_would_not_take_is_refused(said: dict[str, str], told: str) -> None:
    with pytest.raises(SaltError, match=told):
        Site.read(said)
