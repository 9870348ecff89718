"""What every symbol, measure and verdict of the results means, in a line each, from where it is defined."""

import re

from salt.config import lab_claims, modes
from salt.evaluation.groundtruth import scorer
from salt.report import claims
from salt.report.lab import verdicts
from salt.report.metrics import title

Terms = dict[str, str]
"""Term -> what it means."""
SYMBOLS: Terms = {
    "NFE, K": "number of function evaluations, the steps a student is sampled with",
    "x_t, t": "a latent at noise level t: 0 is data, 1 is noise, and times go down",
    "t_s > t_m > t_e": "start, middle and end of a step: direct from t_s to t_e, or composed, through t_m",
    "DMD-N": "distribution matching on a grid of N training levels, the baseline",
    "SC-DMD": "DMD-8 with the semigroup-defect regulariser of Eq. (8) and (10), the paper's first proposal",
    "Salt": "mixed steps, SC and cache-conditioned alignment, Eq. (13), for autoregressive students",
    "lambda_SC": "weight of the regulariser, Eq. (10); the paper does not print it",
    "Euler, CM": "solvers: steps along the velocity, or consistency steps, which go to x_0 and add noise anew",
    "extended, short": "captions that state everything, or leave attributes out, which are then not scored",
    "real": "real clips through the codec, the ceiling of scores and the floor of distances",
    "training seed": "one training of one recipe; all models of a table answer the same captions from the same noise",
    "interval": "of 95 %, over captions and training seeds: `docs/protocol.md`, Uncertainty",
    "Detectable": "the true difference that these captions and seeds would find four times in five",
}
AGGREGATES: Terms = {
    "quality": "weighted mean of the dimensions of single frames and of motion, normalised as VBench does",
    "semantic": "mean of the dimensions that compare a video with its caption, normalised as VBench does",
    "i2v": "mean of the dimensions that compare a video with the image that it is to begin with",
    "total": "(4 Quality + Semantic) / 5; from image to video the mean of I2V and Quality",
}
DIAGNOSTICS: Terms = {
    "defect[i], defect_mean": "semigroup defect, Eq. (16), on interval i of the 4-step path, and the mean of the four",
    "cross_step[a,b]": "distance between the samples of a and of b steps from one noise",
    "depth_error[i]": "distance of the Euler path, after i steps, from the teacher's path, relative to its state",
    "objects@cacheK": "share of the last chunk's frames that show the caption's objects, behind a cache of K steps",
    "objects@chunkI, mismatch@chunkI": "the same share, and Eq. (16), of chunk I under the cache that the rollout left",
    "seam_across, seam_within": "change from frame to frame across the seams of chunks, and within chunks",
}


def scores() -> Terms:
    """The aggregates, and every dimension of the ground-truth scorer, whose module says what it is."""
    rows = re.findall(r"^\| (\w+) \| (.+?) \|$", str(scorer.__doc__), re.MULTILINE)
    found = AGGREGATES | {name: says for name, says in rows if name != "dimension"}
    return {f"{title(name)} (`{name}`)": says for name, says in found.items()}


def distributions() -> Terms:
    """Measures of distributions, as tables print them, times 100: less is better unless they are right elsewhere."""
    right = {name: f"; right at {100 * value:g}" for name, value in modes.RIGHT.items()}
    return {
        f"{modes.MEASURES[name]} (`{name}`)": f"{says}{right.get(name, '; less is better')}"
        for name, says in modes.MEANINGS.items()
    }


def of_the_lab() -> Terms:
    """The lab's measures."""
    return {f"`{name}`": says for name, says in lab_claims.MEANINGS.items()}


def verdicts_of(rule: str) -> Terms:
    """Each verdict of a rule, which is a list of `* verdict, verdict: when`."""
    told = re.findall(r"^\* (.+?): ((?:.+\n?(?:  .+\n?)*))", rule, re.MULTILINE)
    return {names: " ".join(when.split()).rstrip(";.") for names, when in told}


def glossary() -> dict[str, Terms]:
    """Every part under its heading."""
    return {
        "Words and symbols": SYMBOLS,
        "Verdicts on the claims of videos": verdicts_of(claims.RULE),
        "Verdicts of the lab": verdicts_of(verdicts.RULE),
        "Scores of videos, 0 to 100": scores(),
        "Distributions of videos, times 100": distributions(),
        "Measures of the lab": of_the_lab(),
        "Diagnostics, in records and figures": DIAGNOSTICS,
    }
