"""Videos made elsewhere, in one folder under VBench's own names, and the results of VBench's own command line.

A video is `{prompt}-{i}.mp4`, the i-th sample of a prompt of VBench's list. Nothing else is known of it, so size, frame
rate and length are read from the files, must be those of all of them, and enter the hash of a protocol of their own: no
table mixes such records with those of our videos. A dimension without a single video is absent; one that lacks some is
refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from salt.config.vbench import vbench_folder, vbench_python
from salt.data.media import opened_video, quarter_turns
from salt.data.prompts import prompts_hash
from salt.errors import SaltError
from salt.evaluation.cells import UNKNOWN, ModelCell
from salt.evaluation.scorer import digest
from salt.evaluation.vbench.real_vbench import RealVBench
from salt.evaluation.vbench.records import gather
from salt.evaluation.vbench.results import Scored, dimension_score
from salt.evaluation.vbench.run import SCORER, checked, run_dimension
from salt.evaluation.vbench.view import DimensionJob, first
from salt.readers import read_json

FEWEST = 3
"""Frames: motion smoothness compares every second one with what lies between two others."""
ACCEPTED = "accepted: VBench's `*_eval_results.json`, {dimension: [score, [{video_path, video_results}, ...]]}"


@dataclass(frozen=True)
class Form:
    """What all videos of a folder have in common."""

    width: int
    height: int
    frames: int
    fps: str
    """As a fraction, `24000/1001`."""


def cell_of(name: str, scale: str) -> ModelCell:
    """The cell of a model of which nothing is known but its name."""
    return ModelCell(name, UNKNOWN, UNKNOWN, 0, name, scale, 0)


# ------------------------------------------------------------------------------------------------ videos
def score_elsewhere(scorer: RealVBench, cell: ModelCell, videos: Path, details: Path, device: str) -> Scored:
    """Score a folder with the real VBench, dimension by dimension; to resume, call it again.

    Args:
        scorer: its scale says by which prompts and settings.
        cell: the videos'.
        videos: the folder.
        details: for the results of each dimension.
        device: where VBench computes.

    Raises:
        SaltError: as `jobs_of_folder` and `run_dimension`.
    """
    jobs = jobs_of_folder(scorer, cell, videos, details, device)
    for job in jobs:
        run_dimension(job, vbench_folder(), vbench_python())
    scored = gather(jobs)
    without = set(scorer.vbench.dimensions()) - {job.dimension for job in jobs}
    absent = scored.provenance["absent"] | dict.fromkeys(sorted(without), "no video of its prompts")
    return replace(scored, provenance=scored.provenance | {"absent": absent})


def jobs_of_folder(scorer: RealVBench, cell: ModelCell, videos: Path, details: Path, device: str) -> list[DimensionJob]:
    """A job for each dimension that a folder has videos of.

    Raises:
        SaltError: a dimension lacks some of its videos, or none has any; or videos differ in size, rate or length.
    """
    asked = _named(scorer.jobs(cell, videos, details, (0, 1), device), videos)
    found = [job for job in asked if any(job.file(name).is_file() for name in job.expected())]
    wanted = sorted({job.names[name] for job in found or asked for name in job.expected()})
    missing = [name for name in wanted if not (videos / name).is_file()]
    if missing:
        raise SaltError(
            f"{videos}: {len(missing)} of {len(wanted)} videos are missing ({first(missing)}); accepted: PROMPT-I.mp4 "
            f"for every prompt of a dimension and {len(scorer.scale.evaluation.seeds)} samples, from 0"
        )
    form = _common(videos, wanted)
    return [replace(job, protocol_hash=_protocol(scorer, asdict(form))) for job in found]


def _named(jobs: Sequence[DimensionJob], videos: Path) -> list[DimensionJob]:
    """The same jobs, with VBench's names for their videos; `scorer.jobs` looks for a folder of the cell's."""
    return [
        replace(
            job,
            videos=videos,
            names={
                stored: f"{prompt.short}-{number}.mp4"
                for prompt in job.chosen()
                for number, stored in enumerate(job.stored(prompt))
            },
        )
        for job in jobs
        if job.chosen()
    ]


def _common(videos: Path, names: Sequence[str]) -> Form:
    forms = {name: form_of(videos / name) for name in names}
    wanted = forms[names[0]]
    if others := [name for name in names if forms[name] != wanted]:
        raise SaltError(
            f"{videos}: {len(others)} of {len(names)} videos are not as {names[0]} is ({wanted}): {first(others)} "
            f"({forms[others[0]]}); accepted: one size, frame rate and length"
        )
    return wanted


def form_of(path: Path) -> Form:
    """Size, length and rate of a video as VBench's decoders see it (decord and OpenCV both turn what is to be turned).

    Raises:
        SaltError: it cannot be decoded, its rate varies, it is to be shown mirrored, or it has fewer than `FEWEST`
            frames.
    """
    with opened_video(path, "accepted: a video that FFmpeg decodes") as (container, stream):
        frame = next(container.decode(stream), None)
        if frame is None:
            raise ValueError("it has no frame")
        sides = frame.width, frame.height
        width, height = reversed(sides) if quarter_turns(frame) % 2 else sides
        container.seek(0, stream=stream)
        times = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        rate = stream.average_rate
    steps = {later - sooner for sooner, later in pairwise(times)}
    if len(times) < FEWEST:
        raise SaltError(f"{path}: {len(times)} frames; accepted: {FEWEST} or more")
    if rate is None or max(steps) - min(steps) > 1:  # of a time base that the rate does not divide
        raise SaltError(f"{path}: its frame rate varies; accepted: a constant one, since VBench counts frames")
    return Form(width, height, len(times), str(Fraction(rate)))


def _protocol(scorer: RealVBench, video: object) -> str:
    decides = {
        "scorer": ["vbench", scorer.vbench.model_dump(mode="json")],
        "prompts": prompts_hash(scorer.prompts()),
        "seeds": scorer.scale.evaluation.seeds,
        "elsewhere": video,
    }
    return digest(decides)


# ----------------------------------------------------------------------------------------------- results
def read_elsewhere(scorer: RealVBench, cell: ModelCell, files: Sequence[Path]) -> Scored:
    """What `vbench evaluate` wrote, checked against the list of prompts, and computed anew from single videos.

    Raises:
        SaltError: a file is not VBench's, or a dimension is unknown, in two files, lacks a video, has one of no prompt,
            or has another score than its videos.
    """
    found: dict[str, tuple[Path, Any, Any]] = {}
    for file in files:
        for dimension, (score, entries) in read_results_elsewhere(file).items():
            if dimension in found:
                raise SaltError(f"{file}: {dimension} is in {found[dimension][0]}, too; accepted: once")
            found[dimension] = file, score, entries
    jobs = {job.dimension: job for job in _named(scorer.jobs(cell, Path(), Path(), (0, 1), "cpu"), Path())}
    if unknown := sorted(found.keys() - jobs.keys()):
        raise SaltError(f"{found[unknown[0]][0]}: {unknown[0]}: no dimension of {', '.join(jobs)}; {ACCEPTED}")
    results = {}
    for dimension, (file, score, entries) in found.items():
        job = replace(jobs[dimension], videos=file)  # messages name the file
        stored = {name: own for own, name in job.names.items()}
        body = {"score": score, "entries": [{**entry, "video_path": _known(entry, stored)} for entry in entries]}
        videos = checked(job, body, job.expected())
        results[dimension] = dimension_score(dimension, videos), videos
    absent = dict.fromkeys(sorted(set(scorer.vbench.dimensions()) - results.keys()), "not among the results")
    known = {"scorer": SCORER, "protocol": _protocol(scorer, "results of VBench's own"), "absent": absent}
    return Scored(results, known)


def _known(entry: Mapping[str, Any], stored: Mapping[str, str]) -> str:
    """The stored name of a video, or its own where no prompt has it."""
    own = str(entry["video_path"]).replace("\\", "/").rpartition("/")[2]
    return stored.get(own, own)


def read_results_elsewhere(path: Path) -> dict[str, tuple[float, list[dict[str, Any]]]]:
    """Score and videos of each dimension in a file of VBench's own.

    Raises:
        SaltError: it is not as VBench writes it, or holds NaN.
    """
    try:
        body = read_json(path, ACCEPTED.removeprefix("accepted: "), finite=True)
        if not body:
            raise ValueError("it holds nothing")
        found = {name: (value[0], value[-1]) for name, value in body.items()}
        for name, (score, entries) in found.items():
            if isinstance(score, bool) or not isinstance(score, int | float) or not isinstance(entries, list):
                raise ValueError(f"{name} is no score and list")
            for entry in entries:
                if not isinstance(entry["video_results"], bool | int | float):
                    raise ValueError(f"{name}: video_results of {entry['video_path']} is no number")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SaltError(f"{path}: {said}; {ACCEPTED}") from error
    return found
