"""How many times as fast one arm is as another, with an interval: the ratio of their medians over rounds that both ran.

Rounds are drawn with replacement, both arms' seconds of a round together, and each draw gives a logarithm of the ratio of
medians. The spread of these, its variance widened by n / (n - 1), times Student's t of n - 1 degrees reaches to both sides of
the measured logarithm. Simulated coverage of the 95 % interval (log-normal noise of 2 %, alone or with a drift of 20 % over the
rounds, a random walk or common noise of 10 %; exponential tails; a tenth of the rounds twice as slow; a quiet arm beside a loud
one; 1000 runs each): 0.97 to 1.00 at 3 to 8 rounds, 0.94 to 0.99 at 10 and 20. The draws' own percentiles cover 0.75 at three
rounds and 0.93 at five. Few rounds are paid for in width: that of three is three times as wide as that of eight.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
FEWEST = 3
"""Rounds; the spread of two says nothing."""
TOO_FEW = f"fewer than {FEWEST} rounds"


@dataclass(frozen=True)
class Speedup:
    estimate: float
    """Median of the other arm's seconds over the median of its own."""
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""
    """Why there are no ends."""


def speedup(baseline: Sequence[float], own: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Speedup:
    """Of an arm over another one, by their seconds round by round; over itself it is 1, which needs no interval."""
    n = len(own)
    if len(baseline) != n:
        raise ValueError(f"rounds are paired, and there are {len(baseline)} and {n}")
    pairs = np.array([baseline, own], dtype=np.float64)
    if list(baseline) == list(own):
        return Speedup(1.0, n=n)
    whole = _log_ratio(pairs)
    if n < FEWEST:
        return Speedup(math.exp(whole), n=n, note=TOO_FEW)
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    spread = float(_log_ratio(pairs[:, drawn]).std()) * math.sqrt(n / (n - 1))
    reach = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * spread
    return Speedup(math.exp(whole), math.exp(whole - reach), math.exp(whole + reach), n)


def _log_ratio(pairs: np.ndarray) -> np.ndarray:  # (2, ..., n) -> (...)
    baseline, own = np.median(pairs, axis=-1)
    ratio: np.ndarray = np.log(baseline / own)
    return ratio
