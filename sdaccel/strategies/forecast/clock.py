"""Where a step lies on the axis that forecasts extrapolate along.

The schedule moves slowly at first: at 50 steps and 1024 px the last step of a shifted schedule is nine times the first, so one
step is not one unit of time. The references count steps all the same.
"""

from collections.abc import Callable, Sequence

CLOCKS: dict[str, Callable[[Sequence[float], int], float]] = {
    "step": lambda times, step: float(step),
    "time": lambda times, step: (times[0] - times[step]) / (times[0] - times[-1]) * (len(times) - 1),
}
"""(times, step) -> position; both run from 0 to the number of steps, so sigma and k mean the same on average."""
