"""Bytes that the backend keeps of one sample between its steps, as `state` keeps them.

N all tokens · M tokens of an MLP · D width · F = 4 D neurons · G groups · tk columns, k neurons of a group
Indices are int64; partition functions, masses, running sums and means are float32 at least.
"""

from typing import TYPE_CHECKING, Any

from sdaccel.strategies.column_sparse.cost import neurons, sizes

if TYPE_CHECKING:
    from sdaccel.strategies.column_sparse.options import ColumnSparse, SparseAttention, SparseMlp

INDEX, FLAG = 8, 1


def state_bytes(options: "ColumnSparse", generator: Any, itemsize: int) -> int:
    """Both halves in all of their layers, for every CFG branch."""
    heads, head_dim, (of_attention, of_mlp) = generator.heads, generator.head_dim, sizes(options, generator)
    attention = sum(_attention(options.attn, tokens, heads, head_dim, itemsize) for tokens in of_attention)
    mlp = sum(_mlp(options.mlp, tokens, heads * head_dim, itemsize) for tokens in of_mlp)
    return int(generator.branches * (attention + mlp))


def _attention(options: "SparseAttention", tokens: int, heads: int, head_dim: int, itemsize: int) -> int:
    """Columns, the remainder R with its mass and partition function, the ones columns were chosen by, a mean value."""
    groups, wide = -(-tokens // options.mbm), max(itemsize, 4)
    columns = INDEX * groups * options.count(tokens)
    mean = wide * groups * head_dim * options.follow_values
    return heads * (columns + itemsize * tokens * head_dim + 3 * wide * tokens + mean)


def _mlp(options: "SparseMlp", tokens: int, width: int, itemsize: int) -> int:
    """Activations of whole groups, the output that belongs to them, means, and the neurons of the last choice."""
    groups, wide = -(-tokens // options.mbm), max(itemsize, 4)
    chosen = (INDEX + FLAG) * groups * neurons(options, 4 * width)
    return itemsize * groups * options.mbm * 4 * width + wide * tokens * width + wide * groups * 4 * width + chosen
