"""Upstream's twelve presets, its JSON files, and configurations of one map under another.

A preset is written for VAR's map. HART's form follows by the nearest stages, and by what document 000 added by hand.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sdaccel.errors import BadInput, choices, reason
from sdaccel.strategies.stage_cache.maps import MAPS, StageMap
from sdaccel.strategies.stage_cache.options import Options
from sdaccel.user_files import json_of

KEYS = (
    "skip_stages",
    "cache_stages",
    "enable_attn_cache",
    "enable_mlp_cache",
    "threshold",
    "max_skip_stages",
    "adaptive_threshold",
    "interpolation_mode",
    "calibration_samples",
    "similarity_window",
)
"""Of upstream's files."""
REMARKS = ("description", "usage_guidelines")
"""Keys that upstream's files have for people."""


@dataclass(frozen=True)
class Preset:
    """Options of upstream under the stages of VAR."""

    options: Options
    skip_by_hand: tuple[int, ...] = ()
    """Stages of HART that document 000 added, which no stage of VAR comes nearest to."""
    cache_by_hand: tuple[int, ...] = ()
    mend: tuple[int, ...] = ()
    """Stages of VAR that have to store as well, or a skipped one has nothing to take."""

    def on(self, stages: StageMap) -> Options:
        """As upstream has it for these stages, whether or not that can run."""
        if stages is MAPS["v1"]:
            return self.options
        near = renamed(self.options, stages)
        if stages is not MAPS["v2"]:
            return near
        return replace(
            near,
            skip_stages=sorted({*near.skip_stages, *self.skip_by_hand}),
            cache_stages=sorted({*near.cache_stages, *self.cache_by_hand}),
        )

    def mended(self) -> "Preset":
        cache = sorted({*self.options.cache_stages, *self.mend})
        return replace(self, options=replace(self.options, cache_stages=cache), mend=())


@dataclass(frozen=True)
class Late(Preset):
    """Our own: the last stages, which are most of the work on any map, from what the one before the first of them stored."""

    count: int = 1

    def on(self, stages: StageMap) -> Options:
        tokens = list(stages.tokens)
        return replace(self.options, skip_stages=tokens[-self.count :], cache_stages=tokens[-self.count - 1 : -1])


UPSTREAM: Mapping[str, Preset] = {
    "no-cache": Preset(Options(enable_attn_cache=False, enable_mlp_cache=False)),
    "conservative-cache": Preset(Options(skip_stages=[256], cache_stages=[169], threshold=0.8)),
    "original-cache": Preset(Options(skip_stages=[169, 256], cache_stages=[100, 169])),
    "aggressive-cache": Preset(Options(skip_stages=[64, 100, 169, 256], cache_stages=[36, 64, 100, 169], threshold=0.6)),
    "ultra-fast": Preset(
        Options(
            skip_stages=[36, 64, 100, 169, 256],
            cache_stages=[25, 36, 64, 100, 169],
            threshold=0.5,
            adaptive_threshold=True,
        ),
        skip_by_hand=(441,),
        cache_by_hand=(16, 256),
    ),
    "high-quality": Preset(
        Options(skip_stages=[256], cache_stages=[169], threshold=0.9, interpolation_mode="bicubic"),
    ),
    "memory-efficient": Preset(
        Options(skip_stages=[169, 256], cache_stages=[169], enable_mlp_cache=False, threshold=0.8),
        mend=(100,),
    ),
    "production-balanced": Preset(
        Options(
            skip_stages=[100, 169, 256],
            cache_stages=[64, 100, 169],
            threshold=0.65,
            adaptive_threshold=True,
            calibration_samples=50,
        )
    ),
    "attn-only-cache": Preset(Options(skip_stages=[169, 256], cache_stages=[100, 169], enable_mlp_cache=False)),
    "mlp-only-cache": Preset(Options(skip_stages=[169, 256], cache_stages=[100, 169], enable_attn_cache=False)),
    "research-quality": Preset(Options(cache_stages=[169], threshold=0.95, interpolation_mode="bicubic")),
    "demo-fast": Preset(
        Options(skip_stages=[64, 100, 169, 256], cache_stages=[36, 64, 100], threshold=0.55),
        mend=(169,),
    ),
}
PRESETS: Mapping[str, Preset] = {
    **UPSTREAM,
    **{f"{name}-mended": each.mended() for name, each in UPSTREAM.items() if each.mend},
    **{f"late-{count}": Late(Options(), count=count) for count in (1, 2, 3)},
}
"""Upstream's, mended ones of those whose chain is broken, and our own."""


def preset(name: str, map: StageMap) -> Options:
    """A preset under these stages, if it can run there."""
    if name not in PRESETS:
        raise BadInput(f"preset {name} is unknown; {choices(name, PRESETS)}")
    options = PRESETS[name].on(map)
    try:
        options.check_stages(map)
    except BadInput as error:
        mended = f"; preset {name}-mended does the former" if PRESETS[name].mend else ""
        raise BadInput(f"preset {name}: {str(error).removesuffix('.')}{mended}.") from None
    return options


def renamed(options: Options, stages: StageMap) -> Options:
    """Options of another map with the nearest of these stages, each once."""
    return replace(options, skip_stages=stages.adapted(options.skip_stages), cache_stages=stages.adapted(options.cache_stages))


def adapted(options: Options, stages: StageMap) -> Options:
    """The same, if it can run there: stages that merge may leave one without its predecessor."""
    near = renamed(options, stages)
    try:
        near.check_stages(stages)
    except BadInput as error:
        old = f"skip_stages={options.skip_stages} and cache_stages={options.cache_stages}"
        raise BadInput(f"{old}, adapted to these stages: {error}") from None
    return near


def from_json(path: str | Path) -> Options:
    """Options of a file in upstream's format; what it says to people is left out."""
    fix = f"give a file of the keys {', '.join(KEYS)}"
    found = {key: value for key, value in json_of(Path(path), option="config", fix=fix).items() if key not in REMARKS}
    if unknown := [key for key in found if key not in KEYS]:
        raise BadInput(f"{path} has the key {unknown[0]}, which no stage cache has; {choices(unknown[0], KEYS)}")
    try:
        options: Options = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Options), found))  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise BadInput(f"{path}: {error.full_key} is not of its type ({reason(error).rstrip('.')}); correct it.") from None
    options.check_values()
    return options


def to_json(options: Options, path: str | Path) -> None:
    """Write a file in upstream's format."""
    if options.reuse_budget is not None:
        raise BadInput(
            f"reuse_budget={options.reuse_budget} has no key in upstream's files; give a threshold in its place, as files do."
        )
    values: dict[str, Any] = asdict(options)
    Path(path).write_text(json.dumps({key: values[key] for key in KEYS}, indent=2) + "\n")
