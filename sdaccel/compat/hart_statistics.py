"""What a stage cache did, under the names of seed document 001."""

from sdaccel.strategies.stage_cache.options import KINDS
from sdaccel.strategies.stage_cache.plan import Plan
from sdaccel.strategies.stage_cache.statistics import Statistics


class CacheStatistics(Statistics):
    """`record_similarity(similarity, "attn" or "mlp")` and `record_cache_usage(hit)` count; the others tell."""

    def reset(self) -> None:
        self.similarities = {kind: [] for kind in KINDS}
        self.used = self.asked = 0

    def get_cache_hit_rate(self) -> float:
        """Reused of the sublayers that might have been; 0 of none."""
        return self.hit_rate

    def get_similarity_stats(self) -> dict[str, dict[str, float]]:
        """By kind: mean, std, min, max, median, p80, p90; nothing where nothing was recorded."""
        return self.similarity_stats()

    def record_plan(self, plan: Plan, pictures: int) -> None:
        """What so many pictures under a plan reused of what they might have, and the similarities that decided."""
        for event in plan.events * pictures:
            self.record_cache_usage(event.hit)
            if plan.table is not None:
                self.record_similarity(float(plan.table[event.kind][event.layer, event.stage]), event.kind)
