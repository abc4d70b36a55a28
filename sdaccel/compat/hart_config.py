"""A stage cache's configuration under the names of seed document 001."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sdaccel.compat.sdvar_arguments import flag, number, whole
from sdaccel.errors import BadInput, choices
from sdaccel.strategies.stage_cache import presets
from sdaccel.strategies.stage_cache.maps import MAPS, StageMap
from sdaccel.strategies.stage_cache.options import Options

BY_LEVEL = {
    "conservative": "conservative-cache",
    "balanced": "original-cache",
    "aggressive": "aggressive-cache",
    "ultra": "ultra-fast",
}


@dataclass
class HARTCacheConfig:
    """Stages by their tokens, of HART's map (v2) or of VAR's (v1); `Options` has what fields mean, and their defaults."""

    skip_stages: list[int] = field(default_factory=list)
    cache_stages: list[int] = field(default_factory=list)
    enable_attn_cache: bool = Options.enable_attn_cache
    enable_mlp_cache: bool = Options.enable_mlp_cache
    threshold: float = Options.threshold
    max_skip_stages: int = Options.max_skip_stages
    adaptive_threshold: bool = Options.adaptive_threshold
    interpolation_mode: str = Options.interpolation_mode
    calibration_samples: int = Options.calibration_samples
    similarity_window: int = Options.similarity_window

    @classmethod
    def of(cls, options: Options) -> "HARTCacheConfig":
        return cls(**{key: value for key, value in asdict(options).items() if key in presets.KEYS})

    @classmethod
    def from_preset(cls, name: str, mapping: str = "v2") -> "HARTCacheConfig":
        """HART's form of a preset, or VAR's."""
        return cls.of(presets.preset(name, _map(mapping)))

    @classmethod
    def from_json(cls, path: str | Path) -> "HARTCacheConfig":
        """Of a file in upstream's format."""
        return cls.of(presets.from_json(path))

    def to_json(self, path: str | Path) -> None:
        try:
            presets.to_json(self.options, path)
        except OSError as error:
            raise BadInput(f"{path} cannot be written ({error.strerror}); name another file.") from None

    @property
    def options(self) -> Options:
        """The strategy's; BadInput for what is not of its type."""
        return Options(
            skip_stages=_tokens("skip_stages", self.skip_stages),
            cache_stages=_tokens("cache_stages", self.cache_stages),
            enable_attn_cache=flag("enable_attn_cache", self.enable_attn_cache),
            enable_mlp_cache=flag("enable_mlp_cache", self.enable_mlp_cache),
            threshold=number("threshold", self.threshold),
            max_skip_stages=whole("max_skip_stages", self.max_skip_stages, low=0),
            adaptive_threshold=flag("adaptive_threshold", self.adaptive_threshold),
            interpolation_mode=self.interpolation_mode,
            calibration_samples=whole("calibration_samples", self.calibration_samples, low=1),
            similarity_window=whole("similarity_window", self.similarity_window, low=1),
        )

    def validate(self) -> None:
        """Raise BadInput for values that no model takes, or stages that neither HART nor VAR can reuse so."""
        options = self.options
        options.check_values()
        options.check_stages(_written_for(options) or MAPS["v2"])

    def is_cache_enabled(self) -> bool:
        """Something may be reused."""
        options = self.options
        return bool(options.skip_stages and options.cache_stages and options.kinds)

    def fitted(self, stages: StageMap) -> Options:
        """Under the stages of a model; those of the other map become the nearest ones, as document 000 has it."""
        options = self.options
        options.check_values()
        if _stages(options) <= {*stages.tokens} or _written_for(options) is None:
            options.check_stages(stages)
            return options
        return presets.adapted(options, stages)


def get_cache_presets() -> dict[str, HARTCacheConfig]:
    """All presets that run, in HART's form; of upstream's two broken ones the mended form."""
    return {name: HARTCacheConfig.from_preset(name) for name, each in presets.PRESETS.items() if not each.mend}


def create_enhanced_hart_cache_config(
    performance_level: str = "balanced", memory_constrained: bool = False, quality_priority: bool = False
) -> HARTCacheConfig:
    """A preset by wish, quality before memory before speed; the memory-efficient one mended, for upstream's cannot run."""
    if performance_level not in BY_LEVEL:
        raise BadInput(f"performance_level={performance_level} is unknown; {choices(performance_level, BY_LEVEL)}")
    if quality_priority:
        return HARTCacheConfig.from_preset("high-quality")
    return HARTCacheConfig.from_preset("memory-efficient-mended" if memory_constrained else BY_LEVEL[performance_level])


def _stages(options: Options) -> set[int]:
    return {*options.skip_stages, *options.cache_stages}


def _written_for(options: Options) -> StageMap | None:
    """The published map that has all these stages, HART's before VAR's."""
    return next((MAPS[name] for name in ("v2", "v1") if _stages(options) <= {*MAPS[name].tokens}), None)


def _tokens(name: str, stages: Any) -> list[int]:
    if isinstance(stages, str) or not isinstance(stages, Iterable):
        raise BadInput(f"{name}={stages!r} is no list; give stages by their tokens, such as [144, 256].")
    return [whole(f"{name}[{i}]", tokens, low=1) for i, tokens in enumerate(stages)]


def _map(name: str) -> StageMap:
    if name not in MAPS:
        raise BadInput(f"mapping={name} is unknown; {choices(name, MAPS)}")
    return MAPS[name]
