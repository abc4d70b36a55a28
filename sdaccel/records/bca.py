"""The interval of means in records of formats 1 and 2: BCa bootstrap (Efron 1987), kept to hold their figures against it.

Tails are Student's, widened by n / (n - 1) (Hesterberg 2015). It covers too little for shares near 1 and for heavy tails.
"""

import math
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from sdaccel.metrics.aggregate import Aggregate

TAIL, RESAMPLES = 0.025, 4000


def of_values(values: np.ndarray) -> Aggregate:
    """The mean of what is finite, NaN standing for samples without a value, as records of those formats have it."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return Aggregate(float(finite[0]) if len(finite) else None, len(finite))
    return Aggregate(float(finite.mean()), len(finite), *_ends(finite))


def _ends(values: np.ndarray) -> tuple[float, float]:
    mean, centred, n = float(values.mean()), values - values.mean(), len(values)
    if (scale := float(np.sum(centred**2))) == 0:
        return mean, mean
    rng, normal = np.random.default_rng(0), NormalDist()
    means = np.sort([float(values[rng.integers(0, n, n)].mean()) for _ in range(RESAMPLES)])
    below = (np.sum(means < mean) + np.sum(means <= mean)) / (2 * RESAMPLES)
    z0 = normal.inv_cdf(min(max(float(below), 1 / (RESAMPLES + 1)), RESAMPLES / (RESAMPLES + 1)))
    skew = float(np.sum(centred**3)) / (6 * scale**1.5)

    def end(tail: float) -> float:
        z = z0 + math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, tail))
        return float(np.quantile(means, normal.cdf(z0 + z / (1 - skew * z))))

    return end(TAIL), end(1 - TAIL)
