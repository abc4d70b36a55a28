"""What a run of two models would cost at the sizes that SDVAR names, d16 beside d30, by formula: the work it did, priced anew.

Latency-bound: a forward costs its launches, however many tokens it holds. Compute-bound: it costs its multiply-accumulates.
A real machine lies between the two at any batch size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.utils import instantiate

from sdaccel.generators.base import Cost
from sdaccel.generators.var.generator import Var

TARGET, DRAFT = Var(depth=30, dtype="float16"), Var(depth=16, dtype="float16")


@dataclass(frozen=True)
class Work:
    """What the models did for one sample, on average."""

    target_runs: list[float]
    """How often the target computed each scale."""
    draft_runs: list[float]
    target_calls: float
    """Forwards."""
    draft_calls: float


def work_of(samples: Sequence[Mapping[str, Any]]) -> Work:
    """From the stats that strategies with two models leave with every sample."""
    stats = [sample["stats"] for sample in samples]
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


def memory(batch_size: int, *, target: Cost, draft: Cost, tokenizer_bytes: int) -> float:
    """Bytes of both models relative to the target's alone; they share the tokenizer, and the pictures are decoded once."""
    alone = target.weight_bytes + batch_size * target.state_bytes
    return 1 + (draft.weight_bytes - tokenizer_bytes + batch_size * draft.state_bytes) / alone


@cache
def official() -> tuple[Cost, Cost]:
    """(d30, d16)."""
    return TARGET.cost(), DRAFT.cost()


def tokenizer_bytes(model: Var) -> int:
    """Weights of its VQVAE."""
    return model.weight_dtype.itemsize * sum(p.numel() for p in model.models_without_storage()[1].parameters())


def weights_of(record: Mapping[str, Any], arm: str) -> list[int]:
    """Bytes of the weights of an arm's generator and of the models beside it, the shared tokenizer counted once."""
    config = record["content"]["config"]["arms"][arm]
    target = instantiate(config["generator"], _convert_="all")
    beside = [instantiate(held, _convert_="all").beside(target) for held in config["strategy"].values() if _is_model(held)]
    return [target.cost().weight_bytes, *(model.cost().weight_bytes - tokenizer_bytes(target) for model in beside)]


def _is_model(held: Any) -> bool:
    return isinstance(held, Mapping) and "_target_" in held
