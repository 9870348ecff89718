"""One dimension of the real VBench for the videos of one cell: a view, a job in VBench's environment, checked results.

VBench gets its list of prompts and videos from us, so that it neither guesses nor misses any; in the results, the names
of its links are replaced by those of the stored videos.

The files of a dimension are `{dimension}_eval_results.json` (for a part, `{dimension}.{i}of{n}_...`), a sidecar and
`{dimension}.log`. A dimension whose weights are not on the machine has no results, and its sidecar says why.
"""

import json
import logging
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from salt.config.files import repository_root
from salt.digest import lines_digest
from salt.errors import SaltError
from salt.evaluation.vbench.board import KNOWN, TOLERANCE
from salt.evaluation.vbench.results import Scored, VideoResult, dimension_score, read_results, sidecar, write_results
from salt.evaluation.vbench.view import DimensionJob, first, images_of, link_images, make_view, stem_of
from salt.evaluation.vbench.weights import LONG_CONFIGS, absent, hashed, offline
from salt.files import sha256
from salt.readers import read_json, tail

SCORER = "vbench"
RUNNER = Path("workflow", "envs", "run_vbench.py")
MAY_OMIT = ("color",)
"""Dimensions that leave out videos in which they detect no object."""
TAIL = 64 * 1024
"""Bytes at the end of VBench's log that are looked at for its last line."""
KEPT = 5
"""Most videos of a prompt that the static filter keeps."""
_log = logging.getLogger(__name__)


def run_dimension(job: DimensionJob, folder: Path, python: Path) -> Path:
    """Score one dimension, unless the results of exactly this job exist.

    Args:
        job: what to score.
        folder: with VBench's weights, images and checkout, see `vbench_folder`.
        python: the interpreter of VBench's environment.

    Returns:
        The file of the results, in VBench's layout; without entries if weights are absent.

    Raises:
        SaltError: videos are missing, weights are broken, the job failed (its last line is quoted), or the results are
            not one finite number in range for every video.
    """
    expected = _check(job)
    job.out.mkdir(parents=True, exist_ok=True)
    shared = {
        "scorer": SCORER,
        "scorer_version": job.protocol.version,
        "protocol": job.protocol_hash,
        "settings": job.protocol.model_dump(mode="json"),
        "seeds": list(job.seeds),
    }
    reason = absent(folder, job.protocol, job.dimension)
    if reason is not None:
        _log.warning("%s is ABSENT: %s", job.dimension, reason)
        write_results(job.results, Scored({}, shared | {"absent": {job.dimension: reason}}))
        return job.results
    origin = {
        "weights": hashed(folder, job.protocol, job.dimension),
        "videos": lines_digest(f"{path} {sha256(job.file(path))}" for path in expected),
        "images": images_of(job, folder),
        "texts": lines_digest(prompt.text(job.protocol.scored_text) for prompt in job.chosen()),
    }
    if _finished(job, shared, origin):
        _log.info("%s: %s is whole", job.dimension, job.results)
        return job.results
    body = _run(job, folder, python)
    if "absent" in body:
        write_results(job.results, Scored({}, shared | {"absent": {job.dimension: body["absent"]}}))
        return job.results
    entries = checked(job, body, expected)
    own = {job.dimension: origin | {"versions": body["versions"], "device": body["device"]}}
    write_results(
        job.results,
        Scored({job.dimension: (dimension_score(job.dimension, entries), entries)}, shared | {"dimensions": own}),
    )
    return job.results


# ------------------------------------------------------------------------------------------------ before
def _check(job: DimensionJob) -> list[str]:
    """The videos of a job, after a check that all of them exist."""
    if job.dimension not in KNOWN:
        raise SaltError(f"{job.dimension}: unknown dimension; accepted: {', '.join(KNOWN)}")
    index, parts = job.part
    chosen = job.chosen()
    if not 0 <= index < parts or not chosen:
        asked = sum(job.dimension in prompt.asked for prompt in job.prompts)
        raise SaltError(
            f"{job.dimension}: part {index} of {parts} holds no prompt; accepted: 0 to {asked - 1} of {asked}"
        )
    expected = job.expected()
    missing = [path for path in expected if not job.file(path).is_file()]
    if missing:
        raise SaltError(
            f"{job.videos}: {len(missing)} of the {len(expected)} videos of {job.dimension} are missing "
            f"({first(missing)}); accepted: PROMPT_ID/SEED.mp4 for every prompt and sampling seed"
        )
    return expected


def _finished(job: DimensionJob, shared: Mapping[str, Any], origin: Mapping[str, Any]) -> bool:
    """Whether exactly these videos were scored with exactly these weights by this protocol."""
    if not (job.results.exists() and sidecar(job.results).exists()):
        return False
    try:
        found = read_results(job.results)
    except SaltError:  # left by a job that was killed while it wrote
        return False
    own = found.provenance.get("dimensions", {}).get(job.dimension, {})
    known = {key: found.provenance.get(key) for key in shared} | {key: own.get(key) for key in origin}
    return known == {**shared, **origin}


