"""Records of the lab as its rules write them, with made-up but plausible effects. No result is here."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

from salt.config.lab import Mixture
from salt.config.lab_arms import Arms, load_arms
from salt.config.load import load_scale
from salt.evaluation.lab.columns import CLOUD_COLUMNS, COLUMNS

NFE = (1, 2, 4, 8, 16, 32)
PROTOCOL = "lab-1 0123456789ab"
CM = dict(zip(NFE, (0.066, 0.066, 0.077, 0.105, 0.130, 0.142), strict=True))
EULER = dict(zip(NFE, (0.066, 0.064, 0.066, 0.093, 0.108, 0.116), strict=True))
WEIGHTS = {"0_03": 0.03, "0_1": 0.1, "0_3": 0.3, "1": 1.0, "3": 3.0, "10": 10.0}
LONG = (200, 400, 800, 1600, 3200)
LOST = {"guidance": {"dmd_8_cfg4": [3]}}
"""Of each set: arm and the places, in the ensemble, of members that diverged."""
CHAIN = (0.036, 0.070, 0.092, 0.115, 0.140, 0.168, 0.198, 0.232)


@dataclass(frozen=True)
class SyntheticLab:
    """Writes records into `folder`."""

    folder: Path
    seeds: tuple[int, int] = (0, 15)
    arms: Arms = field(default_factory=load_arms)

    def write(self, *sets: str) -> None:
        """These sets of arms (none: all), the controls and the clouds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in sets or self.arms.sets:
            self._set(name)
        self._csv("controls.csv", self._controls())
        self._clouds(sets or tuple(self.arms.sets))

    def _set(self, name: str) -> None:
        one = self.arms.sets[name]
        lost = {arm: [self.seeds[0] + place for place in places] for arm, places in LOST.get(name, {}).items()}
        rows = [
            row | {"experiment": one.arms[arm].row}
            for arm in one.arms
            for seed in range(self.seeds[0], self.seeds[1] + 1)
            if seed not in lost.get(arm, ())
            for row in (mixture(arm, seed) if one.world == "mixture" else chain(arm, seed))
        ]
        self._csv(f"{name}_{self._span}.csv.gz", rows)
        said = {"commit": "0123456789abcdef", "dirty": False, "plan_sha256": "0" * 64, "seconds": 100.0}
        said |= {"finished": "2026-11-27T12:00:00+00:00", "lost": lost}
        (self.folder / f"{name}_{self._span}.json").write_text(json.dumps(said))

    @property
    def _span(self) -> str:
        return f"{self.seeds[0]}-{self.seeds[1]}"

    def _csv(self, name: str, rows: list[dict[str, object]]) -> None:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(self.folder / name, index=False)

    def _controls(self) -> list[dict[str, object]]:
        rows = []
        for repeat in range(32):
            rng = np.random.default_rng([9, repeat])
            for metric, value in (("sliced_w1", 0.0125), ("spread", 1.0), ("off_support", 0.0004)):
                value *= 1 + 0.08 * rng.normal()
                rows.append(_row("truth", "mixture", repeat, metric, value, "none", 0, updates=0))
            for chunk in range(1, 9):
                value = 0.022 * (1 + 0.1 * rng.normal())
                rows.append(_row("truth", "chain", repeat, "sliced_w1", value, "none", 0, updates=0, chunk=chunk))
                value = 1 + 0.003 * rng.normal()
                rows.append(_row("truth", "chain", repeat, "radius", value, "none", 0, updates=0, chunk=chunk))
        return [row | {"experiment": row["method"]} for row in rows]

    def _clouds(self, sets: Sequence[str]) -> None:
        world = load_scale("lab").exact.world  # type: ignore[union-attr]
        assert isinstance(world, Mixture)
        frames = []
        for caption, modes in world.captions.items():
            for method, nfe in product(ARMS_SHOWN, NFE):
                rng = np.random.default_rng([_number(method), nfe, _number(caption)])
                share = np.array([mode.weight for mode in modes])
                share = share + 0.02 * np.log2(nfe) * np.sign(share - 0.5)
                which = rng.choice(len(modes), 400, p=share / share.sum())
                means = np.array([mode.mean for mode in modes])[which]
                spreads = np.array([mode.spread for mode in modes])[which]
                points = means + spreads * 1.35 * rng.normal(size=(400, 2))
                points[:20, 0] = rng.uniform(-0.7, 0.7, 20)
                frame = pd.DataFrame({"x": points[:, 0], "y": points[:, 1]})
                frames.append(frame.assign(method=method, caption=caption, solver="cm", nfe=nfe))
        clouds = pd.concat(frames)[[*CLOUD_COLUMNS]]
        for name in sets:
            own = clouds[clouds["method"].isin(list(self.arms.sets[name].arms))]
            own.to_csv(self.folder / f"{name}_{self._span}_clouds.csv.gz", index=False)


ARMS_SHOWN = ("start", "dmd_4", "dmd_8", "sc_dmd")


