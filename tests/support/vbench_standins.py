"""Checkpoints for VBench's real code with nothing learned in them: `python vbench_standins.py FOLDER DIMENSION`.

Run by the Python of VBench's environment. Networks are VBench's own classes with random weights of seed 0, or where
the size of a network is read off its file (CLIP) or its code is cloned (DINO) the smallest that the code takes.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch

if torch.version.cuda is None:  # see workflow/envs/run_vbench.py
    kept = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        kept.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

DINO = """
import torch

dependencies = ["torch"]


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 8, 16, 16)

    def forward(self, x):
        return self.layer(x).flatten(2).amax(2)


def dino_vitb16(pretrained=True, **kwargs):
    url = "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth"
    model = Tiny()
    model.load_state_dict(torch.hub.load_state_dict_from_url(url=url, map_location="cpu"))
    return model
"""


def save(state: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)


def clip(width: int, patch: int, path: Path) -> None:
    from clip.model import CLIP

    model = CLIP(width, 224, 1, 64, patch, 77, 49408, 64, 1, 1)
    model.initialize_parameters()
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs = torch.zeros(1, 3, 224, 224), torch.zeros(1, 77, dtype=torch.long)
    torch.jit.save(torch.jit.trace(model.eval(), inputs, check_trace=False), path)  # an archive, as the published ones


def dino(weights: Path) -> None:
    code = weights / "dino_model" / "facebookresearch_dino_main"
    code.mkdir(parents=True)
    (code / "hubconf.py").write_text(DINO)
    (code / "vision_transformer.py").write_text("# of a stand-in\n")
    scope: dict = {}
    exec(DINO, scope)
    save(scope["Tiny"]().state_dict(), weights / "torch" / "hub" / "checkpoints" / "dino_vitbase16_pretrain.pth")
    # VBench only asks whether this one is there.
    (weights / "dino_model" / "dino_vitbase16_pretrain.pth").write_text("not a checkpoint\n")


def amt(path: Path) -> None:
    from omegaconf import OmegaConf
    from vbench.third_party.amt.utils.build_utils import build_from_cfg

    config = Path(find_spec("vbench").submodule_search_locations[0]) / "third_party" / "amt" / "cfgs" / "AMT-S.yaml"
    save({"state_dict": build_from_cfg(OmegaConf.load(config).network).state_dict()}, path)


def raft(path: Path, scale: float = 1.0) -> None:
    from easydict import EasyDict
    from vbench.third_party.RAFT.core.raft import RAFT

    model = RAFT(EasyDict(small=False, mixed_precision=False, alternate_corr=False))
    save({f"module.{name}": scale * value for name, value in model.state_dict().items()}, path)


def musiq(path: Path) -> None:
    from pyiqa.archs.musiq_arch import MUSIQ

    model = MUSIQ(pretrained=False)
    torch.nn.init.constant_(model.head.bias, 50.0)  # of 100
    save(model.state_dict(), path)


def main(folder: Path, dimension: str) -> None:
    torch.manual_seed(0)
    weights = folder / "weights"
    if dimension in ("subject_consistency", "i2v_subject"):
        dino(weights)
    elif dimension == "motion_smoothness":
        amt(weights / "amt_model" / "amt-s.pth")
    elif dimension == "dynamic_degree":
        raft(weights / "raft_model" / "models" / "raft-things.pth")
    elif dimension == "temporal_flickering":  # for the static filter: all weights 0, so nothing ever moves
        raft(weights / "raft_model" / "models" / "raft-things.pth", scale=0.0)
    elif dimension == "imaging_quality":
        musiq(weights / "pyiqa_model" / "musiq_spaq_ckpt-358bb6af.pth")
    elif dimension == "aesthetic_quality":
        clip(768, 14, weights / "clip_model" / "ViT-L-14.pt")
        head = torch.nn.Linear(768, 1)
        torch.nn.init.constant_(head.bias, 5.0)
        save(head.state_dict(), weights / "aesthetic_model" / "emb_reader" / "sa_0_4_vit_l_14_linear.pth")
    else:
        clip(64, 32, weights / "clip_model" / "ViT-B-32.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
