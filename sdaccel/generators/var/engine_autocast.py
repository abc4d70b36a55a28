"""VAR as its authors run it, the arm that speed-ups are often quoted against: float32 weights under half-precision autocast.

adaLN is computed at every scale; the cache holds K in float32, which attention casts back at every use.
"""

from collections.abc import Iterator
from typing import Any, cast

from torch import Tensor

from sdaccel.generators.nextscale.canvas import wide
from sdaccel.generators.var.model import Block
from sdaccel.generators.var.sampler import VarModel


class AutocastModel(VarModel):
    """It keeps class rows alone, and computes adaLN where it is used."""

    def prepare(self, condition: Any) -> Any:
        return self.class_rows(condition)

    def begin(self, given: Any) -> Tensor:
        return self.var.embed_class(given)

    def mods(self, given: Any) -> Iterator[Tensor]:
        """adaLN of every block, computed when the block runs."""
        shared = self.var.shared_ada_lin(given).unflatten(-1, (1, 6, -1)) if self.var.geometry.shared_aln else None
        return (cast(Block, block).ada_parts(given, shared).movedim(2, 0) for block in self.var.blocks)

    def logits(self, given: Any, h: Tensor) -> Tensor:
        head = self.var.head_nm.ada_lin(given).unflatten(-1, (1, 2, -1))
        return self.var.logits(h, wide(head).movedim(2, 0))
