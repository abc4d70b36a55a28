"""The seed's adaptive threshold: the 80th percentile of the last similarities, which admits about a fifth of them."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

ENOUGH = 10
"""Similarities before the first update."""
PERCENTILE = 80


@dataclass
class AdaptiveThresholds:
    """By layer and kind. All layers of a kind share one history; only the layer that was measured moves."""

    layers: int
    threshold: float
    window: int
    history: dict[str, deque[float]] = field(init=False)
    values: dict[str, list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.history = {kind: deque(maxlen=self.window) for kind in ("attn", "mlp")}
        self.values = {kind: [self.threshold] * self.layers for kind in ("attn", "mlp")}

    def measured(self, layer: int, kind: str, similarity: float) -> None:
        self.history[kind].append(similarity)
        if len(self.history[kind]) >= ENOUGH:
            self.values[kind][layer] = float(np.percentile(self.history[kind], PERCENTILE))
