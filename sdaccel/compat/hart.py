"""The public names of seed documents 000 and 001, for scripts that use them; each is a line or two over what this project does.

    from sdaccel.compat.hart import create_enhanced_hart_model

    model = create_enhanced_hart_model("hart_mini", cache_preset="late-1")
    print(model.calibrate_thresholds(num_samples=4))
    images = model.autoregressive_infer_cfg(B=1, prompts="a large red circle on a grey background", g_seed=42)
    print(model.get_cache_statistics()["cache_hit_rate"])

A model is a generator config, `Hart(...)`, the name of one in conf/generator, or the folder of the published files. The cache
is strategy stage_cache. It reuses what a measurement found alike: a table that `calibrate_thresholds` made or `sim_path` holds,
or one of `calibration_samples` prompts that is made before the first cached picture. `force=True` asks for none.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdaccel.compat.hart_arguments import HARTForT2IConfig, config_of
from sdaccel.compat.hart_benchmark import timed
from sdaccel.compat.hart_command import main
from sdaccel.compat.hart_config import HARTCacheConfig, create_enhanced_hart_cache_config, get_cache_presets
from sdaccel.compat.hart_model import CachedHART
from sdaccel.compat.hart_similarity import save
from sdaccel.compat.hart_statistics import CacheStatistics
from sdaccel.compat.sdvar_arguments import number, whole
from sdaccel.errors import BadInput, choices
from sdaccel.generators.hart.generator import Hart
from sdaccel.strategies.stage_cache.interpolate import MODES, interpolate
from sdaccel.strategies.stage_cache.maps import FIRST, map_of
from sdaccel.strategies.stage_cache.options import KINDS
from sdaccel.strategies.stage_cache.presets import preset

__all__ = [
    "CacheStatistics",
    "EnhancedHARTForT2I",
    "HARTCacheConfig",
    "HARTForT2I",
    "HARTForT2IConfig",
    "create_enhanced_hart_cache_config",
    "create_enhanced_hart_model",
    "get_cache_presets",
]

PERCENTILE = 70
"""Upstream's documents recommend this percentile of the measured similarities; its code took the 80th."""


