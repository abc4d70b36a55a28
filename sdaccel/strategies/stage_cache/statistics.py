"""What was reused and how alike stages are, in the figures of seed document 001."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


def summary(similarities: Sequence[float]) -> dict[str, float]:
    """mean, std, min, max, median, 80th and 90th percentile; nothing of nothing."""
    if not len(similarities):
        return {}
    values = np.asarray(similarities, dtype=np.float64)
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "median": float(np.median(values)),
        "p80": float(np.percentile(values, 80)),
        "p90": float(np.percentile(values, 90)),
    }


@dataclass
class Statistics:
    """Counted as it goes."""

    similarities: dict[str, list[float]] = field(default_factory=lambda: {"attn": [], "mlp": []})
    used: int = 0
    asked: int = 0

    def record_similarity(self, similarity: float, kind: str) -> None:
        self.similarities[kind].append(similarity)

    def record_cache_usage(self, hit: bool) -> None:
        self.used += hit
        self.asked += 1

    @property
    def hit_rate(self) -> float:
        return self.used / self.asked if self.asked else 0.0

    def similarity_stats(self) -> dict[str, dict[str, float]]:
        return {kind: summary(values) for kind, values in self.similarities.items()}
