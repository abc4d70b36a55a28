"""Laws of measuring similarity, and of what is bound to the model that it was measured on; each sees a planted bug."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.strategies.stage_cache.bound import bound
from sdaccel.strategies.stage_cache.interpolate import interpolate, similarity
from sdaccel.strategies.stage_cache.maps import map_of
from sdaccel.strategies.stage_cache.measure import SIMILARITY, StageSimilarity
from sdaccel.strategies.stage_cache.plan import Plan
from sdaccel.strategies.stage_cache.rule import Measured
from sdaccel.strategies.stage_cache.strategy import StageCache
from tests.strategies.stage_cache.test_stage_cache import HART, MODELS, VAR, chain, equal, made, stages

SHAPE = 2, 2, 4
"""Kinds, layers, stages of both models."""


def measured(generator: Any) -> np.ndarray:
    return made(generator, StageSimilarity()).arrays[SIMILARITY].numpy()


def calibrated(generator: Any, **options: Any) -> StageCache:
    return chain(generator, force=False, calibrate=True, **options).given(generator, {SIMILARITY: measured(generator).mean(0)})


@MODELS
def test_measuring_changes_no_bit_and_measures_the_same_twice(generator: Any) -> None:
    looked = made(generator, StageSimilarity())
    assert equal(looked, made(generator))
    first, again = looked.arrays[SIMILARITY].numpy(), measured(generator)
    assert np.array_equal(first, again, equal_nan=True) and first.shape == (3, *SHAPE)
    assert np.isnan(first[..., :2]).all() and (np.abs(first[..., 2:]) < 1).all()


def test_the_law_sees_a_measurement_that_hands_on_what_it_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Measured.sublayer
    monkeypatch.setattr(Measured, "sublayer", lambda self, *turn: honest(self, *turn) + (self.stage == 2))
    assert not equal(made(HART, StageSimilarity()), made(HART))


def test_the_law_sees_a_window_that_outlives_a_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = list[torch.Tensor]()

    def windowed(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        kept.append(similarity(x, y))
        return torch.stack([each for each in kept if each.shape == kept[-1].shape]).mean(0)

    monkeypatch.setattr("sdaccel.strategies.stage_cache.rule.similarity", windowed)
    assert not np.array_equal(measured(HART), measured(HART), equal_nan=True)


def test_it_is_the_cosine_of_what_is_enlarged_by_sample() -> None:
    """Against outputs that were kept while a generation ran."""
    outputs: dict[tuple[int, int, str], torch.Tensor] = {}
    honest = Measured.sublayer

    def kept(self: Measured, layer: int, kind: Any, x: torch.Tensor, due: Any) -> torch.Tensor:
        outputs[self.stage, layer, kind] = honest(self, layer, kind, x, due).clone()
        return outputs[self.stage, layer, kind]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Measured, "sublayer", kept)
        found = measured(HART)
    for (stage, layer, kind), y in outputs.items():
        if stage >= 2:
            before = interpolate(outputs[stage - 1, layer, kind], HART.scales[stage], "bilinear")
            cosine = torch.nn.functional.cosine_similarity(before, y, dim=-1).mean(-1)
            wanted = (cosine[:3] + cosine[3:]) / 2  # both guidance halves
            assert found[:, int(kind == "ffn"), layer, stage] == pytest.approx(wanted.numpy(), abs=1e-6)


@MODELS
def test_above_a_threshold_of_1_nothing_is_reused_and_above_none_what_was_measured_is(generator: Any) -> None:
    idle = calibrated(generator, threshold=1.0)
    assert equal(made(generator, idle), made(generator))
    assert replace(idle, threshold=0.0).planned(map_of(generator.scales), 2).counted()["reused"] > 0


def test_the_law_sees_a_threshold_that_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "like", lambda *_: True)
    assert not equal(made(HART, calibrated(HART, threshold=1.0)), made(HART))


def test_a_generation_does_not_calibrate_itself() -> None:
    with pytest.raises(BadInput, match="calibrate=true is for a study"):
        made(HART, chain(HART, force=False, calibrate=True))


def given(generator: Any) -> dict[str, Any]:
    return bound({kind: np.full(SHAPE[1:], 0.9) for kind in ("attn", "mlp")}, generator, samples=2)


def without(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {name: value for name, value in found.items() if name != key}


@pytest.mark.parametrize(
    ("change", "other", "message"),
    [
        (dict, {"init_seed": 1}, r"was measured on another model \(sha256"),
        (dict, {"depth": 3}, r"was measured on another model \(depth 2, here 3\)"),
        (dict, {"patch_nums": [1, 2, 3, 4, 5]}, r"was measured on another model \(scales"),
        (without("mlp"), {}, "has no mlp: it was cut short"),
        (without("digest"), {}, "was cut short or edited"),
        (lambda found: found | {"mlp": found["mlp"][:1]}, {}, "was cut short or edited"),
        (lambda found: found | {"attn": [[0.5] * 2] * 2}, {}, "or a similarity is given beside it"),
        (lambda found: found | {"more": 1}, {}, "similarity.more is unknown"),
        (lambda found: {"attn": [[2.0] * 2] * 2, "mlp": found["mlp"]}, {}, "no cosine"),
        (lambda found: {"attn": [[0.5], [0.5, 0.5]], "mlp": found["mlp"]}, {}, "no table of numbers"),
    ],
)
def test_what_was_measured_elsewhere_or_is_not_whole_is_refused(change: Any, other: dict[str, Any], message: str) -> None:
    strategy = chain(HART, force=False, similarity=change(given(HART)))
    with pytest.raises(BadInput, match=message):
        strategy.fits(replace(HART, **other), [])


def test_it_goes_with_its_own_model_however_that_is_sampled() -> None:
    for generator in (HART, VAR):
        strategy = chain(generator, force=False, similarity=given(generator))
        strategy.fits(replace(generator, cfg=3.0), [])


def test_the_law_sees_what_is_bound_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = chain(HART, force=False, similarity=given(HART))
    monkeypatch.setattr("sdaccel.strategies.stage_cache.bound.of_model", lambda generator: strategy.similarity["of"])
    strategy.fits(replace(HART, init_seed=1), [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": {}}, "gives it; choose one"),
        ({"force": True}, "calibrate=true has no effect: strategy.force"),
        ({"skip_stages": []}, "calibrate=true has no effect: strategy.skip_stages"),
        ({"calibrate": False, "calibration_samples": 2}, "calibration_samples=2 has no effect"),
    ],
)
def test_only_one_says_what_is_alike(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        chain(HART, **({"force": False, "calibrate": True} | options)).check(len(stages(HART)))