# ------------------------------------------------------------------------------------------------- mixture
def mixture(arm: str, seed: int) -> Iterator[dict[str, object]]:
    """All measurements of a member."""
    rng, own = np.random.default_rng([1, seed]), np.random.default_rng([2, seed, _number(arm)])
    level = 1 + 0.16 * rng.normal() + 0.06 * own.normal()
    weight = _weight(arm)
    updates = LONG if arm.endswith("_long") else (0,) if arm.startswith(("start", "teacher")) else (800,)
    for done in updates:
        for solver, table in (("cm", CM), ("euler", EULER)):
            for nfe in NFE:
                value = table[nfe] * level * _effect(arm, weight, solver, nfe, done) * (1 + 0.02 * own.normal())
                yield _row(arm, "mixture", seed, "sliced_w1", value, solver, nfe, done)
                blur = 1 + 2.5 * weight**0.75 / (3 + weight**0.75)
                yield _row(arm, "mixture", seed, "spread", 1.8 * level**0.3 * blur**0.5, solver, nfe, done)
                yield _row(arm, "mixture", seed, "off_support", 0.075 * level * blur, solver, nfe, done)
                if solver == "euler" and nfe > 1:
                    value = 0.15 * level**0.5 * (nfe / 8) ** 0.3 / (1 + 1.1 * weight**0.6)
                    yield _row(arm, "mixture", seed, "cross_step", value, solver, nfe, done)
        yield _row(arm, "mixture", seed, "defect", 0.0162 * level**0.4 / (1 + 1.5 * weight**0.7), "euler", 4, done)


def _effect(arm: str, weight: float, solver: str, nfe: int, updates: int) -> float:
    many = np.log2(nfe) / 3
    value = 1 + 0.08 * np.log2(max(updates, 200) / 800) * (0.6 if weight else 1.0)
    if arm.startswith(("start", "teacher")):
        value *= 1 - 0.06 * many
    elif solver == "euler":
        levels = next((k for k in (16, 1, 2, 4) if arm.startswith(f"dmd_{k}") and not arm.startswith("dmd_8")), 8)
        value *= 1 + 0.13 * many * np.log2(levels)
    value *= 1 - 0.2 * many * min(weight, 0.3) / 0.3 + 0.12 * np.log1p(weight) * (solver == "cm")
    value *= 1 - 0.3 * many * ("_last" in arm and "eighth" not in arm) + 0.06 * ("double" in arm) * ("lr" in arm)
    value *= 4.0 if "cfg4" in arm else 2.0 if "cfg2" in arm else 1.0
    return float(value * (1.35 if "cfg4" in arm and weight else 1.0) * (0.9 if "ema_double" in arm else 1.0))


def _weight(arm: str) -> float:
    for end, weight in WEIGHTS.items():
        if arm in (f"sc_{end}", f"released_{end}"):
            return weight * (0.5 if arm.startswith("released") else 1.0)
    return 0.3 if arm.startswith("sc_") else 0.0


# --------------------------------------------------------------------------------------------------- chain
def chain(arm: str, seed: int) -> Iterator[dict[str, object]]:
    """All measurements of a member: every chunk, and the last one of training behind other caches."""
    rng, own = np.random.default_rng([3, seed]), np.random.default_rng([4, seed, _number(arm)])
    level = 1 + 0.06 * rng.normal() + (0.10 if "mixed" in arm or arm == "salt" else 0.04) * own.normal()
    drift = {"chain_start": 1.12, "k4": 1.0, "k8": 1.0, "naive_sc": 0.96, "salt": 1.0}.get(arm, 0.98)
    for nfe in (1, 2, 4, 8):
        for chunk, distance in enumerate(CHAIN, start=1):
            value = distance * level * drift ** (chunk / 4) * (1 + 0.1 * np.log2(nfe / 4))
            place: dict[str, int] = {"nfe": nfe, "updates": 800, "chunk": chunk}
            yield _row(arm, "chain", seed, "sliced_w1", value, "cm", **place)
            value = 1 - 0.062 * (chunk - 1) * drift + 0.03 * own.normal()
            yield _row(arm, "chain", seed, "radius", value, "cm", **place)
    for cache in (2, 4, 8):
        value = 0.112 * level * (1 + 0.2 * np.log2(cache / 4))
        yield _row(arm, "chain", seed, "sliced_w1", value, "cm", 4, 800, chunk=4, cache=cache)


def _row(
    method: str, world: str, seed: int, metric: str, value: float, solver: str, nfe: int, updates: int, **at: int
) -> dict[str, object]:
    place = {"cache": 0, "chunk": 0} | at
    return dict(method=method, world=world, seed=seed, updates=updates, nfe=nfe, solver=solver, metric=metric,
                value=float(f"{value:.6g}"), n=2048, protocol=PROTOCOL) | place  # fmt: skip


def _number(text: str) -> int:
    return crc32(text.encode())
