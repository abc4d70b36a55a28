"""Forecasts over operators that remember, tuned badly, paint noise: proven are the settings of calibrations alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hydra.core.global_hydra import GlobalHydra

from sdaccel.studies.arms import Arm, Load, content_of


def labelled(arms: Sequence[Arm], load: Load) -> list[Arm]:
    """Stacks whose backend and strategy are no calibration that has passed its gate are experimental, whatever they say."""
    stacks = [arm for arm in arms if stacked(arm)]
    proven = _proven(load) if stacks else []
    unproven = [arm.name for arm in stacks if (arm.config["backend"], arm.config["strategy"]) not in proven]
    return [replace(arm, experimental=True) if arm.name in unproven else arm for arm in arms]


def stacked(arm: Arm) -> bool:
    """An approximate strategy that leaves steps out, over operators that remember earlier steps."""
    remembers = arm.generator.steps and arm.backend.state_bytes(arm.generator, 1) > 0
    return bool(remembers and not arm.strategy.declares.exact and set(arm.strategy.plan(arm.generator.steps)) != {"full"})


def _proven(load: Load) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    names = GlobalHydra.instance().config_loader().get_group_options("calibration")
    found = [load("calibration", name) for name in names]
    return [(content_of(each["backend"]), content_of(each["strategy"])) for each in found if not each["experimental"]]
