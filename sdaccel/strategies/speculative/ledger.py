"""What became of every sample's proposals, for the record: counts, and where asked how far draft and target are apart.

B samples · K scales. NaN stands where a scale was never judged.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sdaccel.strategies.speculative.distributions import kl, probabilities, total_variation
from sdaccel.strategies.speculative.judge import Drafted
from sdaccel.strategies.two_models import RUNS

COUNTS = ("target_calls", "drafted", "accepted")
DISTANCES = ("stood", "match", "same", "tv", "kl", "whole")
STATS = (*COUNTS, "wasted", *RUNS, *DISTANCES)
"""All that a ledger may tell."""


class Ledger:
    def __init__(self, rows: int, scales: int, *, distances: bool) -> None:
        self.counts = {name: torch.zeros(rows, dtype=torch.int64) for name in COUNTS}
        self.runs = {name: torch.zeros(rows, scales, dtype=torch.int64) for name in RUNS}
        self.distances = {name: torch.full((rows, scales), torch.nan) for name in DISTANCES} if distances else {}

    def drafted(self, rows: Sequence[int], *, first: int, last: int) -> None:
        """The draft made scale `last`, in one pass that began at `first`."""
        self.runs["draft_runs"][list(rows), first : last + 1] += 1
        self.counts["drafted"][list(rows)] += 1

    def passed(self, rows: Sequence[int], *, first: int, last: int) -> None:
        """The target read these scales in one pass."""
        self.runs["target_runs"][list(rows), first : last + 1] += 1
        self.counts["target_calls"][list(rows)] += 1

    def judged(self, rows: Sequence[int], places: Sequence[int], scale: int, drafted: Drafted, stood: Tensor) -> None:
        """The verdict on those places of a group of rows whose earlier scales stood."""
        chosen, places = [rows[place] for place in places], list(places)
        found = {"stood": stood.float()} | (distances(drafted) if self.distances else {})
        self.counts["accepted"][chosen] += stood.long().cpu()[places]
        for name in self.distances:
            self.distances[name][chosen, scale] = found[name].cpu().float()[places]

    def stats(self) -> dict[str, Tensor]:
        wasted = {"wasted": self.counts["drafted"] - self.counts["accepted"]}
        return self.counts | wasted | self.runs | self.distances


def distances(drafted: Drafted) -> dict[str, Tensor]:
    """Of one scale, (B,): means over its tokens, and at last a product.

    match: the draft's token is the target's likeliest (SDVAR's measure) · same: it is what the target draws on the same noise
    · tv: total variation after the filters · kl: KL(p || q) before them · whole: rejection keeps every token, prod (1 - tv)
    """
    p, q = (probabilities(logits, drafted.sampling) for logits in (drafted.target, drafted.draft))
    tv = total_variation(p, q)
    values = {
        "match": drafted.tokens == drafted.target.argmax(-1),
        "same": drafted.tokens == drafted.own[0],
        "tv": tv,
        "kl": kl(drafted.target, drafted.draft),
    }
    return {name: value.double().mean(-1) for name, value in values.items()} | {"whole": (1 - tv).clamp_min(0).prod(-1)}