class EnhancedHARTForT2I(CachedHART):
    """It draws, and has what scripts ask beside pictures: thresholds, timing, statistics, files."""

    def calibrate_thresholds(
        self, num_samples: int | None = None, *, prompts: str | Sequence[str] | None = None
    ) -> dict[str, float]:
        """Measure so many prompts, and recommend what lets the likest 30 % of the skipped stages' sublayers through, by kind.

        That is a percentile and promises no quality; `+exp=threshold_calibration` recommends thresholds for a budget of it.
        """
        options = self.cache_config.fitted(self.stages) if self.use_cache else replace(self._valued(), skip_stages=[])
        count = options.calibration_samples if num_samples is None else num_samples
        similarity = self.similarities.measure(self._prompted(count, prompts, option="num_samples"), options.interpolation_mode)
        stages = [self.stages.stage(tokens) for tokens in options.skip_stages] or range(FIRST, self.config.steps)
        columns = [stage - FIRST for stage in stages]
        return {f"{kind}_threshold": float(np.percentile(np.array(similarity[kind])[:, columns], PERCENTILE)) for kind in KINDS}

    def benchmark_performance(
        self, num_samples: int = 10, batch_size: int = 1, *, prompts: str | Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Seconds of so many batches, each beside one that computes everything; statistics begin anew and are of these."""
        rounds, rows = whole("num_samples", num_samples, low=1), whole("batch_size", batch_size, low=1)
        batch, strategy = self._prompted(rows, prompts, option="batch_size"), self.strategy()
        found = timed(self.runtime, batch, strategy, rounds=rounds)
        self.reset_cache_statistics()
        if strategy is not None:
            self._count(strategy, rows * rounds)
        return {
            "benchmark": found | {"cache_hit_rate": self.statistics.get_cache_hit_rate()},
            "cache_config": asdict(self.cache_config),
            "similarity_stats": self.statistics.get_similarity_stats(),
        }

    def get_cache_statistics(self) -> dict[str, Any]:
        """Of all pictures since the last reset; adaptive thresholds, by layer, as they stand after the last picture."""
        found = {
            "cache_hit_rate": self.statistics.get_cache_hit_rate(),
            "similarity_stats": self.statistics.get_similarity_stats(),
            "config": asdict(self.cache_config),
        }
        adaptive = {kind: [*values] for kind, values in self.adaptive.values.items()}
        return found | ({"adaptive_thresholds": adaptive} if self.cache_config.adaptive_threshold else {})

    def reset_cache_statistics(self) -> None:
        self.statistics.reset()
        self.adaptive = self._unadapted()

    def update_adaptive_threshold(self, similarity: float, layer_type: str, layer_idx: int = 0) -> float:
        """One similarity more by the seed's rule, and the threshold that follows."""
        self.adaptive.measured(self._layer(layer_idx), _kind(layer_type), number("similarity", similarity))
        return self.adaptive.values[layer_type][layer_idx]

    def get_effective_threshold(self, layer_type: str, layer_idx: int = 0) -> float:
        """What a similarity is held against now: the configured one, or what adaptive thresholding has made of it."""
        own = self.adaptive.values[_kind(layer_type)][self._layer(layer_idx)]
        return own if self.cache_config.adaptive_threshold else self.threshold

    def should_use_cache(self, stage: int, layer_type: str, layer_idx: int = 0) -> bool:
        """Whether this sublayer of the next picture is reused: skipped, stored by the stage before, and alike or forced."""
        if whole("stage", stage, low=1) not in self.stages.tokens:
            raise BadInput(f"stage {stage} does not exist in this model; the nearest is {self.stages.nearest(stage)}.")
        return self.plan().reuses(self._layer(layer_idx), _kind(layer_type), self.stages.stage(stage))

    def enhanced_feature_interpolate(self, features: Tensor, mode: str | None = None) -> Tensor:
        """(R, p², C) of a stage at the size of the next one."""
        tokens = features.shape[1] if features.ndim == 3 else None
        if tokens not in self.stages.tokens[:-1]:
            before = ", ".join(map(str, self.stages.tokens[:-1]))
            raise BadInput(
                f"features have the shape {tuple(features.shape)}; give (rows, tokens, channels), tokens one of {before}."
            )
        mode = mode or self.cache_config.interpolation_mode
        if mode not in MODES:
            raise BadInput(f"mode={mode} is unknown; {choices(mode, MODES)}")
        return interpolate(features, self.config.scales[self.stages.stage(tokens) + 1], mode)

    def save_cache_config(self, path: str | Path) -> None:
        self.cache_config.to_json(path)

    def load_cache_config(self, path: str | Path) -> None:
        self.set_cache_config(HARTCacheConfig.from_json(path))

    def save_similarity_data(self, path: str | Path) -> None:
        """What was measured, with the model that it was measured on: for `sim_path`."""
        if self.similarities.known is None:
            raise BadInput("no similarity was measured yet; call calibrate_thresholds, or draw a cached picture, first.")
        save(path, self.similarities.known)

    def _layer(self, layer_idx: int) -> int:
        return whole("layer_idx", layer_idx, low=0, high=self.config.depth - 1)


HARTForT2I = EnhancedHARTForT2I
"""The original's name, for scripts that switch its legacy cache."""


def create_enhanced_hart_model(
    config: Hart | str | Path,
    cache_preset: str = "original-cache",
    custom_cache_config: HARTCacheConfig | None = None,
    *,
    sim_path: str | Path | None = None,
    force: bool = False,
    device: torch.device | str = "cpu",
) -> EnhancedHARTForT2I:
    """A model under a preset, in the form for its stages, or under a configuration of one's own."""
    config = config_of(config)
    own = custom_cache_config or HARTCacheConfig.of(preset(cache_preset, map_of(config.scales)))
    return EnhancedHARTForT2I(config, own, sim_path=sim_path, force=force, device=device)


def _kind(layer_type: str) -> str:
    if layer_type not in KINDS:
        raise BadInput(f"layer_type={layer_type} is unknown; {choices(layer_type, KINDS)}")
    return layer_type


if __name__ == "__main__":
    sys.exit(main())
