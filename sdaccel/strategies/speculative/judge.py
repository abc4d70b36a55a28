"""What a rule of acceptance is asked, and what it answers: one drafted scale, given that every scale before it stood."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from sdaccel.generators.nextscale.tokens import Draw


@dataclass(frozen=True)
class Drafted:
    """One scale as both models see it, on the same canvas."""

    start: int
    """Position of its first token."""
    tokens: Tensor
    """(B, l), the draft's."""
    draft: Tensor
    """The draft's guided logits (B, l, V), unfiltered."""
    target: Tensor
    """The target's."""
    sampling: Draw
    """The scale's."""
    seeds: Tensor
    """(B,)"""
    draw: Callable[[], tuple[Tensor, Tensor]]
    """The target's own tokens (B, l) and codes (B, l, Cvae), on the noise that the draft was drawn with."""
    codes: Callable[[Tensor], Tensor]
    """What the target would paint other tokens (B, l) of the scale with."""
    codebook: Tensor
    """(V, Cvae)"""

    @cached_property
    def own(self) -> tuple[Tensor, Tensor]:
        """What the target would have drawn here without a draft."""
        return self.draw()


@dataclass(frozen=True)
class Acceptance:
    """Of every row: whether the draft stands as it is, and what to paint where it does not."""

    stood: Tensor
    """(B,) bool. Scales drafted behind one that did not stand are worth nothing."""
    replace: Callable[[], tuple[Tensor, Tensor]]
    """Tokens and codes of the rows that did not stand; not asked for where all did."""
