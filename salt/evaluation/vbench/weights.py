"""The files that each dimension of VBench reads, checked before a job starts, since VBench would download missing ones.

Paths are below `vbench_folder()`. A hash is checked if it is known from the file's address. All hashes are recorded
beside the scores, and scores obtained with different files are never merged.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from salt.config.vbench import VBench
from salt.errors import SaltError
from salt.files import sha256

OPENAI = "https://openaipublic.azureedge.net/clip/models"
HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Need:
    """One file."""

    path: str
    """Below `vbench_folder()`."""
    url: str
    sha256: str = ""
    """The beginning of its SHA-256, as far as it is published; empty: it is not."""


VIT_B = Need(
    "weights/clip_model/ViT-B-32.pt",
    f"{OPENAI}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
)
VIT_L = Need(
    "weights/clip_model/ViT-L-14.pt",
    f"{OPENAI}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
)
_DINO_URL = "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth"
_DINO_CODE = "weights/dino_model/facebookresearch_dino_main"
# VBench only checks that the first file exists; DINO's own code reads the second.
DINO = (
    Need("weights/dino_model/dino_vitbase16_pretrain.pth", _DINO_URL),
    Need("weights/torch/hub/checkpoints/dino_vitbase16_pretrain.pth", _DINO_URL),
    Need(f"{_DINO_CODE}/hubconf.py", "https://github.com/facebookresearch/dino"),
    Need(f"{_DINO_CODE}/vision_transformer.py", "https://github.com/facebookresearch/dino"),
)
RAFT = Need(
    "weights/raft_model/models/raft-things.pth", "https://dl.dropboxusercontent.com/s/4j4z58wuv8o0mfz/models.zip"
)
GRIT = (
    Need(
        "weights/grit_model/grit_b_densecap_objectdet.pth",
        f"{HUB}/OpenGVLab/VBench_Used_Models/resolve/main/grit_b_densecap_objectdet.pth",
    ),
    Need("weights/huggingface/hub/models--bert-base-uncased/refs/main", f"{HUB}/bert-base-uncased"),
)
VICLIP = (
    Need(
        "weights/ViCLIP/ViClip-InternVid-10M-FLT.pth",
        f"{HUB}/OpenGVLab/VBench_Used_Models/resolve/main/ViClip-InternVid-10M-FLT.pth",
    ),
    Need(
        "weights/ViCLIP/bpe_simple_vocab_16e6.txt.gz",
        "https://raw.githubusercontent.com/openai/CLIP/main/clip/bpe_simple_vocab_16e6.txt.gz",
    ),
)
_REPOSITORY = "https://github.com/Vchitect/VBench"
_CACHE = "weights/home/.cache"
DREAMSIM = tuple(
    Need(f"{_CACHE}/{name}", "https://github.com/ssundaram21/dreamsim/releases (pretrained.zip, unpacked)")
    for name in (
        "dino_vitb16_pretrain.pth",
        "open_clip_vitb16_pretrain.pth.tar",
        "clip_vitb16_pretrain.pth.tar",
        "ensemble_lora/adapter_config.json",
    )
)
NEEDS: dict[str, tuple[Need, ...]] = {
    "subject_consistency": DINO,
    "background_consistency": (VIT_B,),
    "temporal_flickering": (),
    "motion_smoothness": (Need("weights/amt_model/amt-s.pth", f"{HUB}/lalala125/AMT/resolve/main/amt-s.pth"),),
    "dynamic_degree": (RAFT,),
    "aesthetic_quality": (
        VIT_L,
        Need(
            "weights/aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth",
            "https://github.com/LAION-AI/aesthetic-predictor/blob/main/sa_0_4_vit_l_14_linear.pth?raw=true",
        ),
    ),
    "imaging_quality": (
        Need(
            "weights/pyiqa_model/musiq_spaq_ckpt-358bb6af.pth",
            "https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights/musiq_spaq_ckpt-358bb6af.pth",
            "358bb6af",
        ),
    ),
    "object_class": GRIT,
    "multiple_objects": GRIT,
    "color": GRIT,
    "spatial_relationship": GRIT,
    "human_action": (
        Need(
            "weights/umt_model/l16_ptk710_ftk710_ftk400_f16_res224.pth",
            f"{HUB}/OpenGVLab/VBench_Used_Models/resolve/main/l16_ptk710_ftk710_ftk400_f16_res224.pth",
        ),
    ),
    "scene": (
        Need(
            "weights/caption_model/tag2text_swin_14m.pth",
            f"{HUB}/spaces/xinyu1205/recognize-anything/resolve/main/tag2text_swin_14m.pth",
        ),
        Need("weights/huggingface/hub/models--bert-base-uncased/refs/main", f"{HUB}/bert-base-uncased"),
    ),
    "appearance_style": (VIT_B,),
    "temporal_style": VICLIP,
    "overall_consistency": VICLIP,
    "i2v_subject": DINO,
    "i2v_background": DREAMSIM,
    "camera_motion": (
        Need("checkout/vbench2_beta_i2v/third_party/cotracker/utils/visualizer.py", _REPOSITORY),
        Need(
            "weights/torch/hub/facebookresearch_co-tracker_main/hubconf.py",
            "https://github.com/facebookresearch/co-tracker",
        ),
        Need("weights/torch/hub/checkpoints/cotracker2.pth", f"{HUB}/facebook/cotracker/resolve/main/cotracker2.pth"),
    ),
}
"""Dimension -> its files, according to the sources of VBench 0.1.5."""


def _configs(*names: str) -> tuple[Need, ...]:
    return tuple(Need(f"{LONG_CONFIGS}/{name}.yaml", _REPOSITORY) for name in names)


LONG_CONFIGS = "checkout/vbench2_beta_long/configs"
SLOW_FAST: dict[str, tuple[Need, ...]] = {
    "subject_consistency": (
        *_configs("slow_fast_params", "subject_mapping_table"),
        Need("weights/torch/hub/facebookresearch_dinov2_main/hubconf.py", "https://github.com/facebookresearch/dinov2"),
        Need(
            "weights/torch/hub/checkpoints/dinov2_vitb14_pretrain.pth",
            "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
        ),
    ),
    "background_consistency": (*_configs("slow_fast_params", "background_mapping_table"), *DREAMSIM),
}
"""Further files of VBench-Long's clip-to-clip consistency; the tables are not in the wheel."""


