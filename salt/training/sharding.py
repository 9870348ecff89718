"""Networks split over processes (FSDP2), where one device cannot hold them whole, and samples shared by processes.

Every block of a transformer is gathered when it is computed and then freed; the optimiser and the average hold this
process's part alone. Gradients are summed in float32. Networks are called as before, but every process must call them
the same number of times: see `max_over_ranks`. What PyTorch has for this takes .7 s to import, and a run on one device
needs none of it, so it is imported where it is used.
"""

import copy
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, distributed, nn

from salt.models.protocol import TokenParallelModel


def split(network: nn.Module, dtype: torch.dtype) -> None:
    """Split a network's weights over all processes, in place.

    Each of a transformer's `blocks` and each of its other parts is gathered separately, so that backward also works
    where the forward pass stops at some block (`FeatureModel.features`).

    Args:
        network: the same on every process.
        dtype: of gathered weights; this process's own part keeps its dtype.
    """
    if not distributed.is_initialized():  # one process: its part is the whole
        return
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    # It warns about changing outputs in place, which diffusers' Wan does not (tests compare with whole networks).
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    transformers = [module for module in network.modules() if "blocks" in dict(module.named_children())]
    for transformer in transformers:
        parts = dict(transformer.named_children())
        blocks = parts.pop("blocks").children()
        for part in (*blocks, *parts.values(), transformer):
            if next(part.parameters(), None) is not None:
                fully_shard(part, mp_policy=policy, reshard_after_forward=True)


def share_samples(networks: Iterable[nn.Module], processes: int) -> None:
    """Let every group of `processes` consecutive processes compute the same samples together (context parallelism).

    Args:
        networks: `TokenParallelModel`s, before `split`; copies that are made of them later do not work.
        processes: size of a group, a divisor of the number of processes; 1: nothing is shared.
    """
    if processes == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh

    device = "cuda" if torch.cuda.is_available() else "cpu"
    groups = distributed.get_world_size() // processes
    mesh = init_device_mesh(device, (groups, 1, processes), mesh_dim_names=("data", "ring", "ulysses"))
    for network in networks:
        cast(TokenParallelModel, network).share_tokens(mesh)


def skeleton(network: nn.Module) -> nn.Module:
    """The network on the meta device, without values, for `whole`."""
    return copy.deepcopy(network).to("meta")


def whole(network: nn.Module, bones: nn.Module) -> nn.Module:
    """A split network, reassembled on the first process; on the others it has no values.

    Args:
        network: after `split`.
        bones: `skeleton` of the network before `split`.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    weights = get_model_state_dict(network, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if weights:
        bones.load_state_dict(weights, assign=True)
    return bones


def gathered(value: Tensor) -> Tensor:
    """The full tensor, on every process."""
    if not distributed.is_initialized():
        return value
    from torch.distributed.tensor import DTensor

    return value.full_tensor() if isinstance(value, DTensor) else value


# ------------------------------------------------------------------------------------------- on the disk
def write_parts(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Write a state in the format of torch.distributed.checkpoint; every process writes its part.

    Raises:
        OSError: some process could not write.
    """
    from torch.distributed.checkpoint.state_dict_saver import save

    with _as_os_error():
        save(tensors, checkpoint_id=folder, no_dist=not distributed.is_initialized())


def stored_shapes(folder: Path) -> dict[str, torch.Size]:
    """Name -> shape of everything that `write_parts` wrote, with any number of processes."""
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    stored = FileSystemReader(folder).read_metadata().state_dict_metadata
    return {name: known.size for name, known in stored.items() if isinstance(known, TensorStorageMetadata)}


def read_parts(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Fill tensors, whole or split, with what `write_parts` wrote, with any number of processes.

    Raises:
        OSError: some process could not read.
    """
    from torch.distributed.checkpoint.state_dict_loader import load

    with _as_os_error():
        load(tensors, checkpoint_id=folder, no_dist=not distributed.is_initialized())


@contextmanager
def _as_os_error() -> Iterator[None]:
    """PyTorch's CheckpointException, which is a BaseException, as an OSError."""
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except CheckpointException as error:
        raise OSError(str(error)) from error
