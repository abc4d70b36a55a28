"""Where a strategy may touch one next-scale generation: it decides for every scale whether the model runs."""

from typing import Protocol


class ScaleSeam(Protocol):
    """What a strategy sees of one generation."""

    def full(self, scale: int) -> None:
        """Run the next scale: blocks, guidance, tokens, canvas. A scale that is not run leaves the canvas as it was."""
        ...


class ScaleRule(Protocol):
    """What a strategy made for one generation."""

    def scale(self, scale: int) -> str:
        """Do what is to be done at this scale; its kind."""
        ...


def run_scales(seam: ScaleSeam, *, scales: int, rule: ScaleRule | None) -> list[str]:
    """Every scale in order; the kinds."""
    if rule is None:
        for scale in range(scales):
            seam.full(scale)
        return ["full"] * scales
    return [rule.scale(scale) for scale in range(scales)]
