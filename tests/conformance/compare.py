"""Compare arrays with a case's stored ones, whole or sampled (goldens/README.md, section 2)."""

import math

import numpy as np

from tests.conformance.cases import Case, Line


def compare(case: Case, name: str, found: np.ndarray, tolerance: float) -> list[Line]:
    """Maximum absolute error of one array; what the case does not hold or holds in another shape fails."""
    spec = case.meta["arrays"].get(name)
    if spec is None or list(found.shape) != spec["shape"]:
        return [Line(name, math.inf, tolerance)]
    if spec["storage"] == "full":
        return [Line(name, distance(found, case.arrays.get(name)), tolerance)]
    m, n = spec["m"], found.size
    sub = found.reshape(-1)[np.arange(m) * n // m]
    return [
        Line(f"{name}__sub", distance(sub, case.arrays.get(f"{name}__sub")), tolerance),
        Line(f"{name}__stat", _stat_distance(found, case.arrays.get(f"{name}__stat")), tolerance),
    ]


def missing(case: Case, compared: list[Line]) -> list[Line]:
    """A failing line for every array of the case that nothing was compared with."""
    seen = {line.array.split("__")[0].split(" ")[0] for line in compared}
    return [Line(name, math.inf, 0.0) for name in case.meta["arrays"] if name not in seen]


def distance(found: np.ndarray, wanted: np.ndarray | None) -> float:
    """Largest absolute difference; infinite where there is nothing to compare with."""
    if wanted is None or found.shape != wanted.shape:
        return math.inf
    return float(np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max())


def _stat_distance(found: np.ndarray, wanted: np.ndarray | None) -> float:
    """[n, sum, L2, max] differ by at most n, sqrt(n) and 1 times the largest elementwise error: that error's lower bound."""
    if wanted is None or wanted[0] != found.size:
        return math.inf
    values = found.astype(np.float64)
    figures = np.array([values.sum(), np.sqrt(np.square(values).sum()), np.abs(values).max()])
    return float((np.abs(figures - wanted[1:]) / [values.size, values.size**0.5, 1]).max())
