"""Multiply-accumulates of a real forward, beside those of the dense model.

N all tokens · L image tokens · D width · F = 4 D neurons · G groups of an MLP · tk columns, k neurons of a group
Per layer: attention 2 N^2 D, sparse 2 N tk D; MLP 2 M D F over its M tokens, sparse 2 M D k. What a full step does beyond the
dense one is counted too: attention over the chosen columns, the mass of all columns where it chooses, means of neurons.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdaccel.strategies.column_sparse.plan import ForwardPlan, Kind, plans

if TYPE_CHECKING:
    from sdaccel.strategies.column_sparse.options import ColumnSparse, SparseAttention, SparseMlp


def macs_beyond_dense(options: "ColumnSparse", generator: Any, kinds: Sequence[str]) -> list[float]:
    """Of every step of one sample, negative where it saves; steps that are not full do not run these operators."""
    real = plans([step for step, kind in enumerate(kinds) if kind == "full"], options)
    out = [0.0] * len(kinds)
    for plan in real:
        out[plan.step] = generator.branches * _forward(plan, options, generator)
    return out


def neurons(options: "SparseMlp", total: int) -> int:
    """Of a group, where the threshold keeps what it is set to and random ones hit as often as they should."""
    if options.fixed_count is not None:
        return min(options.fixed_count, total)
    kept = round(total * (1 - (1 - options.top_keys) * (1 - options.random_keys)))
    return min(total, -(-kept // options.counts_multiple_of) * options.counts_multiple_of)


def sizes(options: "ColumnSparse", generator: Any) -> tuple[list[int], list[int]]:
    """Tokens that attention sees in each of its sparse layers, and an MLP in each of its own."""
    joint, layers = generator.tokens + generator.text_tokens, generator.doubles + generator.singles
    of_mlp = [generator.tokens if layer < generator.doubles else joint for layer in options.layers_of("mlp", layers)]
    return [joint] * len(options.layers_of("attn", layers)), of_mlp


def _forward(plan: ForwardPlan, options: "ColumnSparse", generator: Any) -> float:
    width, (of_attention, of_mlp) = generator.heads * generator.head_dim, sizes(options, generator)
    attention = sum(_attention(plan.attn, options.attn, tokens) for tokens in of_attention)
    return width * (attention + sum(_mlp(plan, options.mlp, tokens, 4 * width) for tokens in of_mlp))


def _attention(kind: Kind, options: "SparseAttention", tokens: int) -> float:
    dense, chosen = 2 * tokens**2, 2 * tokens * options.count(tokens)
    mass = tokens**2
    return {Kind.FULL_INIT: 0, Kind.FULL_MASK: mass + chosen, Kind.FULL: chosen, Kind.SPARSE: chosen - dense}[kind]


def _mlp(plan: ForwardPlan, options: "SparseMlp", tokens: int, total: int) -> float:
    means = -(-tokens // options.mbm) * total
    if plan.mlp is not Kind.SPARSE:
        return means
    return 2 * tokens * (neurons(options, total) - total) + means * plan.select
