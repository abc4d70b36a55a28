"""Column-sparse MLP as pure functions; every group of tokens recomputes neurons of its own.

h = x W1' + b1 · a = gelu(h) · y = a W2' + b2 · S neurons of a group · A, Y activations and output as they are cached

    delta = gelu(x W1[S]' + b1[S]) - A[S]        A[S] += delta        Y += delta W2[:, S]'

so Y = A W2' + b2 holds at every step. Both products run over S alone. A neuron is worth recomputing where the mean of h over
the group has moved since it was computed last; by linearity that mean costs one row per group.

x (B, M, C) · W1 (F, C) · W2 (C_out, F) · A (B, G, group, F) · scores, keep (B, G, F) · neurons, valid (B, G, count)
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear

from sdaccel.generators.flux.operators import Weights
from sdaccel.strategies.column_sparse.groups import group_means, grouped, ungrouped


class Neurons(NamedTuple):
    """S of every group. Counts differ, so short lists are filled up with neurons that are not valid."""

    indices: Tensor
    valid: Tensor


def activations(x: Tensor, w: Weights) -> Tensor:
    """a, (..., F)."""
    return gelu(linear(x, w.w1, w.b1), approximate="tanh")


def mean_hidden(x: Tensor, w: Weights, *, group: int) -> Tensor:
    """Mean of h over every group, (B, G, F), in float32 or wider."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return linear(group_means(x.to(wide), group), w.w1.to(wide), w.b1.to(wide))


def threshold_rank(sample: int, top_keys: float) -> int:
    """Place of the (1 - top_keys) quantile among `sample` ascending scores."""
    return int(sample * (1 - top_keys))


def quantile_keep(scores: Tensor, *, top_keys: float, sample: int) -> Tensor:
    """Neurons at or above the (1 - top_keys) quantile of the first `sample` scores of their group; all at top_keys = 1."""
    if top_keys == 1:
        return torch.ones_like(scores, dtype=torch.bool)
    seen = scores[..., :sample]
    rank = threshold_rank(seen.shape[-1], top_keys)
    threshold = seen.sort(-1).values[..., rank : rank + 1]
    return scores >= threshold


def chosen_neurons(scores: Tensor, keep: Tensor, *, multiple: int) -> Neurons:
    """All that are kept and, up to a multiple, those with the next highest scores."""
    total = scores.shape[-1]
    counts = (-(-keep.sum(-1, keepdim=True) // multiple) * multiple).clamp(max=total)  # (B, G, 1)
    ranked = scores.masked_fill(keep, torch.inf).topk(int(counts.max()), -1).indices
    return Neurons(ranked, torch.arange(ranked.shape[-1], device=scores.device) < counts)


def top_neurons(scores: Tensor, count: int) -> Neurons:
    """The same number for every group: static shapes."""
    index = scores.topk(min(count, scores.shape[-1]), -1).indices
    return Neurons(index, torch.ones_like(index, dtype=torch.bool))


def merged_means(old: Tensor, new: Tensor, neurons: Neurons) -> Tensor:
    """The means at which every neuron was computed last."""
    picked = torch.where(neurons.valid, new.gather(-1, neurons.indices), old.gather(-1, neurons.indices))
    return old.scatter(-1, neurons.indices, picked)


def sparse_update(x: Tensor, w: Weights, cached: Tensor, neurons: Neurons) -> Tensor:
    """delta W2[:, S]', (B, M, C_out) in float32 or wider; writes the new activations into `cached`."""
    wide = torch.promote_types(x.dtype, torch.float32)
    rows = grouped(x, cached.shape[-2])  # (B, G, group, C)
    h = rows @ w.w1[neurons.indices].transpose(-1, -2) + w.b1[neurons.indices].unsqueeze(-2)
    index = neurons.indices.unsqueeze(-2).expand(-1, -1, cached.shape[-2], -1)
    old = cached.gather(-1, index)
    new = torch.where(neurons.valid.unsqueeze(-2), gelu(h, approximate="tanh"), old)
    cached.scatter_(-1, index, new)
    delta = (new.to(wide) - old.to(wide)).to(x.dtype)
    return ungrouped(delta @ w.w2.t()[neurons.indices], x.shape[1]).to(wide)
