"""Built generators: equal configs share one, in arms that follow each other and in arms that are timed together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sdaccel.conditions import Condition
from sdaccel.generators.base import Prepares, Shares
from sdaccel.strategies.base import Equipped
from sdaccel.studies.arms import Arm


class Models:
    def __init__(self, device: torch.device, conditions: Sequence[Condition], *, cache: Path) -> None:
        self.device = device
        self.conditions = conditions
        self.cache = cache
        self.built: list[tuple[Any, Any]] = []
        """(config, runtime); a config is no key because it may hold lists."""

    def only(self, arm: Arm) -> None:
        """Let go of every model that the arm does not need, before any other is built."""
        needed = arm.configs.values()
        for config in needed:
            self._known(config)
        self.built = [(config, runtime) for config, runtime in self.built if config in needed]

    def runtime(self, arm: Arm) -> Any:
        """The arm's generator."""
        return self._of(arm.generator)

    def equip(self, arm: Arm) -> Any:
        """The arm's strategy, with the models it runs beside the generator where there are any."""
        beside = {name: self._of(config) for name, config in arm.beside.items()}
        return Equipped(arm.strategy, beside) if beside else arm.strategy

    def _of(self, config: Any) -> Any:
        if (known := self._known(config)) is not None:
            return known
        runtime = config.build(self.device)
        if isinstance(runtime, Prepares):
            runtime.prepare(self.conditions, cache=self.cache)
        self.built.append((config, runtime))
        return runtime

    def _known(self, config: Any) -> Any:
        """What is built for this config, or what it can make of the weights of another; None: it must be built."""
        for known, runtime in self.built:
            if known == config:
                return runtime
        for known, runtime in self.built:
            if isinstance(config, Shares) and (own := config.sharing(known, runtime)) is not None:
                self.built.append((config, own))
                return own
        return None
