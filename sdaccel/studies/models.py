"""Built generators: equal configs share one, in arms that follow each other and in arms that are timed together."""

from typing import Any

import torch

from sdaccel.strategies.two_models import Equipped
from sdaccel.studies.arms import Arm


class Models:
    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.built: list[tuple[Any, Any]] = []
        """(config, runtime); a config is no key because it may hold lists."""

    def only(self, arm: Arm) -> None:
        """Let go of every model that the arm does not need, before any other is built."""
        needed = [arm.generator, *arm.beside.values()]
        self.built = [(config, runtime) for config, runtime in self.built if config in needed]

    def runtime(self, arm: Arm) -> Any:
        """The arm's generator."""
        return self._of(arm.generator)

    def equip(self, arm: Arm) -> Any:
        """The arm's strategy, with the models it runs beside the generator where there are any."""
        beside = {name: self._of(config) for name, config in arm.beside.items()}
        return Equipped(arm.strategy, beside) if beside else arm.strategy

    def _of(self, config: Any) -> Any:
        for known, runtime in self.built:
            if known == config:
                return runtime
        self.built.append((config, config.build(self.device)))
        return self.built[-1][1]
