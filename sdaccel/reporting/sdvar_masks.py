"""What SDVAR's documents say that each mask does, held against what it lets a row see.

A row of the prefix and a row of the entry scale, each: does it see its own scale, and does it see earlier ones?
"""

from dataclasses import dataclass

from torch import Tensor

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.var.model import PATCH_NUMS
from sdaccel.strategies.speculative.masks import MASKS, first_fed, visibility

LAYOUT, ENTRY = Layout(PATCH_NUMS[256]), 5


@dataclass(frozen=True)
class Sight:
    """What rows of one kind see."""

    own: bool
    """Their whole own scale, not themselves alone."""
    earlier: bool


@dataclass(frozen=True)
class Structure:
    """Of one mask at an entry inside."""

    fed: bool
    """The target reads the prefix at all."""
    prefix: Sight
    entry: Sight
    share: float
    """Visible pairs, of those that a correct pass has."""


def structure(sd_mask: int) -> Structure:
    first = first_fed(entry=ENTRY, sd_mask=sd_mask)
    seen = visibility(LAYOUT, entry=ENTRY, sd_mask=sd_mask)
    correct = visibility(LAYOUT, entry=ENTRY, sd_mask=3)
    level = LAYOUT.row_scales()
    level = level[(first <= level) & (level <= ENTRY)]
    return Structure(
        fed=first == 0,
        prefix=_sight(seen, level, ENTRY - 1) if first == 0 else Sight(own=False, earlier=False),
        entry=_sight(seen, level, ENTRY),
        share=float(seen.sum() / correct.sum()),
    )


def _sight(seen: Tensor, level: Tensor, scale: int) -> Sight:
    rows = seen[level == scale]
    earlier = rows[:, level < scale]
    return Sight(own=bool(rows[:, level == scale].all()), earlier=earlier.numel() > 0 and bool(earlier.all()))


@dataclass(frozen=True)
class Description:
    sd_mask: int
    says: str
    does: str
    holds: bool
    share: str


def _seen(rows: str, sight: Sight) -> str:
    own = "their own" if sight.own else "themselves"
    return (
        f"{rows} see all earlier scales and {own}"
        if sight.earlier
        else f"{rows} see {own}{' scale' if sight.own else ''} alone"
    )


def does(of: Structure) -> str:
    prefix = _seen("prefix rows", of.prefix) if of.fed else "the prefix is not fed"
    return f"{prefix}; {_seen('entry rows', of.entry)}."


SAYS = {
    0: ("no special mask, standard causal", lambda s: s.fed and s.prefix.earlier and s.entry.earlier),
    1: ("current scale included, spatial locality", lambda s: s.prefix.own and s.entry.own),
    2: ("current scale excluded, strict causality", lambda s: not s.prefix.own and not s.entry.own),
    3: ("the strictest, VAR's own", lambda s: s.share <= min(structure(m).share for m in MASKS)),
    4: ("block mask, current scale included", lambda s: s.prefix.own and s.entry.own and not s.entry.earlier),
    5: ("block mask, current scale excluded, the most conservative", lambda s: not s.prefix.own and not s.entry.own),
}
"""What PROJECT_STATUS_SUMMARY.md says, and what would have to be so."""


def descriptions() -> list[Description]:
    out = []
    for sd_mask, (says, would) in SAYS.items():
        found = structure(sd_mask)
        out.append(Description(sd_mask, says, does(found), would(found), f"{100 * found.share:.0f} % of the pairs of mask 3"))
    return out
