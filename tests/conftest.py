"""One thread per test process: workers share the cores, and forked children must not inherit a thread pool."""

from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from sdaccel.studies import compose

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "conf"

torch.set_num_threads(1)
compose.register()

OPTIONS: dict[tuple[str, ...], DictConfig] = {}


@pytest.fixture
def options_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One option of a group, which the arms of many studies choose, is composed once per process and not once per study."""
    original = compose.compose

    def remembered(name: str, overrides: list[str]) -> DictConfig:
        if name == "config":
            return original(name, overrides=overrides)
        key = (str(GlobalHydra.instance().config_loader().get_search_path()), name, *overrides)
        if key not in OPTIONS:
            OPTIONS[key] = original(name, overrides=overrides)
        return OPTIONS[key]

    monkeypatch.setattr(compose, "compose", remembered)
