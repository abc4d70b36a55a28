"""Stages by the name of a preset or of another map, and every preset as a configuration on both models."""

from dataclasses import replace
from typing import Any

import pytest

from sdaccel.cli import CONF
from sdaccel.errors import BadInput
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.stage_cache.maps import MAPS, StageMap
from sdaccel.strategies.stage_cache.presets import KEYS, PRESETS, UPSTREAM, preset
from sdaccel.strategies.stage_cache.strategy import StageCache
from sdaccel.studies import compose

RUNNING = [name for name, each in PRESETS.items() if not each.mend]
MODELS = {"v1": ["generator=var_mini_target", "data=world_classes"], "v2": ["generator=hart_tiny_v2"]}
V1, V2 = MAPS["v1"], MAPS["v2"]


@pytest.mark.parametrize("version", MODELS)
def test_every_preset_is_a_configuration_of_the_model_it_is_given_to(version: str) -> None:
    arms = ",".join(f"p{i}: {{strategy: stage_cache_{name}, force: true}}" for i, name in enumerate(RUNNING))
    study = [f"+study.arms={{{arms}}}", "study.baseline=p0", "data.limit=1"]
    made = compose.plan([*MODELS[version], *study], conf=CONF).arms
    for name, arm in zip(RUNNING, made, strict=True):
        own, wanted = arm.strategy.on(MAPS[version]), preset(name, MAPS[version])
        assert arm.config["strategy"]["stages_of"] == name
        for key in KEYS:
            assert getattr(own, key) == getattr(wanted, key), (name, key)


@pytest.mark.parametrize("stages", [V1, V2, StageMap("own", {1: 0, 4: 1, 9: 2, 16: 3, 36: 4})], ids=["v1", "v2", "own"])
def test_the_late_family_reuses_the_last_stages_of_any_map_from_one_that_computes(stages: StageMap) -> None:
    for count in (1, 2, 3):
        own = preset(f"late-{count}", stages)
        assert own.skip_stages == list(stages.tokens[-count:])
        plan = StageCache(stages_of=f"late-{count}", force=True).planned(stages, 2)
        assert plan.counted()["hit_rate"] == 1
        assert stages.tokens[-count - 1] not in own.skip_stages


@pytest.mark.parametrize("name", ["conservative-cache", "original-cache", "aggressive-cache", "production-balanced"])
def test_stages_named_by_the_old_map_are_those_of_the_preset(name: str) -> None:
    old = UPSTREAM[name].options
    adapted = StageCache(skip_stages=old.skip_stages, cache_stages=old.cache_stages, mapping="v1", force=True)
    assert adapted.on(V2) == StageCache(stages_of=name, force=True).on(V2)
    assert adapted.on(V1) == replace(adapted, mapping=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages_of": "late"}, "stages_of=late is no preset; did you mean late-"),
        (
            {"stages_of": "late-1", "skip_stages": [4096]},
            r"stages_of=late-1 gives the stages and strategy.skip_stages=\[4096\]",
        ),
        ({"stages_of": "late-1", "mapping": "v1"}, "and strategy.mapping=v1, too"),
        (
            {"stages_of": "late-1", "force": False},
            "stages_of=late-1 without strategy.similarity reuses nothing: nobody measured",
        ),
        ({"stages_of": "original-cache", "calibration_samples": 50}, "calibration_samples=50 has no effect"),
        ({"stages_of": "no-cache", "calibrate": True, "force": False}, "stages_of=no-cache reuses nothing"),
        ({"stages_of": "demo-fast"}, "holds 256, whose predecessor 144 .* preset demo-fast-mended does"),
        ({"mapping": "v3"}, "mapping=v3 is unknown"),
        ({"mapping": "v1", "skip_stages": [144]}, "mapping=v1 has no stage of 144 tokens"),
        ({"mapping": "v1", "skip_stages": [36], "cache_stages": [25]}, "adapted to these stages: .* predecessor 16"),
        ({"skip_stages": [36], "cache_stages": [25]}, "the nearest is 25; strategy.mapping=v1 takes the nearest of all"),
    ],
)
def test_stages_that_cannot_be_meant_are_one_sentence(options: dict[str, Any], message: str) -> None:
    strategy = StageCache(**{"force": True} | options)
    with pytest.raises(BadInput, match=message):
        strategy.check(len(V2.tokens))
        strategy.on(V2)


def test_what_reuses_nothing_needs_no_similarity() -> None:
    for name in ("no-cache", "research-quality"):
        strategy = StageCache(stages_of=name)
        strategy.check(len(V2.tokens))
        assert not strategy.planned(V2, 2).events


def test_a_similarity_may_stand_in_an_arm() -> None:
    rows = str([[0.9] * 3] * 2)
    arms = f"a: {{strategy: original}}, b: {{strategy: stage_cache_late-1, similarity: {{attn: {rows}, mlp: {rows}}}}}"
    made = compose.plan(["generator=hart_tiny", f"+study.arms={{{arms}}}", "study.baseline=a", "data.limit=1"], conf=CONF).arms[
        -1
    ]
    assert made.strategy.similarity == {"attn": [[0.9] * 3] * 2, "mlp": [[0.9] * 3] * 2}


def test_the_study_of_the_update_plants_every_bug_and_has_both_forms_of_every_translated_preset() -> None:
    plan = compose.plan(["+exp=mapping_update_regression"], conf=CONF)
    bugs = {name for name, mutant in MUTANTS.items() if mutant.of is StageCache}
    assert {arm.mutant for arm in plan.arms if arm.mutant} == bugs
    on = {
        arm.template: arm.strategy.on(V2)
        for arm in plan.arms
        if not arm.mutant and arm.generator.steps == len(V2.tokens) and arm.strategy.registered_as == "stage_cache"
    }
    for name in ("conservative", "original", "aggressive"):
        forms = [on[name], on[f"{name}_v2"], on[f"{name}_v1"]]
        assert len({(str(each.skip_stages), str(each.cache_stages)) for each in forms}) == 1
