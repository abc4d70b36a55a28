"""What one real forward does, decided once for all of its layers.

Two clocks: the ordinal of the real forward drives what must exist first (statistics, choice of columns), the denoise step
drives how old a cached remainder may become. Steps that are forecast advance neither. Between consecutive steps both clocks
agree with the published schedule: attention in full at 0, 1, 10, 20, ..., the MLP at 0, 10, 20, ...

P full_step_every · ordinal number of real forwards before this one in its generation
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdaccel.strategies.column_sparse.options import ColumnSparse

SELECT_ALWAYS = 10
"""The first real forwards choose the MLP's neurons anew each time; later ones follow block_mask_cache."""


class Kind(Enum):
    FULL_INIT = "dense; nothing is cached before it"
    FULL_MASK = "dense, and columns are chosen from its probabilities"
    FULL = "dense, and the remainder is cached for the columns chosen before"
    SPARSE = "chosen columns only, completed by the cached remainder"


@dataclass(frozen=True, kw_only=True)
class ForwardPlan:
    """One real forward, the same for every layer and every row of the batch."""

    step: int
    """Denoise step."""
    ordinal: int
    attn: Kind
    mlp: Kind
    select: bool
    """The MLP chooses its neurons anew, if it is sparse."""
    attn_full_at: int
    """Denoise step of the last full attention, this one included."""
    mlp_full_at: int
    full: bool
    """Every enabled half is full: what the model emits carries no sparsity error, so anchors may be differenced."""


def refresh_due(step: int, last_full: int, *, every: int, schedule: Sequence[int] | None = None) -> bool:
    """A scheduled full step lies in (last_full, step], whether or not the model ran at exactly that one."""
    if schedule is not None:
        return any(last_full < wanted <= step for wanted in schedule)
    return step // every > last_full // every


def next_plan(previous: ForwardPlan | None, step: int, options: "ColumnSparse") -> ForwardPlan:
    """The plan that follows; without a previous one nothing is cached."""
    attn, mlp = options.attn, options.mlp
    ordinal = previous.ordinal + 1 if previous else 0
    if previous is None:
        attn_kind = mlp_kind = Kind.FULL_INIT
    else:
        masks = ordinal == 1 or attn.recompute_mask
        due = ordinal == 1 or refresh_due(
            step, previous.attn_full_at, every=attn.full_step_every, schedule=attn.full_step_schedule
        )
        attn_kind = (Kind.FULL_MASK if masks else Kind.FULL) if due else Kind.SPARSE
        mlp_kind = Kind.FULL if refresh_due(step, previous.mlp_full_at, every=mlp.full_step_every) else Kind.SPARSE
    halves = [kind for kind, half in ((attn_kind, attn), (mlp_kind, mlp)) if half.is_enabled]
    return ForwardPlan(
        step=step,
        ordinal=ordinal,
        attn=attn_kind,
        mlp=mlp_kind,
        select=ordinal < SELECT_ALWAYS or ordinal % mlp.block_mask_cache == 0,
        attn_full_at=previous.attn_full_at if previous and attn_kind is Kind.SPARSE else step,
        mlp_full_at=previous.mlp_full_at if previous and mlp_kind is Kind.SPARSE else step,
        full=Kind.SPARSE not in halves,
    )


def plans(steps: Sequence[int], options: "ColumnSparse") -> list[ForwardPlan]:
    """The plans of one generation whose model runs at these denoise steps."""
    out: list[ForwardPlan] = []
    for step in steps:
        out.append(next_plan(out[-1] if out else None, step, options))
    return out