# -------------------------------------------------------------------------------------------- the job
def _run(job: DimensionJob, folder: Path, python: Path) -> dict[str, Any]:
    """Run the job in VBench's environment, and return the content of its result file."""
    if not python.is_file():
        raise SaltError(
            f"{python}: there is no such file; accepted: the Python of VBench's environment, made by `salt vbench-env` "
            "or named by SALT_VBENCH_PYTHON"
        )
    log = job.out / f"{job.results.name.removesuffix('_eval_results.json')}.log"
    with TemporaryDirectory(prefix="salt-vbench-") as temporary:
        view, work = Path(temporary, "view"), Path(temporary, "work")
        view.mkdir()
        work.mkdir()
        table, stems = make_view(job, view)
        link_images(job, folder, view)
        checkout = folder / "checkout"
        order = {
            "suite": job.protocol.suite,
            "version": job.protocol.version,
            "dimension": job.dimension,
            "table": table,
            "device": job.device,
            "checkout": str(checkout) if checkout.is_dir() else None,
            "resolution": job.protocol.image_ratio,
            "seconds": job.protocol.seconds,
            "static": KEPT if job.filtered else None,
            "options": _long_options(job, folder, work),
            "out": str(work / "out.json"),
        }
        (work / "job.json").write_text(json.dumps(order), encoding="utf-8")
        command = [str(python), "-I", str(repository_root() / RUNNER), str(work / "job.json")]
        with log.open("w", encoding="utf-8") as output:
            done = subprocess.run(command, cwd=view, env=offline(folder), stdout=output, stderr=subprocess.STDOUT)
        if done.returncode:
            lines = tail(log, TAIL).decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
            raise SaltError(
                f"{job.dimension}: VBench failed (exit code {done.returncode}): {last}; all of it is in {log}"
            )
        body = read_json(work / "out.json", f"what {RUNNER} writes")
    for entry in body.get("entries", ()):
        entry["video_path"] = stems.get(stem_of(entry["video_path"]), entry["video_path"])
    return body


def _long_options(job: DimensionJob, folder: Path, work: Path) -> dict[str, Any]:
    """Arguments of VBench-Long, as its own command line sets them with and without `dev_flag`."""
    if job.protocol.suite != "long":
        return {}
    slow_fast, configs = job.protocol.consistency == "slow_fast", folder / LONG_CONFIGS
    unused = work / "unused.yaml"  # always read, but only used with `dev_flag`
    unused.write_text("{0: 1.0, 1: 1.0}\n", encoding="utf-8")
    return {
        "dev_flag": slow_fast,
        "sb_clip2clip_feat_extractor": "dinov2" if slow_fast else "dino",
        "bg_clip2clip_feat_extractor": "dreamsim" if slow_fast else "clip",
        "w_inclip": 1.0,
        "w_clip2clip": 0.0,
        "slow_fast_eval_config": str(configs / "slow_fast_params.yaml" if slow_fast else unused),
        "sb_mapping_file_path": str(configs / "subject_mapping_table.yaml" if slow_fast else unused),
        "bg_mapping_file_path": str(configs / "background_mapping_table.yaml" if slow_fast else unused),
        "static_filter_flag": False,
    }


# ------------------------------------------------------------------------------------------------- after
def checked(job: DimensionJob, body: Mapping[str, Any], expected: Sequence[str]) -> list[VideoResult]:
    """One entry for every video, sorted by path, clips averaged.

    Raises:
        SaltError: a video has no result, a result belongs to no video, is not finite or out of range, or the score is
            not the mean over the videos.
    """
    dimension, own = KNOWN[job.dimension], _by_video(body["entries"])
    unknown, missing = sorted(set(own) - set(expected)), sorted(set(expected) - set(own))
    if unknown or (missing and not (job.filtered or job.dimension in MAY_OMIT)):
        fault = f"{len(missing)} of {len(expected)} videos have no result" if missing else "results of other videos"
        raise SaltError(
            f"{job.videos}: {job.dimension}: {fault} ({first(missing or unknown)}); accepted: one for each video"
        )
    entries = [own[path] for path in sorted(own)]
    score = dimension_score(job.dimension, entries)
    if not dimension.least - TOLERANCE <= score <= dimension.most + TOLERANCE:
        raise SaltError(f"{job.dimension}: score {score}; accepted: {dimension.least:g} to {dimension.most:g}")
    if not math.isclose(score, float(body["score"]), abs_tol=TOLERANCE):
        raise SaltError(
            f"{job.videos}: {job.dimension}: VBench says {body['score']}, but the mean over videos is {score}; "
            "accepted: videos with the same number of frames, for which both agree"
        )
    return entries


def _by_video(entries: Sequence[VideoResult]) -> dict[str, VideoResult]:
    """One entry per video: the mean of its clips if it was split, else its entry."""
    groups: dict[str, list[VideoResult]] = {}
    for entry in entries:
        groups.setdefault(str(entry["video_path"]), []).append(entry)
    return {path: group[0] if len(group) == 1 else _mean(path, group) for path, group in groups.items()}


def _mean(path: str, clips: Sequence[VideoResult]) -> VideoResult:
    values = [clip["video_results"] for clip in clips]
    return {"video_path": path, "video_results": math.fsum(values) / len(values), "clip_results": values}
