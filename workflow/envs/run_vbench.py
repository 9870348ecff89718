"""Score one dimension with the real VBench: `python -I run_vbench.py JOB.json`, by the Python of VBench's environment.

It knows nothing of salt and needs nothing but VBench. JOB.json holds

    suite      vbench, i2v or long
    version    of VBench, which must be the one that is installed
    dimension  as VBench names it
    table      [{prompt_en, dimension, auxiliary_info, image_name, video_list}]: VBench's own resolved list
    device     as torch names it
    checkout   a folder that goes before the installed packages, or null
    resolution ratio of the images of i2v, such as 7-4
    seconds    length of the clips of long
    static     keep so many videos of each prompt, those that the static filter of VBench-Long passes first; null: all
    options    further arguments of the dimension's function
    out        where {score, entries, versions, device} goes, or {absent: why}, as JSON (NaN is left for the reader)

The dimension's function is called with our own table, so neither VBench's guesses at file names nor its silence about
missing files has a say. Nothing is downloaded: any process or connection that VBench begins is an error.
"""

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

DETECTOR = ("object_class", "multiple_objects", "color", "spatial_relationship")
"""Dimensions of GRiT, which needs detectron2 and torchvision's compiled operators."""
VERSIONS = ("vbench", "torch", "torchvision", "numpy", "opencv-python", "decord", "timm", "transformers", "pyiqa")


def refuse_the_network(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: VBench fetches missing weights by wget, git and Python, and goes on without when that fails."""
    if event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"):
        raise OSError(f"offline: VBench wants to run {arguments}")
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        raise OSError(f"offline: VBench wants to reach {arguments[0 if event == 'socket.getaddrinfo' else 1]}")


def mend_torchvision() -> Any:
    """The wheel of torchvision registers its operators with CUDA builds of torch only and then fails at import."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def write_video(filename: str, video_array: Any, fps: float, **unused: Any) -> None:
    """What VBench-Long expects of torchvision.io, which has lost it: uint8 `(F, H, W, 3)`, libx264's defaults."""
    import av
    import numpy

    with av.open(filename, "w") as container:
        stream = container.add_stream("libx264", rate=int(fps))
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = video_array.shape[1:3]
        for frame in numpy.asarray(video_array).astype("uint8"):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def watched_detector() -> list[Exception]:
    """GRiT whose errors are kept: VBench turns every one of them into "nothing seen", that is a score of 0."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.rand(2, 4), torch.rand(2), 0.5)  # a broken torchvision shows here
    detector = importlib.import_module("vbench.third_party.grit_model").DenseCaptioning
    errors: list[Exception] = []
    run = detector.run_caption_tensor

    def watched(*arguments: Any) -> Any:
        try:
            return run(*arguments)
        except Exception as error:
            errors.append(error)
            raise

    detector.run_caption_tensor = watched
    return errors


def keep_static(table: list[dict[str, Any]], number: int, device: Any, weights: str) -> None:
    """Leave the first `number` videos of each prompt, in the order given, that VBench's static filter passes.

    VBench's own script takes samples in the order 0, 1, 10, 11, ... and reads a device that it has hard-wired.
    """
    from easydict import EasyDict  # as VBench calls it

    filters = importlib.import_module("vbench2_beta_long.static_filter")
    filters.DEVICE = device
    arguments = {"model": weights, "small": False, "mixed_precision": False, "alternate_corr": False}
    static = filters.StaticFilter(EasyDict(arguments), device)
    for row in table:
        passed = []
        for video in row["video_list"]:
            if len(passed) < number and static.infer(video):
                passed.append(video)
        row["video_list"] = passed


def split(table: list[dict[str, Any]], seconds: int) -> None:
    """Replace every video by its clips, cut and encoded by VBench-Long, in `split_clip/VIDEO/` beside it."""
    utils = importlib.import_module("vbench2_beta_long.utils")
    for row in table:
        clips = []
        for video in row["video_list"]:
            into = os.path.join(os.path.dirname(video), "split_clip")
            folder = utils.split_video_into_clips(video, into, seconds)
            clips += [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        row["video_list"] = clips


def function_and_models(job: dict[str, Any]) -> tuple[Callable[..., Any], Any]:
    """The dimension's function and what it is told about its weights."""
    name, suite = job["dimension"], job["suite"]
    if suite == "i2v":
        models = importlib.import_module("vbench2_beta_i2v.utils").init_submodules(
            [name], local=True, resolution=job["resolution"]
        )
        if name == "i2v_background":  # the device is left at "cuda"
            module = importlib.import_module("vbench2_beta_i2v.i2v_background")
            module.dreamsim = partial(module.dreamsim, device=job["device"])
        own = name in ("i2v_subject", "i2v_background", "camera_motion")
        module = importlib.import_module(f"{'vbench2_beta_i2v' if own else 'vbench'}.{name}")
        return getattr(module, f"compute_{name}"), models[name]
    models = importlib.import_module("vbench.utils").init_submodules([name], local=True)
    if suite == "long":
        return getattr(importlib.import_module(f"vbench2_beta_long.{name}"), f"compute_long_{name}"), models[name]
    return getattr(importlib.import_module(f"vbench.{name}"), f"compute_{name}"), models[name]


def versions() -> dict[str, str]:
    """Of the packages that can change a number."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main(path: str) -> None:
    """Run the job and write what VBench returns."""
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    if version("vbench") != job["version"]:
        raise SystemExit(f"vbench {version('vbench')} is installed; accepted: {job['version']}")
    if job["dimension"] in DETECTOR and importlib.util.find_spec("detectron2") is None:
        write(job, {"absent": "detectron2 is not installed (see docs/vbench.md)"})
        return
    if job["checkout"]:
        sys.path.insert(0, job["checkout"])
    import torch

    kept = mend_torchvision() if torch.version.cuda is None else None
    import torchvision.io

    if not hasattr(torchvision.io, "write_video"):
        torchvision.io.write_video = write_video
    editor = ModuleType("moviepy.editor")  # imported by VBench-Long, which never uses it; it wants to run ffmpeg
    editor.VideoFileClip = None
    sys.modules |= {"moviepy": ModuleType("moviepy"), "moviepy.editor": editor}
    sys.addaudithook(refuse_the_network)
    device = torch.device(job["device"])
    torch.manual_seed(0)
    errors = watched_detector() if job["dimension"] in DETECTOR else []
    compute, models = function_and_models(job)
    if job["static"]:
        weights = importlib.import_module("vbench.utils").CACHE_DIR + "/raft_model/models/raft-things.pth"
        keep_static(job["table"], job["static"], device, weights)
    if job["suite"] == "long":
        split(job["table"], job["seconds"])
    table = path + ".table"
    with open(table, "w", encoding="utf-8") as file:
        json.dump(job["table"], file)
    with torch.no_grad():  # VBench forgets it for background_consistency, whose memory then grows with the video
        returned = compute(table, device, models, **job["options"])
    if errors:
        raise errors[0]
    entries = returned[2] if job["dimension"] == "camera_motion" else returned[1]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    write(job, {"score": returned[0], "entries": entries, "versions": versions(), "device": name})
    del kept


def write(job: dict[str, Any], body: dict[str, Any]) -> None:
    """Leave the result."""
    with open(job["out"], "w", encoding="utf-8") as file:
        json.dump(body, file, default=lambda value: value.item())  # numpy's numbers


if __name__ == "__main__":
    main(sys.argv[1])
