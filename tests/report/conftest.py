"""Records, paths and videos as the other stages write them, of methods whose true order is known. No result is here."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
import pandas as pd
import pytest

from salt.config.load import load_scale
from salt.config.modes import DRIFT, HIGH_OF, MEASURES, RIGHT
from salt.config.world import World
from salt.data.prompts import Prompt, Variant, report_prompts
from salt.evaluation.groundtruth.corruptions import CONTROLS
from salt.evaluation.groundtruth.long import FOLLOWED
from salt.evaluation.scorers import board_of
from salt.evaluation.vbench.board import BOOLEAN, DIMENSIONS, I2V_DIMENSIONS, TEXT, Board, denormalise
from salt.evaluation.video import upscale, write_mp4
from salt.report.frames import SHEET_PROMPTS

EXPERIMENTS = ("dmd_4", "dmd_8", "dmd_16", "sc_dmd", "sc_dmd_lambda_0_1", "sc_dmd_lambda_0_3", "sc_dmd_lambda_3")
PAIRS = ("self_forcing", "salt_self_forcing", "longlive", "salt_longlive", "causal_forcing", "salt_causal_forcing")
ABLATED = ("causvid", "causal_forcing_naive_sc", "causal_forcing_mixed_sc")
SKILL = {"dmd_4": 0.58, "dmd_8": 0.55, "dmd_16": 0.53, "sc_dmd": 0.60, "teacher": 0.75, "real": 0.97}
DEFECT = {"dmd_4": 0.0045, "dmd_8": 0.0054, "dmd_16": 0.006, "sc_dmd": 0.0027, "sc_dmd_lambda_0_1": 0.0042}
PROTOCOL = "groundtruth-1 0123456789ab"


@dataclass(frozen=True)
class Synthetic:
    """Writes records into `folder`."""

    folder: Path
    scale: str = "tiny"
    prompts: int = 24
    seeds: int = 2
    nfe: tuple[int, ...] = (2, 4, 8, 16)

    @property
    def board(self) -> Board:
        return board_of(load_scale(self.scale))

    def write_all(self, experiments: Sequence[str] = EXPERIMENTS) -> None:
        for experiment in experiments:
            for seed in range(self.seeds):
                self.scores(experiment, seed)
                self.defect(experiment, seed)
        for experiment in ("dmd_4_bs", "dmd_8_bs", "dmd_16_bs"):
            self.scores(experiment, 0)
        for experiment, seed in product((*PAIRS, *ABLATED), range(self.seeds)):
            self.scores(experiment, seed, [("cm", 2), ("cm", 4), ("cm", 8)])
            self.long(experiment, seed)
            self.caches(experiment, seed)
        for experiment in ("dmd_8", "sc_dmd"):
            self.trajectory(experiment)
        self.scores("teacher", 0, [("euler", 50)])
        self.scores("real", 0, [("none", 0)])
        self.controls()

    # ------------------------------------------------------------------------------------------------ scores
    def scores(
        self, experiment: str, seed: int, ways: Sequence[tuple[str, int]] = (), protocol: str = PROTOCOL
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ways = ways or [(solver, nfe) for solver in ("euler", "cm") for nfe in self.nfe]
        videos = pd.concat(
            [
                self._videos(experiment, seed, variant, solver, nfe)
                for variant in ("extended", "short")
                for solver, nfe in ways
            ]
        )
        tidy = [
            self._line(experiment, seed, metric, value, int(n), protocol, prompts=v, solver=s, nfe=k)
            for (v, s, k), part in videos.groupby(["prompts", "solver", "nfe"], sort=False)
            for metric, value, n in _means(part, self.board)
        ]
        pd.DataFrame(tidy).to_csv(self.folder / f"{experiment}_seed{seed}_scores.csv", index=False)
        videos.to_csv(self.folder / f"{experiment}_seed{seed}_prompts.csv.gz", index=False)

    def _videos(self, experiment: str, seed: int, variant: Variant, solver: str, nfe: int) -> pd.DataFrame:
        decay = 0.02 * np.log2(max(nfe, 4) / 4) * (solver == "cm") * (0.3 if "sc" in experiment else 1.0)
        skill = SKILL.get(experiment, 0.56) - decay - 0.03 * (variant == "short") - 0.02 * (nfe == 2)
        skill += 0.01 * np.random.default_rng([seed, _number(experiment)]).normal()
        rng = np.random.default_rng([seed, nfe, *map(_number, (experiment, solver, variant))])
        rows = []
        for index, prompt in enumerate(_prompts(self.prompts)):
            ease = np.random.default_rng(index).normal(scale=0.1)
            row: dict[str, object] = dict(prompts=variant, solver=solver, nfe=nfe, prompt_id=prompt.id, sampling_seed=0)
            asked = {*prompt.dimensions(variant), *I2V_DIMENSIONS}
            for dimension in (name for name in self.board.dimensions if name in asked):
                share = float(np.clip(skill + ease + rng.normal(scale=0.25), 0, 1))
                row[dimension] = float(share > 0.5) if dimension in BOOLEAN else denormalise(dimension, share)
            rows.append(row)
        columns = ["prompts", "solver", "nfe", "prompt_id", "sampling_seed", *self.board.dimensions]
        return pd.DataFrame(rows, columns=columns)

    def long(self, experiment: str, seed: int, clips: int = 6) -> None:
        """Quality falls from clip to clip, less with ours."""
        videos = self._videos(experiment, seed, "extended", "cm", 4).assign(prompts="long")
        way = dict(prompts="long", solver="cm", nfe=4)
        tidy = [self._line(experiment, seed, *measured, PROTOCOL, **way) for measured in _means(videos, TEXT)]
        for metric, nfe in product(("object_class", "multiple_objects"), (2, 8)):
            tidy.append(self._line(experiment, seed, metric, 0.5, 1, PROTOCOL, **way | {"nfe": nfe}))
        for metric, i in product(FOLLOWED, range(clips)):
            share = 0.9 - (0.02 if experiment.startswith("salt") else 0.05) * i
            tidy.append(self._line(experiment, seed, f"{metric}@clip{i}", share, self.prompts, PROTOCOL, **way))
        pd.DataFrame(tidy).to_csv(self.folder / f"{experiment}_seed{seed}_long.csv", index=False)
        videos.to_csv(self.folder / f"{experiment}_seed{seed}_long_prompts.csv.gz", index=False)

    def caches(self, experiment: str, seed: int) -> None:
        """The cache counts for less with ours."""
        care = 0.01 if experiment.startswith("salt") else 0.04
        rows = [
            self._line(experiment, seed, f"seam_{name}", value, 128, PROTOCOL, solver=solver, nfe=nfe)
            for solver, nfe in (("none", 0), *(("cm", nfe) for nfe in self.nfe))
            for name, value in (("across", 0.03 + 0.001 * nfe), ("within", 0.025))
        ]
        for nfe in self.nfe:
            found = {f"objects@cache{k}": 0.5 + care * np.log2(k) for k in self.nfe}
            found |= {f"objects@chunk{i}": 0.9 - 10 * care * i / nfe for i in range(3)}
            found |= {f"mismatch@chunk{i}": 0.01 * (i + 1) / nfe for i in range(3)}
            rows += [
                self._line(experiment, seed, name, value, 128, PROTOCOL, solver="cm", nfe=nfe)
                for name, value in found.items()
            ]
        pd.DataFrame(rows).to_csv(self.folder / f"{experiment}_seed{seed}_caches.csv", index=False)

    # ------------------------------------------------------------------------------------------------- modes
    def modes(self, experiment: str, seed: int, kind: Literal["modes", "any_step"] = "modes") -> None:
        """SC is half as wrong, more steps are worse, all keep the speeds, and real clips are at their floor."""
        steps = self.nfe if kind == "modes" else load_scale(self.scale).any_step
        noise, ways = np.random.default_rng([seed, _number(experiment)]), product(("euler", "cm"), steps)
        rows = []
        for solver, nfe in [("none", 0)] if experiment == "real" else ways:
            worse = 0.0 if experiment == "real" else (0.02 if "sc" in experiment else 0.04) * (1 + np.log2(nfe) / 4)
            for metric in MEASURES:
                if metric == DRIFT:
                    continue
                value = 0.02 if metric == "speed_tv" else worse * (1 + 0.01 * noise.normal())
                found = {metric: RIGHT.get(metric, 0.0) + value}
                if experiment == "real":
                    found |= {metric + HIGH_OF: RIGHT.get(metric, 0.0) + 0.03}
                for name, number in found.items():
                    rows.append(self._line(experiment, seed, name, number, 512, "modes-1 ab", solver=solver, nfe=nfe))
        self.folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(self.folder / f"{experiment}_seed{seed}_{kind}.csv", index=False)

    # ------------------------------------------------------------------------------------------------ defect
    def defect(self, experiment: str, seed: int, protocol: str = PROTOCOL) -> None:
        rng = np.random.default_rng([seed, _number(experiment), 7])
        size = DEFECT.get(experiment, 0.0015) * (1 + 0.04 * rng.normal())
        times = [1.0, 0.9, 0.75, 0.5, 0.0]
        middle = [0.9545, 0.8333, 0.6429, 0.3]
        shape = np.array([0.3, 0.5, 0.9, 2.3])
        rows = []
        for solver in ("euler", "cm"):
            way = dict(solver=solver, nfe=4)
            bent = shape * (0.8 if solver == "cm" else 1.0)
            for i in range(4):
                t = dict(t_s=times[i], t_m=middle[i], t_e=times[i + 1])
                rows.append(self._line(experiment, seed, f"defect[{i}]", size * bent[i], 128, protocol, **way) | t)
            rows.append(self._line(experiment, seed, "defect_mean", size * bent.mean(), 128, protocol, **way))
            for few, many in ((2, 4), (4, 8), (2, 8)):
                distance = 0.02 * (many / few) ** 0.8 * (1.0 + size * 200) * (3 if solver == "cm" else 1)
                name = f"cross_step[{few},{many}]"
                rows.append(self._line(experiment, seed, name, distance, 128, protocol, solver=solver, nfe=many))
        for nfe in self.nfe:
            for depth in range(1, nfe + 1):
                error = size * 40 * (depth / nfe) ** 1.3 / nfe**0.3
                rows.append(self._line(experiment, seed, f"depth_error[{depth}]", error, 128, protocol, nfe=nfe))
        pd.DataFrame(rows).to_csv(self.folder / f"{experiment}_seed{seed}_defect.csv", index=False)

    def trajectory(self, experiment: str) -> None:
        rows = []
        for sample in range(4):
            for solver, nfe in (("teacher", 50), ("euler", 2), ("euler", 4), ("euler", 8)):
                for step, u in enumerate(np.linspace(0, 1, nfe + 1)):
                    bent = DEFECT[experiment] * 100 * u / nfe
                    row = dict(sample=sample, solver=solver, nfe=nfe, step=step, t=1 - u)
                    rows.append(row | dict(pc1=u * (sample + 1) + bent, pc2=np.sin(3 * u) + bent))
        pd.DataFrame(rows).to_csv(self.folder / f"{experiment}_seed0_trajectory.csv", index=False)

    def videos(self, folder: Path) -> None:
        """What the figures show, in 3 frames of 64 stored pixels; of the pairs every prompt has the same video."""
        scale = load_scale(self.scale).world.video_scale
        shown = [(f"dmd_{k}_bs", "cm", k, 4) for k in (4, 8, 16)] + [("teacher", "euler", 50, SHEET_PROMPTS)]
        shown += [(experiment, "cm", nfe, 4) for experiment in ("dmd_4", "sc_dmd", "lightx2v") for nfe in (2, 4, 8)]
        for experiment, solver, nfe, count in shown:
            for prompt in _prompts(count):
                rng = np.random.default_rng([nfe, prompt.index])
                small = rng.integers(0, 256, (3, 64 // scale, 64 // scale, 3), dtype=np.uint8)
                cell = folder / experiment / "seed0" / f"extended_{solver}_{nfe}"
                write_mp4(cell / prompt.id / "0.mp4", upscale(small, scale), 16)
        first = folder / "dmd_4" / "seed0" / "extended_cm_4" / "p0000" / "0.mp4"
        causal, cells = ("causvid", *PAIRS), ("seed0/extended", "seed0_long/long")
        for experiment, cell, nfe, prompt in product(causal, cells, (2, 4, 8), _prompts(self.prompts)):
            path = folder / experiment / f"{cell}_cm_{nfe}" / prompt.id / "0.mp4"
            path.parent.mkdir(parents=True)
            shutil.copy(first, path)
        for made in folder.glob("*/seed0*"):
            shutil.copytree(made, made.with_name(made.name.replace("seed0", "seed1")))

    def controls(self, blind: str = "") -> None:
        """Each hurts what it should, but for `blind`, and nothing else."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for name, what in CONTROLS.items():
            control, falls = f"control_{name}", () if name == blind else what.falls
            raw = {name: denormalise(name, 0.3 if name in falls else 0.97) for name in DIMENSIONS}
            totals = TEXT.aggregate(raw)
            for metric, value in {**raw, **totals}.items():
                rows.append(self._line(control, 0, metric, value, self.prompts, PROTOCOL) | {"method": control})
        pd.DataFrame(rows).to_csv(self.folder / "controls.csv", index=False)

    def _line(self, experiment: str, seed: int, metric: str, value: float, n: int, protocol: str, **keys: object):
        fixed = dict(prompts="extended", solver="euler", nfe=0) | keys
        return (
            dict(method=experiment, experiment=experiment, scale=self.scale, seed=seed)
            | fixed
            | dict(metric=metric, value=value, n=n, protocol=protocol)
        )