def needs(protocol: VBench, dimension: str) -> tuple[Need, ...]:
    """The files of a dimension."""
    own = NEEDS[dimension]
    if protocol.suite == "long" and protocol.consistency == "slow_fast":
        own += SLOW_FAST.get(dimension, ())
    if protocol.flicker == "filtered" and dimension == "temporal_flickering":
        own += (RAFT,)
    return own


def absent(folder: Path, protocol: VBench, dimension: str) -> str | None:
    """Why a dimension cannot be scored on this machine, in words; None if all of its files exist."""
    missing = [need for need in needs(protocol, dimension) if not (folder / need.path).is_file()]
    if not missing:
        return None
    return f"{folder / missing[0].path} is not there" + (f", nor {len(missing) - 1} more" if missing[1:] else "")


def hashed(folder: Path, protocol: VBench, dimension: str) -> dict[str, str]:
    """Path -> SHA-256 of the files of a dimension.

    Raises:
        SaltError: a file is empty, or its hash is not the published one.
    """
    found = {}
    for need in needs(protocol, dimension):
        path = folder / need.path
        if not path.stat().st_size:
            raise SaltError(f"{path}: is empty; accepted: {need.url}")
        found[need.path] = sha256(path)
        if not found[need.path].startswith(need.sha256):
            raise SaltError(
                f"{path}: SHA-256 {found[need.path][:12]}...; accepted: {need.sha256[:12]}..., the file of {need.url}: "
                "this one is truncated or of another model"
            )
    return found


def offline(folder: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment variables of a job: all caches of VBench's models lie below the folder, and nothing is downloaded."""
    weights = folder / "weights"
    kept = {name: value for name, value in environment.items() if not name.startswith(("PYTHON", "HF_", "VBENCH_"))}
    return kept | {
        "VBENCH_CACHE_DIR": str(weights),
        "TORCH_HOME": str(weights / "torch"),
        "HF_HOME": str(weights / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HOME": str(weights / "home"),  # DreamSim reads ~/.cache
    }
