"""What the study frame asks of a suite of metrics. A suite is a list of scorers; a scorer looks at one arm's pictures."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.pairs import TRUE, Paired, to_truth
from sdaccel.metrics.pictures import Pictures

Scorer = Callable[[Pictures, Pictures | None], Scores]
"""(an arm's pictures, its baseline's if that is another arm) -> its metrics."""


class Suite(Protocol):
    """A suite's config: a frozen dataclass under `@configurable(group="metrics", ...)`."""

    def check(self, conditions: Sequence[int | str]) -> None:
        """Raise BadInput for missing files and for conditions that it cannot judge; builds nothing."""
        ...

    def identity(self) -> dict[str, Any]:
        """What decides the figures: options without paths, and a hash of every file."""
        ...

    def names(self, conditions: Sequence[int | str]) -> tuple[str, ...]:
        """The metrics it gives for these conditions; those that are `beside` come where there is a baseline."""
        ...

    def scorers(self, conditions: Sequence[int | str], *, size: int, device: torch.device, cache: Path) -> Sequence[Scorer]:
        """Built for pictures of `size` pixels, networks on the device, features kept in the cache."""
        ...


@runtime_checkable
class Partial(Protocol):
    """A suite that measures what it can of what it was given, where nobody insists on the rest."""

    def check_given(self) -> None:
        """Raise BadInput for files that are given and cannot be used."""
        ...

    def lacking(self, conditions: Sequence[int | str]) -> dict[str, str]:
        """What it does not measure of these conditions -> what that needs."""
        ...


def promised(suite: Suite, conditions: Sequence[int | str], *, truth: bool) -> tuple[str, ...]:
    """Names of all metrics of a study, which may have an arm that stands for the exact solution."""
    names = suite.names(conditions)
    return (*names, *(TRUE[name] for name in names if truth and name in TRUE))


def measure(
    scorers: Sequence[Scorer], arms: Sequence[Pictures], *, done: Callable[[str], None] = lambda name: None
) -> dict[str, Scores]:
    """The metrics of every arm by its name; `done` is told of each scorer that has looked at an arm."""
    by_name = {arm.name: arm for arm in arms}
    out = {}
    for arm in arms:
        found = Scores()
        for score in scorers:
            found = found.merged(score(arm, by_name[arm.against] if arm.against else None))
            if arm.truth and isinstance(score, Paired):
                found = found.merged(to_truth(score(replace(arm, paired=True), by_name[arm.truth])))
            done(arm.name)
        out[arm.name] = found
    return out
