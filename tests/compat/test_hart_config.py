"""The configuration that HART's cache documents describe, and what is counted of its use."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.compat.hart import CacheStatistics, HARTCacheConfig, create_enhanced_hart_cache_config, get_cache_presets
from sdaccel.errors import BadInput
from sdaccel.strategies.stage_cache.maps import MAPS
from sdaccel.strategies.stage_cache.options import Options
from sdaccel.strategies.stage_cache.presets import KEYS, UPSTREAM

DOCUMENTED: dict[str, Any] = {
    "skip_stages": [],
    "cache_stages": [],
    "enable_attn_cache": True,
    "enable_mlp_cache": True,
    "threshold": 0.7,
    "max_skip_stages": 9,
    "adaptive_threshold": False,
    "interpolation_mode": "bilinear",
    "calibration_samples": 100,
    "similarity_window": 20,
}
"""Document 001's table, and the brief's `max_skip_stages`."""


def test_fields_and_defaults_are_those_of_the_document_and_of_the_strategy() -> None:
    assert asdict(HARTCacheConfig()) == DOCUMENTED == {key: getattr(Options(), key) for key in KEYS}
    assert [field.name for field in fields(HARTCacheConfig)] == [*DOCUMENTED]
    assert HARTCacheConfig([100, 169, 256], [64, 100, 169], True, True, 0.65).options.threshold == 0.65


def test_presets_are_in_harts_form_and_run_and_broken_ones_are_there_mended() -> None:
    presets = get_cache_presets()
    assert {name for name in UPSTREAM if name not in presets} == {"memory-efficient", "demo-fast"}
    for name, config in presets.items():
        config.validate()
        assert config == HARTCacheConfig.from_preset(name)
    assert presets["original-cache"].skip_stages == [144, 256] and presets["demo-fast-mended"].cache_stages == [25, 49, 81, 144]
    assert HARTCacheConfig.from_preset("original-cache", mapping="v1").skip_stages == [169, 256]
    assert not presets["no-cache"].is_cache_enabled() and not presets["research-quality"].is_cache_enabled()
    assert presets["mlp-only-cache"].is_cache_enabled()


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("quality", [False, True])
@pytest.mark.parametrize(
    ("level", "preset"),
    [
        ("conservative", "conservative-cache"),
        ("balanced", "original-cache"),
        ("aggressive", "aggressive-cache"),
        ("ultra", "ultra-fast"),
    ],
)
def test_a_wish_is_a_preset(level: str, preset: str, memory: bool, quality: bool) -> None:
    """Upstream's choices, but that of its two memory-efficient ones the one that runs is given."""
    wanted = "high-quality" if quality else "memory-efficient-mended" if memory else preset
    assert create_enhanced_hart_cache_config(level, memory, quality) == HARTCacheConfig.from_preset(wanted)


def test_a_file_is_upstreams_format_and_comes_back(tmp_path: Path) -> None:
    config = HARTCacheConfig([100, 169, 256], [64, 100, 169], threshold=0.65, adaptive_threshold=True, calibration_samples=7)
    config.to_json(tmp_path / "mine.json")
    written = json.loads((tmp_path / "mine.json").read_text())
    assert list(written) == [*DOCUMENTED] and HARTCacheConfig.from_json(tmp_path / "mine.json") == config
    (tmp_path / "theirs.json").write_text(json.dumps(written | {"description": "d", "usage_guidelines": {"a": 1}}))
    assert HARTCacheConfig.from_json(tmp_path / "theirs.json") == config


def test_stages_of_the_old_map_become_the_nearest_of_the_model_and_its_own_stay() -> None:
    old = HARTCacheConfig(skip_stages=[64, 100, 169], cache_stages=[36, 64, 100])
    new = old.fitted(MAPS["v2"])
    assert (new.skip_stages, new.cache_stages) == ([49, 81, 144], [25, 49, 81])
    assert old.fitted(MAPS["v1"]).skip_stages == [64, 100, 169] and old.skip_stages == [64, 100, 169]
    assert HARTCacheConfig([1296], [729]).fitted(MAPS["v2"]).skip_stages == [1296]


def test_rates_and_summaries_are_of_what_was_recorded_since_the_last_reset() -> None:
    stats, values = CacheStatistics(), np.random.default_rng(0).uniform(size=11).tolist()
    assert stats.get_cache_hit_rate() == 0.0 and stats.get_similarity_stats() == {"attn": {}, "mlp": {}}
    for value in values:
        stats.record_similarity(value, "attn")
        stats.record_cache_usage(value > 0.5)
    assert stats.get_cache_hit_rate() == sum(v > 0.5 for v in values) / 11
    found = stats.get_similarity_stats()
    assert list(found["attn"]) == ["mean", "std", "min", "max", "median", "p80", "p90"] and found["mlp"] == {}
    assert found["attn"]["p80"] == np.percentile(values, 80) and found["attn"]["std"] == np.std(values)
    stats.reset()
    assert stats.get_cache_hit_rate() == 0.0 and stats.get_similarity_stats() == {"attn": {}, "mlp": {}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (HARTCacheConfig(threshold=1.5), "threshold=1.5 is no similarity"),
        (HARTCacheConfig(interpolation_mode="area"), "interpolation_mode=area is unknown"),
        (HARTCacheConfig([35], [25]), "holds 35"),
        (HARTCacheConfig([1], []), "holds 1, "),
        (HARTCacheConfig([256], []), "whose predecessor 144 is not in"),
        (HARTCacheConfig([169, 256], [169]), "whose predecessor 100 is not in"),
        (HARTCacheConfig([4096], [4096]), "cache_stages holds 4096"),
        (HARTCacheConfig([169, 256], [100, 169], max_skip_stages=1), "max_skip_stages=1"),
        (HARTCacheConfig(similarity_window=0), "similarity_window=0 is less than 1"),
        (HARTCacheConfig(skip_stages=256), "skip_stages=256 is no list"),  # type: ignore[arg-type]
        (HARTCacheConfig(cache_stages=[16.0]), r"cache_stages\[0\]=16.0 is no integer"),  # type: ignore[list-item]
        (HARTCacheConfig(threshold="0.7"), "threshold='0.7' is no finite number"),  # type: ignore[arg-type]
        (HARTCacheConfig(enable_mlp_cache=1), "enable_mlp_cache=1 is neither"),  # type: ignore[arg-type]
    ],
)
def test_what_no_model_can_do_does_not_validate(config: HARTCacheConfig, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        config.validate()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HARTCacheConfig.from_preset("ultrafast"), "did you mean ultra-fast"),
        (lambda: HARTCacheConfig.from_preset("memory-efficient"), "memory-efficient-mended"),
        (lambda: HARTCacheConfig.from_preset("no-cache", mapping="v3"), "mapping=v3 is unknown"),
        (lambda: HARTCacheConfig.from_json("nowhere.json"), "nowhere.json does not exist"),
        (lambda: create_enhanced_hart_cache_config("fast"), "performance_level=fast is unknown"),
        (lambda: HARTCacheConfig([36, 64], [25, 36]).fitted(MAPS["v2"]), "adapted to these stages"),
        (lambda: HARTCacheConfig([100, 1296], [64, 729]).fitted(MAPS["v2"]), "skip_stages holds 100"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call()
