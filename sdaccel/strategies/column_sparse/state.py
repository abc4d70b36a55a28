"""What one layer remembers during one generation. Every row of the batch, hence every CFG branch, has rows of its own.

What a step returns never shares memory with what is kept.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import linear

from sdaccel.strategies.column_sparse import attention, mlp
from sdaccel.strategies.column_sparse.groups import grouped
from sdaccel.strategies.column_sparse.plan import Kind

if TYPE_CHECKING:
    from sdaccel.strategies.column_sparse.options import SparseAttention, SparseMlp


class AttentionState:
    """Columns, the remainder for them, and the partition functions they were chosen by."""

    def __init__(self, options: "SparseAttention") -> None:
        self.options = options
        self.lse: Tensor | None = None
        self.columns: Tensor | None = None
        self.rest: attention.Rest | None = None
        self.left_out: Tensor | None = None
        """Mean value of the columns outside the choice, at the last full step."""

    def step(self, kind: Kind, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """(B, H, N, d) in the format of q."""
        form, group = attention.FORMS[self.options.form], self.options.mbm
        if kind is Kind.SPARSE:
            assert self.columns is not None, "the plan makes a choice before it uses one"
            now = attention.column_attention(q, k, v, self.columns, group=group)
            return form.completed(now, self._current(v)).to(q.dtype)
        dense = attention.dense_attention(q, k, v)
        if kind is Kind.FULL_MASK:
            self.columns = self._choose(q, k, dense.lse)
        if kind is not Kind.FULL:
            self.lse = dense.lse
        if kind is not Kind.FULL_INIT:
            assert self.columns is not None, "the plan makes a choice before it uses one"
            rest = form.rest(dense, attention.column_attention(q, k, v, self.columns, group=group))
            self.rest = rest._replace(out=rest.out.to(q.dtype))
            self.left_out = attention.mean_left_out(v, self.columns) if self.options.follow_values else None
        return dense.out.to(q.dtype)

    def _current(self, v: Tensor) -> attention.Rest:
        assert self.columns is not None and self.rest is not None, "the plan makes a choice before it uses one"
        if self.left_out is None:
            return self.rest
        shift = attention.mean_left_out(v, self.columns) - self.left_out
        return attention.moved(self.rest, shift, group=self.options.mbm)

    def _choose(self, q: Tensor, k: Tensor, lse: Tensor) -> Tensor:
        if self.options.column_mass == "previous":
            assert self.lse is not None, "the first forward of a generation leaves its partition functions"
            lse = self.lse
        mass = attention.column_mass(q, k, lse, group=self.options.mbm)
        return attention.top_columns(mass, self.options.count(q.shape[2]))


class MlpState:
    """Activations, the output that belongs to them, and the means and neurons of the last choice."""

    def __init__(self, options: "SparseMlp") -> None:
        self.options = options
        self.activations: Tensor | None = None
        self.output: Tensor | None = None
        self.means: Tensor | None = None
        self.neurons: mlp.Neurons | None = None

    def step(self, kind: Kind, x: Tensor, w: mlp.Weights, *, select: bool, random: Tensor | None = None) -> Tensor:
        """(B, M, C_out) in the format of x. `random` (B, G, F) are neurons that are kept whatever their score."""
        group = self.options.mbm
        if kind is not Kind.SPARSE:
            hidden = mlp.activations(x, w)
            wide = torch.promote_types(x.dtype, torch.float32)  # a running sum of many steps
            self.activations, self.output = grouped(hidden, group), linear(hidden, w.w2, w.b2).to(wide)
            self.means = mlp.mean_hidden(x, w, group=group)
            return self.published(x.dtype)
        assert self.activations is not None and self.output is not None, "a full forward comes first"
        if select or self.neurons is None:
            self._choose(x, w, random)
        assert self.neurons is not None
        self.output += mlp.sparse_update(x, w, self.activations, self.neurons)
        return self.published(x.dtype)

    def published(self, dtype: torch.dtype) -> Tensor:
        """A copy: the next sparse step changes the output in place."""
        assert self.output is not None
        return self.output.to(dtype, copy=True)

    def _choose(self, x: Tensor, w: mlp.Weights, random: Tensor | None) -> None:
        o = self.options
        assert self.means is not None
        means = mlp.mean_hidden(x, w, group=o.mbm)
        scores = (means - self.means).abs()
        if o.fixed_count is not None:
            self.neurons = mlp.top_neurons(scores, o.fixed_count)
        else:
            keep = mlp.quantile_keep(scores, top_keys=o.top_keys, sample=o.quantile_sample)
            keep = keep if random is None else keep | random
            self.neurons = mlp.chosen_neurons(scores, keep, multiple=o.counts_multiple_of)
        self.means = mlp.merged_means(self.means, means, self.neurons)
