"""Upstream's presets under both published maps, adaptation of old configurations, and upstream's files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sdaccel.errors import BadInput
from sdaccel.strategies.stage_cache.maps import MAPS, map_of
from sdaccel.strategies.stage_cache.options import Options
from sdaccel.strategies.stage_cache.plan import planned
from sdaccel.strategies.stage_cache.presets import KEYS, PRESETS, UPSTREAM, adapted, from_json, preset, to_json
from tests.conformance.cases import GOLDENS

TABLES = json.loads((GOLDENS / "hart" / "cache_tables.json").read_text())
BROKEN = {name for name, each in UPSTREAM.items() if each.mend}


@pytest.mark.parametrize("version", MAPS)
def test_every_preset_is_upstreams_under_both_maps(version: str) -> None:
    golden = TABLES[version]["presets"]
    assert golden.keys() == UPSTREAM.keys()
    for name, options in golden.items():
        assert PRESETS[name].on(MAPS[version]) == Options(**options)


@pytest.mark.parametrize("version", MAPS)
def test_broken_chains_are_refused_with_their_mend_which_runs(version: str) -> None:
    stages = MAPS[version]
    assert {"memory-efficient", "demo-fast"} == BROKEN
    for name in PRESETS:
        if name in BROKEN:
            with pytest.raises(BadInput, match=rf"preset {name}: .*whose predecessor .* preset {name}-mended does"):
                preset(name, stages)
        else:
            preset(name, stages)


@pytest.mark.parametrize("version", MAPS)
@pytest.mark.parametrize(
    ("mended", "other"), [("memory-efficient-mended", "attn-only-cache"), ("demo-fast-mended", "aggressive-cache")]
)
def test_a_mended_preset_that_is_forced_does_what_another_one_does(version: str, mended: str, other: str) -> None:
    """So studies that force presets paint one of both."""
    plans = [planned(preset(name, MAPS[version]), MAPS[version], layers=2, table=None) for name in (mended, other)]
    assert plans[0].events == plans[1].events
    assert plans[0].stored == plans[1].stored
    assert plans[0].options.interpolation_mode == plans[1].options.interpolation_mode


def test_document_000_follows_by_nearest_stages_but_for_three_of_ultra_fast() -> None:
    """16 and 256 that store and 441 that is skipped were added by hand; without 16 the adapted chain waits for nothing."""
    v1, v2 = MAPS["v1"], MAPS["v2"]
    by_hand = {name for name, each in UPSTREAM.items() if each.skip_by_hand or each.cache_by_hand}
    assert by_hand == {"ultra-fast"}
    for name in UPSTREAM.keys() - BROKEN - by_hand:
        assert adapted(preset(name, v1), v2) == preset(name, v2)
    with pytest.raises(BadInput, match=r"holds 25, whose predecessor 16 .* add 16 there"):
        adapted(preset("ultra-fast", v1), v2)
    own, added = UPSTREAM["ultra-fast"].on(v2), UPSTREAM["ultra-fast"]
    assert set(own.skip_stages) - set(v2.adapted(added.options.skip_stages)) == {441}
    assert set(own.cache_stages) - set(v2.adapted(added.options.cache_stages)) == {16, 256}


def test_stages_that_meet_are_one_and_what_the_map_has_stays() -> None:
    v2 = MAPS["v2"]
    met = adapted(Options(skip_stages=[169, 256], cache_stages=[100, 169, 144]), v2)
    assert (met.skip_stages, met.cache_stages) == ([144, 256], [81, 144])
    assert adapted(met, v2) == met
    with pytest.raises(BadInput, match="cache_stages holds 256"):
        adapted(preset("conservative-cache", MAPS["v1"]), map_of([1, 2, 3, 5, 16]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_file_gives_back_what_was_written(name: str, tmp_path: Path) -> None:
    options = PRESETS[name].on(MAPS["v2"])
    to_json(options, tmp_path / "own.json")
    written = json.loads((tmp_path / "own.json").read_text())
    assert tuple(written) == KEYS
    remarks = {"description": "one sentence", "usage_guidelines": {"speed": ["another"]}}
    (tmp_path / "own.json").write_text(json.dumps(remarks | written))
    assert from_json(tmp_path / "own.json") == options


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"skip_stage": [256]}, r"has the key skip_stage, .* did you mean skip_stages"),
        ({"reuse_budget": 0.5}, "has the key reuse_budget"),
        ({"threshold": "high"}, "threshold is not of its type"),
        ({"skip_stages": 256}, "skip_stages is not of its type"),
        ({"threshold": -0.1}, "is no similarity"),
        ([], "holds no JSON object"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_sentence(values: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps(values))
    with pytest.raises(BadInput, match=message):
        from_json(tmp_path / "own.json")


def test_what_upstreams_format_cannot_say_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"reuse_budget=0.5 has no key"):
        to_json(replace(Options(), reuse_budget=0.5), tmp_path / "own.json")


def test_an_unknown_preset_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="preset orginal-cache is unknown; did you mean original-cache"):
        preset("orginal-cache", MAPS["v1"])
