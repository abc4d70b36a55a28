"""What speculation is expected to cost, from how often scales stand and from what its parts cost: pure functions.

s next scale of K · g = min(gamma, K - 1 - s) scales proposed · a_k probability that scale k stands if those before it did

    round at s      draft s .. s+g-1, one pass of the target over s .. s+g, judge until one falls at s+j, paint, go on at s+j+1
    all g stood     the pass made scale s+g too: go on at s+g+1; the draft, which never saw s+g, reads two scales next time

All rows of a batch are taken to stand together; where they part ways every group pays for a pass of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache


@dataclass(frozen=True)
class Prices:
    """Prices of the parts of a generation, in any unit; scales are counted from 0."""

    draft: Callable[[int, int], float]
    """(first, k): the draft reads scales first .. k and proposes scale k."""
    verify: Callable[[int, int], float]
    """(s, last): one pass of the target over scales s .. last."""
    judge: Callable[[int], float]
    """Judging one scale, the target's own draw included."""
    bonus: Callable[[int], float]
    """The target draws and paints the scale behind a proposal that stood."""
    repaint: Callable[[int], float]
    """It paints what it drew for a scale that fell."""
    fixed: float
    """Paid once by every generation."""


@dataclass(frozen=True)
class Round:
    scale: int
    """s"""
    proposed: int
    """g"""
    accepted: int
    catch_up: bool
    """The draft has to read scale s - 1 too."""


def cost_of_round(prices: Prices, r: Round) -> float:
    """Drafting, the target's pass, every verdict up to the first that fell, and the scale that the target paints."""
    first = r.scale - r.catch_up
    drafting = [prices.draft(first if k == r.scale else k, k) for k in range(r.scale, r.scale + r.proposed)]
    judged = min(r.accepted + 1, r.proposed)
    judging = [prices.judge(k) for k in range(r.scale, r.scale + judged)]
    paint = prices.bonus if r.accepted == r.proposed else prices.repaint
    own = prices.verify(r.scale, r.scale + r.proposed) + paint(r.scale + r.accepted)
    return sum(drafting) + own + sum(judging)


def cost_of(prices: Prices, rounds: Sequence[Round]) -> float:
    """Price of a generation whose rounds are known."""
    return prices.fixed + sum(cost_of_round(prices, r) for r in rounds)


def expected(prices: Prices, acceptance: Sequence[float], *, gamma: int) -> float:
    """Mean of `cost_of` where scale k stands with probability acceptance[k]; the last scale is never proposed."""
    scales = len(acceptance) + 1

    @cache
    def rest(scale: int, catch_up: bool) -> float:
        if scale >= scales:
            return 0.0
        proposed = min(gamma, scales - 1 - scale)
        total, reached = 0.0, 1.0
        for accepted in range(proposed + 1):
            stands = acceptance[scale + accepted] if accepted < proposed else 0.0
            after = rest(scale + accepted + 1, accepted == proposed)
            total += reached * (1 - stands) * (cost_of_round(prices, Round(scale, proposed, accepted, catch_up)) + after)
            reached *= stands
        return total

    return prices.fixed + rest(0, False)


CALLS = Prices(
    draft=lambda first, k: 0.0,
    verify=lambda s, last: 1.0,
    judge=lambda k: 0.0,
    bonus=lambda k: 0.0,
    repaint=lambda k: 0.0,
    fixed=0.0,
)
"""With these a cost is a number of target calls."""


def prices_of(parts: Mapping[str, float]) -> Prices:
    """From parts by name, such as `verify 3-5`."""
    return Prices(
        draft=lambda first, k: parts[f"draft {first}-{k}"],
        verify=lambda s, last: parts[f"verify {s}-{last}"],
        judge=lambda k: parts[f"judge {k}"],
        bonus=lambda k: parts[f"bonus {k}"],
        repaint=lambda k: parts[f"repaint {k}"],
        fixed=parts["fixed"],
    )


def of_macs(target: Sequence[float], draft: Sequence[float]) -> Prices:
    """Multiply-accumulates, from those of every scale: all that a pass reads is computed."""
    return replace(CALLS, draft=lambda first, k: sum(draft[first : k + 1]), verify=lambda s, last: sum(target[s : last + 1]))


def rounds_of(stood: Sequence[bool], *, gamma: int) -> list[Round]:
    """The rounds of one sample of which it is known at which scales the draft would stand; the last scale is not among them."""
    scales, out, scale, catch_up = len(stood) + 1, list[Round](), 0, False
    while scale < scales:
        proposed = min(gamma, scales - 1 - scale)
        accepted = next((i for i in range(proposed) if not stood[scale + i]), proposed)
        out.append(Round(scale, proposed, accepted, catch_up))
        scale, catch_up = scale + accepted + 1, accepted == proposed
    return out


def rounds_from_runs(target_runs: Sequence[int], *, gamma: int) -> list[Round]:
    """The rounds behind a record's counts of how often the target computed every scale, for a fixed gamma."""
    scales, starts = len(target_runs), list[int]()
    for k, runs in enumerate(target_runs):
        covering = sum(k <= min(s + gamma, scales - 1) for s in starts)
        if runs > covering:
            starts.append(k)
    out = list[Round]()
    for s, after in zip(starts, [*starts[1:], scales], strict=True):
        proposed, accepted = min(gamma, scales - 1 - s), after - s - 1
        out.append(Round(s, proposed, accepted, bool(out) and out[-1].accepted == out[-1].proposed))
    return out
