"""Which steps run in full, and how far the extrapolation may reach after each of them.

T steps · N interval · O max_order · fe first_enhance · L_i i-th recursive difference quotient of a feature
"""

from collections.abc import Sequence


def full_steps(steps: int, *, interval: int, first_enhance: int) -> list[bool]:
    """True where the model runs: {0 .. fe-1} and every N-th step after fe-1 (N >= 1, fe >= 1).

    The last step has no rule of its own: it is a forecast wherever the interval puts one there.
    """
    return [step < first_enhance or (step - first_enhance + 1) % interval == 0 for step in range(steps)]


def ladder_length(full: Sequence[int], *, max_order: int, first_enhance: int) -> int:
    """How many of L_0 .. L_O exist after the full steps `full`, in any order (at least the newest O+1 of those so far).

    L_{i+1} is made at a full step after fe-2 from the L_i of the one before, so the anchors that count are those after
    fe-2 and the last one before them: earlier warm-up anchors never enter a forecast.
    """
    late = sum(step > first_enhance - 2 for step in full)
    return min(max_order + 1, late + (late < len(full)))
