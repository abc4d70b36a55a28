"""Column-sparse attention as pure functions; every group of queries attends to columns of its own.

S columns of a group · o_S, l_S attention and log-sum-exp restricted to S · O, L dense ones of the last full step
q, k, v (B, H, N, d) · out (B, H, N, d) and lse (B, H, N) in float32 or wider · columns (B, H, G, count)

Two ways to complete o_S by what the last full step knows of the other columns:

delta      out = o_S + C                               C = O - o_S
lse_merge  out = (e o_S + R) / (e + beta)              w = exp(l_S - L), R = O - w o_S, beta = 1 - w, e = exp(l_S now - L)

The merge is exact when the other columns have not changed, and weighs o_S by its current mass; the delta never sees the
partition function, and overshoots. Where all values drift together that is right for the delta, and the merge lags behind
unless its remainder is `moved` by the drift of the values that it stands for.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sdaccel.strategies.column_sparse.groups import grouped, ungrouped

ROWS = 1024
"""Queries of a dense product at a time, so that no (N, N) matrix is stored."""


class Attended(NamedTuple):
    """Attention over some columns, normalised over these alone."""

    out: Tensor
    lse: Tensor


class Rest(NamedTuple):
    """What a full step knows of the columns outside S."""

    out: Tensor
    beta: Tensor
    """Their mass under the dense probabilities, (B, H, N); unused by delta."""
    lse: Tensor


def column_count(tokens: int, *, top_keys: float, multiple: int) -> int:
    """Columns of a group: the fraction top_keys, rounded to a multiple (half to even)."""
    return min(tokens, multiple * round(top_keys * tokens / multiple))


def logits(q: Tensor, k: Tensor) -> Tensor:
    """(..., rows, columns) in float32 or wider."""
    wide = torch.promote_types(q.dtype, torch.float32)
    return (q.to(wide) @ k.to(wide).transpose(-1, -2)) * q.shape[-1] ** -0.5


def attend(q: Tensor, k: Tensor, v: Tensor) -> Attended:
    """Softmax attention with its log-sum-exp, over whatever leading dimensions."""
    s = logits(q, k)
    lse = s.logsumexp(-1)
    return Attended((s - lse.unsqueeze(-1)).exp() @ v.to(s.dtype), lse)


def dense_attention(q: Tensor, k: Tensor, v: Tensor) -> Attended:
    parts = [attend(rows, k, v) for rows in q.split(ROWS, 2)]
    return Attended(torch.cat([part.out for part in parts], 2), torch.cat([part.lse for part in parts], 2))


def column_mass(q: Tensor, k: Tensor, lse: Tensor, *, group: int) -> Tensor:
    """(B, H, G, N): how much of a group's probability lies on every column, under the partition functions of `lse`."""
    parts = zip(q.split(group, 2), lse.split(group, 2), strict=True)
    return torch.stack([(logits(rows, k) - part.unsqueeze(-1)).exp().sum(-2) for rows, part in parts], 2)


def top_columns(mass: Tensor, count: int) -> Tensor:
    """(B, H, G, count), ascending, so that a gather walks memory forwards."""
    return mass.topk(count, -1).indices.sort(-1).values


def column_attention(q: Tensor, k: Tensor, v: Tensor, columns: Tensor, *, group: int) -> Attended:
    """o_S and l_S."""
    flat = columns.flatten(2).unsqueeze(-1).expand(-1, -1, -1, q.shape[-1])
    chosen = [x.gather(2, flat).unflatten(2, columns.shape[2:]) for x in (k, v)]  # (B, H, G, count, d)
    out, lse = attend(grouped(q, group), *chosen)
    return Attended(ungrouped(out, q.shape[2]), lse.flatten(2)[..., : q.shape[2]])


def mean_left_out(v: Tensor, columns: Tensor) -> Tensor:
    """(B, H, G, d): the mean value of the columns that a group does not attend to; a sum over S alone is gathered."""
    flat = columns.flatten(2).unsqueeze(-1).expand(-1, -1, -1, v.shape[-1])
    wide = v.to(torch.promote_types(v.dtype, torch.float32))
    chosen = wide.gather(2, flat).unflatten(2, columns.shape[2:]).sum(3)
    return (wide.sum(2, keepdim=True) - chosen) / max(1, v.shape[2] - columns.shape[-1])


def moved(rest: Rest, shift: Tensor, *, group: int) -> Rest:
    """The remainder after all values outside S moved by `shift`, (B, H, G, d): R + beta shift. A delta has no mass to move."""
    rows = shift.repeat_interleave(group, 2)[:, :, : rest.out.shape[2]]
    return rest._replace(out=rest.out + rest.beta.unsqueeze(-1) * rows)


def delta_rest(dense: Attended, chosen: Attended) -> Rest:
    return Rest(dense.out - chosen.out, torch.zeros_like(dense.lse), dense.lse)


def delta_completed(now: Attended, rest: Rest) -> Tensor:
    return now.out + rest.out


def merge_rest(dense: Attended, chosen: Attended) -> Rest:
    """A mass below the rounding of its own difference counts as none: divided by a small e, its R would be noise."""
    w = (chosen.lse - dense.lse).exp()
    rounding = 16 * torch.finfo(w.dtype).eps * dense.lse.abs().clamp(min=1)
    beta = torch.where(1 - w > rounding, 1 - w, 0)
    return Rest(dense.out - w.unsqueeze(-1) * chosen.out, beta, dense.lse)


def merge_completed(now: Attended, rest: Rest) -> Tensor:
    """Numerator and denominator are divided by max(e, 1), so nothing overflows however far the logits move."""
    d = now.lse - rest.lse
    e, other = (d - d.clamp(min=0)).exp(), (-d.clamp(min=0)).exp()
    merged = (e.unsqueeze(-1) * now.out + other.unsqueeze(-1) * rest.out) / (e + other * rest.beta).unsqueeze(-1)
    return torch.where(rest.beta.unsqueeze(-1) > 0, merged, now.out)


class Form(NamedTuple):
    rest: Callable[[Attended, Attended], Rest]
    """(dense, chosen) of a full step -> what is cached."""
    completed: Callable[[Attended, Rest], Tensor]
    """(chosen now, cached) -> the output of a sparse step."""


FORMS = {"lse_merge": Form(merge_rest, merge_completed), "delta": Form(delta_rest, delta_completed)}
