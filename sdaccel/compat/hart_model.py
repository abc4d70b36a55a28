"""A HART that draws under a stage cache, and measures how alike its stages are where nobody has."""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdaccel.compat.hart_arguments import calibration_prompts, config_of, no_filter, prompts_of
from sdaccel.compat.hart_config import HARTCacheConfig
from sdaccel.compat.hart_similarity import Similarities
from sdaccel.compat.hart_statistics import CacheStatistics
from sdaccel.compat.sdvar_arguments import SEEDS, device_of, flag, number, whole
from sdaccel.conditions import Batch
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.runtime import HartRuntime
from sdaccel.noise import sample_seeds
from sdaccel.strategies.stage_cache.adaptive import AdaptiveThresholds
from sdaccel.strategies.stage_cache.maps import FIRST, map_of
from sdaccel.strategies.stage_cache.options import KINDS, Options
from sdaccel.strategies.stage_cache.plan import Plan
from sdaccel.strategies.stage_cache.presets import PRESETS
from sdaccel.strategies.stage_cache.strategy import StageCache

CALIBRATION_SEED = 0
TEXTS = Path("runs/text")
"""Where the states of the published text encoder are kept; may be deleted."""


class CachedHART:
    """Plain attributes switch what upstream's did: use_cache, calibration, sim_path, threshold."""

    def __init__(
        self,
        config: Hart | str | Path,
        cache_config: HARTCacheConfig | None = None,
        *,
        use_cache: bool | None = None,
        calibration: bool = False,
        sim_path: str | Path | None = None,
        threshold: float | None = None,
        force: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.device = config_of(config), device_of(device)
        self.config.check([])
        self.stages = map_of(self.config.scales)
        self.cache_config = cache_config or HARTCacheConfig.of(PRESETS["original-cache"].on(self.stages))
        self.use_cache = cache_config is not None if use_cache is None else flag("use_cache", use_cache)
        self.calibration = flag("calibration", calibration)
        self.force = flag("force", force)
        if threshold is not None:
            self.cache_config = replace(self.cache_config, threshold=number("threshold", threshold))
        if cache_config is not None:
            self.cache_config.fitted(self.stages)
        self.runtime: HartRuntime = self.config.build(self.device)
        self.similarities = Similarities(self.runtime, sim_path)
        self.statistics = CacheStatistics()
        self.adaptive = self._unadapted()

    @property
    def sim_path(self) -> str | Path | None:
        return self.similarities.path

    @sim_path.setter
    def sim_path(self, path: str | Path | None) -> None:
        self.similarities = Similarities(self.runtime, path)

    @property
    def threshold(self) -> float:
        return self.cache_config.threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self.cache_config.threshold = number("threshold", value)

    def set_cache_config(self, cache_config: HARTCacheConfig) -> None:
        """From now on reuse by this one, if this model can."""
        cache_config.fitted(self.stages)
        self.cache_config, self.use_cache = cache_config, True
        self.adaptive = self._unadapted()

    def strategy(self) -> StageCache | None:
        """What the next picture is made with; None computes everything. Measures this model's stages where nobody has."""
        if not (self.use_cache and self.cache_config.is_cache_enabled()):
            return None
        options = asdict(self.cache_config.fitted(self.stages))
        del options["calibration_samples"]  # of the measurement alone
        similarity = None if self.force else self._alike(options["interpolation_mode"])
        strategy = StageCache(**options, similarity=similarity, force=self.force)
        strategy.check(self.config.steps)
        strategy.fits(self.config, [])
        return strategy

    def plan(self) -> Plan:
        """Which sublayers of the next picture are stored and reused."""
        return (self.strategy() or StageCache()).planned(self.stages, self.config.depth)

    def autoregressive_infer_cfg(
        self,
        B: int,
        label_B: Any = None,
        g_seed: int | None = None,
        cfg: float | None = None,
        top_k: int = 0,
        top_p: float = 0.0,
        more_smooth: bool | None = None,
        *,
        prompts: str | Sequence[str] | None = None,
    ) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] of the prompts; noise follows from g_seed and the row, cfg None is the model's own."""
        no_filter(top_k=top_k, top_p=top_p)
        texts = prompts_of(prompts, label_B, rows=whole("B", B, low=1))
        seed = int(torch.randint(2**62, ())) if g_seed is None else whole("g_seed", g_seed, low=-SEEDS, high=SEEDS)
        runtime = self._sampled(cfg, more_smooth)
        batch = self._batch(texts, seed)
        if self.calibration:  # as upstream's: everything is computed and measured, nothing reused
            return self.similarities.join(runtime, batch, self._valued().interpolation_mode)
        strategy = self.strategy()
        made = runtime.generate(batch, backend=None, strategy=strategy)
        if strategy is not None:
            self._count(strategy, len(batch))
        return made.images

    def _alike(self, mode: str) -> dict[str, Any]:
        def batch() -> Batch:
            count = self.cache_config.calibration_samples
            print(f"measuring how alike stages are over {count} prompts (calibration_samples), once", file=sys.stderr)
            return self._prompted(count, None, option="calibration_samples")

        return self.similarities.under(mode, batch)

    def _prompted(self, count: int, prompts: str | Sequence[str] | None, *, option: str) -> Batch:
        return self._batch(calibration_prompts(self.config, prompts, count, option=option), CALIBRATION_SEED)

    def _batch(self, texts: Sequence[str], seed: int) -> Batch:
        self.config.check(texts)
        self.runtime.prepare(texts, cache=TEXTS)
        rows = range(len(texts))
        return Batch(tuple(texts), sample_seeds(seed, rows), {row: row for row in rows})

    def _sampled(self, cfg: float | None, more_smooth: bool | None) -> HartRuntime:
        """These weights under a call's own guidance and smoothing."""
        own: dict[str, Any] = {} if cfg is None else {"cfg": number("cfg", cfg)}
        own |= {} if more_smooth is None else {"more_smooth": flag("more_smooth", more_smooth)}
        config = replace(self.config, **own)
        config.check([])
        sharing = config.sharing(self.config, self.runtime)
        assert sharing is not None, "guidance and smoothing do not touch the weights"
        return sharing

    def _count(self, strategy: StageCache, pictures: int) -> None:
        plan = strategy.planned(self.stages, self.config.depth)
        self.statistics.record_plan(plan, pictures)
        self.adaptive = self._unadapted()  # its window lives within one picture
        if plan.table is not None:
            for stage, layer in itertools.product(range(FIRST, self.config.steps), range(self.config.depth)):
                for kind in KINDS:
                    self.adaptive.measured(layer, kind, float(plan.table[kind][layer, stage]))

    def _valued(self) -> Options:
        """Options whose stages are not looked at."""
        options = self.cache_config.options
        options.check_values()
        return options

    def _unadapted(self) -> AdaptiveThresholds:
        return AdaptiveThresholds(self.config.depth, self.threshold, self.cache_config.similarity_window)