@cache
def _prompts(count: int) -> list[Prompt]:
    return report_prompts(World(), count)


def _number(text: str) -> int:
    return crc32(text.encode())


def _means(videos: pd.DataFrame, board: Board) -> list[tuple[str, float, int]]:
    raw = {name: float(videos[name].mean()) for name in board.dimensions}
    totals = board.aggregate(raw)
    counts = videos.count()
    whole = {**totals, "same_object": 0.875}
    return [(name, value, int(counts[name])) for name, value in raw.items()] + [
        (name, value, len(videos)) for name, value in whole.items()
    ]


# ---------------------------------------------------------------------------------------------- fixtures
@pytest.fixture(scope="session")
def make_records() -> type[Synthetic]:
    """make_records(folder, ...): a writer of records, for tests that spoil some."""
    return Synthetic


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of image-to-video."""
    folder = tmp_path_factory.mktemp("images")
    writer = Synthetic(folder / "records", "tiny_i2v", nfe=(2, 4, 8))
    rows = ("pcm_adversarial", "pcm", "dmd_4", "lightx2v", "sc_dmd", "sc_dmd_alpha")
    for experiment, seed in product(rows, range(2)):
        writer.scores(experiment, seed)
    writer.scores("teacher", 0, [("euler", 50)])
    writer.scores("real", 0, [("none", 0)])
    return folder


@pytest.fixture(scope="session")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a world that can name its modes."""
    folder = tmp_path_factory.mktemp("turning")
    writer = Synthetic(folder / "records", "tiny")
    for experiment, seed in product(("dmd_4", "dmd_8", "dmd_16", "sc_dmd"), range(2)):
        writer.scores(experiment, seed)
        writer.modes(experiment, seed)
    writer.scores("real", 0, [("none", 0)])
    writer.modes("real", 0)
    for experiment, seed in product(("dmd_4", "sc_dmd", "anyflow"), range(2)):
        writer.modes(experiment, seed, "any_step")
    writer.modes("real", 0, "any_step")
    return folder


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with records of two training seeds, which tests only read."""
    folder = tmp_path_factory.mktemp("results")
    Synthetic(folder / "records").write_all()
    return folder


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos, which tests only read."""
    folder = tmp_path_factory.mktemp("videos")
    Synthetic(folder).videos(folder)
    return folder
