"""Where a strategy may touch one next-scale generation.

One that decides scale by scale whether the model runs makes a `ScaleRule`, and may answer for single sublayers (`Sublayers`);
one that decodes by itself, with this model alone or another one beside it, makes a `DecodingRule` from the primitives below.

B samples · l tokens of scales first .. last · V codes · C width of the model
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from sdaccel.generators.base import Tells
from sdaccel.generators.nextscale.canvas import Canvas
from sdaccel.generators.nextscale.tokens import Sampling

Kind = Literal["attn", "ffn"]


def nothing() -> None:
    """A feed-forward has no keys and values to care for."""


class Due(NamedTuple):
    """A sublayer whose turn it is. Attention has to do one of the three, or the next scale refuses to run."""

    compute: Callable[[], Tensor]
    """Its output (2B, rows, C) before the gate; keys and values of attention join the cache."""
    keep_kv: Callable[[], object] = nothing
    """Only project keys and values and let them join the cache, for the scales to come."""
    drop_kv: Callable[[], object] = nothing
    """No later scale will see this one at this layer."""


class Sublayers(Protocol):
    """Answers for every sublayer of a scale.

    An engine that records scales asks while it records, several times over, keeps whom it asked, and repeats what it saw in
    every generation of an equal plan. So answers follow from the plan, one plan tells a whole generation from others, and what
    lasts from scale to scale lies in tensors that were made beforehand, outside of inference mode.
    """

    @property
    def plan(self) -> Hashable: ...

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        """The output (2B, rows, C) that joins the residual stream; x is the sublayer's normed input, for both halves."""
        ...


@dataclass(frozen=True)
class Pass:
    """A model's output for some tokens."""

    logits: Tensor
    """Guided, (B, l, V)."""
    hidden: Tensor | None = None
    """Block output of [cond; uncond], (2B, l, C); None where codes do not follow from it."""
    rows: Sequence[int] | None = None
    """The samples that it is of; None: all."""

    def split(self, lengths: list[int]) -> list["Pass"]:
        """Parts of so many tokens."""
        hidden = [None] * len(lengths) if self.hidden is None else self.hidden.split(lengths, 1)
        return [Pass(part, h, self.rows) for part, h in zip(self.logits.split(lengths, 1), hidden, strict=True)]


class ScaleSeam(Protocol):
    """What a strategy sees of one generation."""

    condition: Any
    """What the pictures are to show, for `start` of another model."""
    rows: int
    """B"""
    device: torch.device
    layers: int
    sampling: Sampling
    codebook: Tensor
    """(V, Cvae)"""

    @property
    def seeds(self) -> Tensor:
        """(B,): what every random number of a sample follows from."""
        ...

    @property
    def canvas(self) -> Canvas: ...

    def full(self, scale: int, *, sublayers: Sublayers | None = None) -> None:
        """Run the next scale: blocks, guidance, tokens, canvas. A scale that is not run leaves the canvas as it was."""
        ...

    def guided(
        self, maps: Tensor | None, *, first: int, last: int, bias: Tensor | None = None, rows: Sequence[int] | None = None
    ) -> Pass:
        """What the model says of scales first .. last in one pass behind the cached ones, which it joins.

        maps (B, l, Cvae): the canvas at the sizes of these scales but scale 0, which needs none. `bias` replaces the
        block-causal visibility: of the rows of these scales over all rows up to the last. With `rows` the pass is for these
        samples alone, and so is what it returns: all are computed, for bits may depend on the batch shape, but the others keep
        the cache of where they stand.
        """
        ...

    def draw(self, said: Pass, scale: int) -> tuple[Tensor, Tensor]:
        """Tokens (B, l) and codes (B, l, Cvae) of the samples of a pass, filtered and raced as in `full`."""
        ...

    def codes(self, said: Pass, tokens: Tensor, scale: int) -> Tensor:
        """Codes (B, l, Cvae) to paint other tokens (B, l) of the scale with than those that `draw` gives."""
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
class DecodingRule(Tells, Protocol):
    """A rule that takes the whole generation in hand."""

    def decode(self) -> list[str]:
        """Paint every scale of every row; their kinds."""
        ...


def run_scales(seam: ScaleSeam, *, scales: int, rule: ScaleRule | DecodingRule | None) -> list[str]:
    """Every scale in order; the kinds."""
    if rule is None:
        for scale in range(scales):
            seam.full(scale)
        return ["full"] * scales
    if isinstance(rule, DecodingRule):
        return rule.decode()
    return [rule.scale(scale) for scale in range(scales)]
