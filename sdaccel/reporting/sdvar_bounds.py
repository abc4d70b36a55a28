"""What a run of two models would cost at the sizes that SDVAR names, d16 beside d30, by formula: the work it did, priced anew.

Latency-bound: a forward costs its launches, however many tokens it holds. Compute-bound: it costs its multiply-accumulates.
A real machine lies between the two at any batch size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sdaccel.generators.base import Cost
from sdaccel.generators.var.generator import Var
from sdaccel.records.view import Arm, Sample

SCALES = 10
"""Of the models that the documents speak of."""


@dataclass(frozen=True)
class Work:
    """What the models did for one sample, on average."""

    target_runs: list[float]
    """How often the target computed each scale."""
    draft_runs: list[float]
    target_calls: float
    """Forwards."""
    draft_calls: float


def work_of(samples: Sequence[Sample]) -> Work:
    """From the stats that strategies with two models leave with every sample."""
    stats = [sample.stats for sample in samples]
    runs = {
        name: [_mean(column) for column in zip(*(s[name] for s in stats), strict=True)]
        for name in ("target_runs", "draft_runs")
    }
    drafts = [s.get("drafted", sum(s["draft_runs"])) for s in stats]
    return Work(runs["target_runs"], runs["draft_runs"], _mean([s["target_calls"] for s in stats]), _mean(drafts))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def latency_bound(work: Work, *, target: Cost, draft: Cost) -> float:
    """Speed-up over the target alone where launches are all that counts."""
    return len(target.macs) * target.calls / (work.target_calls * target.calls + work.draft_calls * draft.calls)


def compute_bound(work: Work, *, target: Cost, draft: Cost) -> float:
    """Speed-up over the target alone where arithmetic is all that counts."""
    done = sum(n * macs for n, macs in zip(work.target_runs, target.macs, strict=True))
    done += sum(n * macs for n, macs in zip(work.draft_runs, draft.macs, strict=True))
    return sum(target.macs) / done


def memory(batch_size: int, *, target: Cost, draft: Cost) -> float:
    """Bytes of both models relative to the target's alone; they share the tokenizer, and the pictures are decoded once."""
    alone = target.weight_bytes + batch_size * target.state_bytes
    return 1 + (draft.weight_bytes - draft.shared_bytes + batch_size * draft.state_bytes) / alone


@cache
def official() -> tuple[Cost, Cost]:
    """(d30, d16)."""
    return Var(depth=30, dtype="float16").cost(), Var(depth=16, dtype="float16").cost()


def weights_of(arm: Arm) -> list[int] | None:
    """Bytes of an arm's generator and of the models beside it, the shared tokenizer counted once; None: not recorded."""
    known = [(name, model.weight_bytes, model.shared_bytes) for name, model in arm.facts.models.items()]
    found = [size - shared * (name != "generator") for name, size, shared in known if size is not None]
    return found if found and len(found) == len(known) else None
