"""FLUX's flow-matching schedule: times from 1 (noise) to 0 (image), shifted by the number of image tokens."""

import math


def shift_mu(tokens: int) -> float:
    """mu, linear in the number of image tokens: 256 -> 0.5, 4096 -> 1.15."""
    return 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)


def times(steps: int, *, tokens: int, shifted: bool = True) -> list[float]:
    """steps + 1 times; t = e^mu / (e^mu + 1/s - 1) over s = 1 .. 0, unshifted for few-step models."""
    line = [1 - i / steps for i in range(steps + 1)]
    if not shifted:
        return line
    e = math.exp(shift_mu(tokens))
    return [e / (e + (1 / s - 1)) if s > 0 else 0.0 for s in line]
