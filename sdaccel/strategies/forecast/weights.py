"""Forecasts as weighted sums of raw anchors (TaylorSeer, arXiv 2503.06923; HiCache, arXiv 2508.16984).

k steps since the last full step · A_j feature at the j-th newest full step · L_i recursive difference quotient
F(k) = sum_i c_i(k) L_i and L_i = sum_j D_ij A_j, so F(k) = sum_j w_j A_j with w_j = sum_i c_i(k) D_ij
"""

import math
from collections.abc import Sequence
from typing import Protocol


class Coefficients(Protocol):
    """c_0 .. c_order at k; bind a scale with functools.partial."""

    def __call__(self, k: float, *, order: int) -> list[float]: ...


def divided_differences(anchor_steps: Sequence[float]) -> list[list[float]]:
    """D: row i holds the weights of L_i over the anchors, newest first.

    L_{i+1} = (L_i - L_i one full step earlier) / d, with d the spacing of those two full steps. At even spacing L_i estimates
    the i-th derivative per step; at uneven spacing it is not Newton's divided difference, which would divide by wider spans.
    """
    count = len(anchor_steps)
    level = [[float(j == m) for j in range(count)] for m in range(count)]  # L_i as it was made at every anchor m
    rows = level[:1]
    while len(level) > 1:
        level = [
            [(new - old) / (anchor_steps[m] - anchor_steps[m + 1]) for new, old in zip(level[m], level[m + 1], strict=True)]
            for m in range(len(level) - 1)
        ]
        rows.append(level[0])
    return rows


def taylor_coefficients(k: float, *, order: int) -> list[float]:
    """c_i = k^i / i!"""
    return [k**i / math.factorial(i) for i in range(order + 1)]


def taylor_scaled_coefficients(k: float, *, order: int, scale: float) -> list[float]:
    """c_i = scale^2i k^i / i!: Taylor, damped as HiCache damps the leading term of H_i."""
    return [scale ** (2 * i) * c for i, c in enumerate(taylor_coefficients(k, order=order))]


def hermite_coefficients(k: float, *, order: int, scale: float) -> list[float]:
    """c_0 = 1, c_i = scale^i H_i(scale k) / i! (physicists' H, k counted forwards).

    c_2(0) = -scale^2, so this does not return the anchor at k = 0: full steps use their own features.
    """
    x = scale * k
    h = [1.0, 2 * x]
    for n in range(1, order):
        h.append(2 * x * h[n] - 2 * n * h[n - 1])
    return [1.0] + [scale**i * h[i] / math.factorial(i) for i in range(1, order + 1)]


def damped_coefficients(k: float, *, order: int, scale: float) -> list[float]:
    """c_i = (2 scale^2)^i k^i / i!: the leading term of HiCache's c_i and nothing else.

    The control for what damping alone explains: equal to HiCache at order 1, and at order 2 without its -scale^2 L_2.
    """
    return taylor_scaled_coefficients(k, order=order, scale=math.sqrt(2) * scale)


def newton_weights(anchors: Sequence[float], at: float) -> list[float]:
    """w_j of the polynomial through all anchors, newest first: exact up to degree len(anchors) - 1 at any spacing.

    Newton's form and Lagrange's are one polynomial; Lagrange's gives the weights of raw anchors at once.
    """
    return [math.prod((at - other) / (own - other) for other in anchors if other != own) for own in anchors]


def forecast_weights(anchor_steps: Sequence[float], step: float, coefficients: Coefficients) -> list[float]:
    """w_j of every anchor, newest first; the order is that of the anchors given, and one anchor means reuse."""
    c = coefficients(step - anchor_steps[0], order=len(anchor_steps) - 1)
    rows = divided_differences(anchor_steps)
    return [math.fsum(c[i] * rows[i][j] for i in range(len(rows))) for j in range(len(anchor_steps))]
