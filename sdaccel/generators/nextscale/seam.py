"""Where a strategy may touch one next-scale generation.

One that decides scale by scale whether the model runs makes a `ScaleRule`; one that decodes by itself, with this model alone or
with another one beside it, makes a `Decoder` from the primitives below.

B samples · l tokens of scales first .. last · V codes
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from sdaccel.generators.base import Tells
from sdaccel.generators.nextscale.canvas import Canvas


class Sampling(Protocol):
    """How logits become tokens."""

    @property
    def cfg(self) -> float: ...

    @property
    def top_k(self) -> int: ...

    @property
    def top_p(self) -> float: ...

    @property
    def more_smooth(self) -> bool: ...


class ScaleSeam(Protocol):
    """What a strategy sees of one generation."""

    @property
    def labels(self) -> Tensor:
        """(B,)"""
        ...

    @property
    def seeds(self) -> Tensor:
        """(B,): what every random number of a sample follows from."""
        ...

    @property
    def canvas(self) -> Canvas: ...

    @property
    def sampling(self) -> Sampling: ...

    def full(self, scale: int) -> None:
        """Run the next scale: blocks, guidance, tokens, canvas. A scale that is not run leaves the canvas as it was."""
        ...

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Tensor:
        """Guided logits (B, l, V) of scales first .. last in one pass behind the cached ones, which it joins.

        maps (B, l, Cvae): the canvas at the sizes of these scales but scale 0, which needs none. `bias` (l, n) replaces the
        block-causal visibility of the n tokens up to the last. With `rows` the pass is for these alone, and so is what it
        returns: all are computed, for bits may depend on the batch shape, but the others keep the cache of where they stand.
        """
        ...

    def draw(self, logits: Tensor, scale: int, *, rows: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Tokens (B, l) and codes (B, l, Cvae) of one scale from its guided logits, filtered and raced as in `full`; with
        `rows` all of these are of these rows alone."""
        ...

    def codes(self, tokens: Tensor) -> Tensor:
        """Codebook entries (B, l, Cvae)."""
        ...

    def paint(self, scale: int, tokens: Tensor, codes: Tensor, *, rows: Sequence[int] | None = None) -> None:
        """Set a scale's tokens and the canvas behind it, for these rows, whose they are, or all; what others hold stays."""
        ...

    def tokens_of(self, scale: int) -> Tensor:
        """(B, l) of a scale that was painted."""
        ...

    def adopt(self, other: "ScaleSeam", scale: int) -> None:
        """Begin with the tokens and the canvas of the scales before `scale` of another generation of the same image."""
        ...

    def blank(self, scale: int) -> None:
        """Go on at `scale` with nothing cached of those before it; their places are held and must be hidden by a bias."""
        ...

    def truncate(self, scale: int) -> None:
        """Take back every scale from `scale` on, for all rows: keys, values, tokens and canvas."""
        ...

    def release(self) -> None:
        """This generation ends without a picture; its memory may serve another."""
        ...


class ScaleRule(Tells, Protocol):
    """What a strategy made for one generation."""

    def scale(self, scale: int) -> str:
        """Do what is to be done at this scale; its kind."""
        ...


@runtime_checkable
class Decoder(Tells, Protocol):
    """A rule that takes the whole generation in hand."""

    def decode(self) -> list[str]:
        """Paint every scale of every row; their kinds."""
        ...


def run_scales(seam: ScaleSeam, *, scales: int, rule: ScaleRule | Decoder | None) -> list[str]:
    """Every scale in order; the kinds."""
    if rule is None:
        for scale in range(scales):
            seam.full(scale)
        return ["full"] * scales
    if isinstance(rule, Decoder):
        return rule.decode()
    return [rule.scale(scale) for scale in range(scales)]
