"""Top-k, then top-p, by a threshold instead of a full sort (plain torch).

l logits (..., V) · w = exp(l - max l) among what top-k left, W its sum · t the threshold · j how many codes equal to t fall

Kept is l > t, and l = t but for the j of lowest index: the set of a stable ascending sort, whose cumulated mass may reach
(1 - p) W and is dropped. Masses are summed in float64, so that no order of summation can show in the set.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BINS = 512
PER_NAT = 32
"""The bins of the search cover 16 nats below the maximum; everything further down shares the last one."""


class Threshold(NamedTuple):
    value: Tensor
    """t, (..., 1)."""
    fallen: Tensor
    """j, int64 (..., 1)."""


def kth_largest(logits: Tensor, top_k: int) -> Tensor:
    """Top-k's threshold (..., 1); 0 keeps all."""
    if top_k == 0:
        return torch.full_like(logits[..., :1], float("-inf"))
    return logits.kthvalue(logits.shape[-1] - top_k + 1, dim=-1, keepdim=True).values


def threshold(logits: Tensor, *, top_k: int, top_p: float) -> Threshold:
    """Where top-k and then top-p cut every row."""
    kth = kth_largest(logits, top_k)
    if top_p == 0:
        return Threshold(kth, torch.zeros_like(kth, dtype=torch.int64))
    below = (logits.amax(-1, keepdim=True) - logits).double()
    w = torch.where(logits >= kth, torch.exp(-below), 0.0)
    limit = (1 - top_p) * w.sum(-1, keepdim=True)
    value = _first_above(logits, w, bins=(below * PER_NAT).clamp_(max=BINS - 1).long(), limit=limit)
    tied = logits == value
    room = limit - torch.where(logits < value, w, 0.0).sum(-1, keepdim=True)
    each = torch.exp((value - logits.amax(-1, keepdim=True)).double())
    fallen = (room / each).floor().long()
    return Threshold(value, fallen.clamp_(min=0).minimum(tied.sum(-1, keepdim=True) - 1))


def _first_above(logits: Tensor, w: Tensor, *, bins: Tensor, limit: Tensor) -> Tensor:
    """The smallest logit at which the mass cumulated from below exceeds the limit: find its bin, sort within the bin alone."""
    mass = torch.zeros(*logits.shape[:-1], BINS, dtype=w.dtype, device=w.device).scatter_add_(-1, bins, w)
    up_to = mass.flip(-1).cumsum(-1).flip(-1)  # up_to[b]: of bin b and all below it in probability
    bin_ = ((up_to > limit).sum(-1, keepdim=True) - 1).clamp_(min=0)
    inside = (bins == bin_) & (w > 0)
    entries = int(inside.sum(-1).max())
    values, where = logits.masked_fill(~inside, float("-inf")).topk(entries, dim=-1)
    under = (up_to - mass).gather(-1, bin_)
    ascending = values.flip(-1)
    reached = torch.where(ascending > float("-inf"), w.gather(-1, where).flip(-1), 0.0).cumsum(-1) + under
    first = (reached <= limit).sum(-1, keepdim=True).clamp_(max=entries - 1)
    return ascending.gather(-1, first)


def kept(logits: Tensor, cut: Threshold) -> Tensor:
    """What a threshold leaves, bool (..., V)."""
    tied = logits == cut.value
    if not bool((cut.fallen > 0).any()):
        return (logits > cut.value) | tied
    return (logits > cut.value) | (tied & (tied.cumsum(-1) > cut.fallen))
