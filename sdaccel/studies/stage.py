"""One arm at a time, ready to generate."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from sdaccel.predict.module import Ready
from sdaccel.strategies.controls import MUTANTS, OBSERVERS
from sdaccel.studies.arms import Arm
from sdaccel.studies.models import Models


@contextmanager
def as_configured(arm: Arm, models: Models) -> Iterator[Any]:
    """The arm's strategy with its further models, its bug planted and its observers around it, where it has them."""
    equipped = models.equip(arm)
    planted: AbstractContextManager[Any] = (
        MUTANTS[arm.mutant].plant(models.runtime(arm), equipped) if arm.mutant else nullcontext(equipped)
    )
    with planted as strategy:
        for name in arm.observers:
            strategy = OBSERVERS[name](strategy, arm.strategy)
        yield strategy


class Stage(ExitStack):
    """The arm that was asked for last; the one before has left, with its bug and the models that nobody needs."""

    def __init__(self, arms: Sequence[Arm], models: Models, *, keep: Sequence[str]) -> None:
        super().__init__()
        self.arms = {arm.name: arm for arm in arms}
        self.models, self.keep = models, keep
        self.on: tuple[str, Ready] | None = None
        self.building = 0.0
        """Seconds that it has taken so far."""

    def __call__(self, name: str) -> Ready:
        if self.on is None or self.on[0] != name:
            self.close()
            began = time.monotonic()
            self.on = name, self._ready(self.arms[name])
            self.building += time.monotonic() - began
        return self.on[1]

    def _ready(self, arm: Arm) -> Ready:
        self.models.only(arm)
        strategy = self.enter_context(as_configured(arm, self.models))
        return Ready(self.models.runtime(arm), arm.backend, strategy, arm.kept(list(self.keep)), arm.images_before)
