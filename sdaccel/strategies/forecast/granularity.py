"""What is forecast: the outputs of modules, of blocks, of whole stacks, or of the model.

    module    pre-gate outputs; gates follow the time of every step (the references)    2 per double block, 1 per single
    block     what every block adds to the residual stream                             1 per block
    trunk     what all blocks add together                                             1
    singles   what the single stack adds; the double blocks run (delta-DiT)             1
    output    the model's output ("Lite")                                               1, as narrow as the latents

Where all blocks share their weights w_j(t), as in every mode but hicache_analytic, sums over blocks and over anchors commute
and `block` is `trunk` up to rounding, at the memory of one feature in place of 57.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sdaccel.generators.flux.seam import DenoiseSeam


@dataclass(frozen=True)
class Granularity:
    """How one choice is kept and used."""

    names: Callable[[DenoiseSeam], list[str]]
    """The features, as the seam calls them."""
    velocity: Callable[[DenoiseSeam, int, Tensor, Tensor], Tensor]
    """(seam, step, x, gated sum over features) -> velocity."""
    kind: str = "forecast"
    """What such a step is in a plan."""
    gated: bool = False


GRANULARITIES = {
    "module": Granularity(lambda seam: seam.features, lambda seam, *given: seam.from_trunk(*given), gated=True),
    "block": Granularity(lambda seam: seam.blocks, lambda seam, *given: seam.from_trunk(*given)),
    "trunk": Granularity(lambda seam: ["trunk"], lambda seam, *given: seam.from_trunk(*given)),
    "singles": Granularity(lambda seam: ["singles"], lambda seam, *given: seam.from_singles(*given), kind="partial"),
    "output": Granularity(lambda seam: ["output"], lambda seam, *given: seam.from_output(*given)),
}
