"""HART's cache documents, their examples in turn, and that each name is strategy stage_cache under another one."""

import itertools
import re
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import sdaccel.compat.hart
import sdaccel.compat.hart_similarity
from sdaccel.compat.hart import (
    CacheStatistics,
    EnhancedHARTForT2I,
    HARTCacheConfig,
    HARTForT2I,
    HARTForT2IConfig,
    create_enhanced_hart_model,
)
from sdaccel.compat.hart_similarity import Similarities
from sdaccel.conditions import Batch
from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.text import ENCODER
from sdaccel.noise import sample_seeds
from sdaccel.strategies.stage_cache.adaptive import AdaptiveThresholds
from sdaccel.strategies.stage_cache.interpolate import interpolate
from sdaccel.strategies.stage_cache.measure import SIMILARITY, StageSimilarity
from sdaccel.strategies.stage_cache.options import KINDS
from sdaccel.strategies.stage_cache.statistics import Statistics
from sdaccel.strategies.stage_cache.strategy import StageCache
from tests.generators.hart.tiny import CPU, TINY

OLD = replace(TINY, patch_nums=[1, 2, 3, 4, 5, 6, 8, 10, 13, 16], image_size=16)
"""A HART over the stages that document 001 names."""
NEW = "hart_tiny_v2"
PROMPTS = ["a beautiful sunset", "a cat in a garden"]
CALL: dict[str, Any] = {"B": 2, "prompts": PROMPTS, "g_seed": 42, "cfg": 1.5}
CUSTOM = HARTCacheConfig(
    skip_stages=[100, 169, 256],
    cache_stages=[64, 100, 169],
    enable_attn_cache=True,
    enable_mlp_cache=True,
    threshold=0.65,
    adaptive_threshold=True,
    interpolation_mode="bilinear",
)
FEW = 3
"""Samples of a calibration here."""


def cached(config: HARTCacheConfig | None = None, *, of: Hart = OLD, **options: Any) -> EnhancedHARTForT2I:
    own = replace(config or HARTCacheConfig([169, 256], [100, 169]), calibration_samples=FEW)
    return EnhancedHARTForT2I(of, own, **options)


def alone(strategy: Any = None, *, keep: tuple[str, ...] = ()) -> Generation:
    """The same call without any of these names."""
    batch = Batch(tuple(PROMPTS), sample_seeds(42, range(2)), {0: 0, 1: 1})
    return replace(OLD, cfg=1.5).build(CPU).generate(batch, backend=None, strategy=strategy, keep=list(keep))


@cache
def plain() -> Tensor:
    """The model without a cache."""
    return alone().images


def similarity(model: EnhancedHARTForT2I) -> dict[str, Any]:
    found = model.similarities.known
    assert found is not None
    return found


def test_the_documented_model_draws_what_the_strategy_draws(capsys: pytest.CaptureFixture[str]) -> None:
    model = create_enhanced_hart_model(config=OLD, cache_preset="original-cache")
    model.cache_config.calibration_samples = FEW
    images = model.autoregressive_infer_cfg(**CALL)
    assert f"over {FEW} prompts" in capsys.readouterr().err
    ours = StageCache(skip_stages=[169, 256], cache_stages=[100, 169], similarity=similarity(model))
    assert torch.equal(images, alone(ours).images) and not torch.equal(images, plain())


def test_what_was_measured_is_the_strategys_own_measurement() -> None:
    model = cached()
    model.calibrate_thresholds(num_samples=1, prompts=PROMPTS)
    batch = Batch((PROMPTS[0],), sample_seeds(0, [0]), {0: 0})
    measured = OLD.build(CPU).generate(batch, backend=None, strategy=StageSimilarity()).arrays[SIMILARITY][0]
    for kind, table in zip(KINDS, measured, strict=True):
        assert np.allclose(similarity(model)[kind], table[:, 2:], atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_a_custom_configuration_is_the_strategys(mode: str) -> None:
    model = create_enhanced_hart_model(OLD, custom_cache_config=replace(CUSTOM, interpolation_mode=mode), force=True)
    options = {key: value for key, value in asdict(model.cache_config).items() if key != "calibration_samples"}
    assert torch.equal(model.autoregressive_infer_cfg(**CALL), alone(StageCache(**options, force=True)).images)


def test_hits_are_those_of_the_run() -> None:
    model = cached(HARTCacheConfig([100, 169, 256], [64, 100, 169], threshold=0.86))
    model.autoregressive_infer_cfg(**CALL)
    strategy = model.strategy()
    assert strategy is not None
    stats = alone(strategy).stats
    reused = int(stats["reused_attn"].sum() + stats["reused_mlp"].sum())
    eligible = 2 * 3 * OLD.depth * len(KINDS)
    found = model.get_cache_statistics()
    assert found["cache_hit_rate"] == reused / eligible and 0 < reused < eligible, "some are above the threshold and some not"
    asked = np.array(similarity(model)["attn"])[:, -3:]
    assert np.isclose(found["similarity_stats"]["attn"]["mean"], asked.mean()) and found["config"]["threshold"] == 0.86
    assert "adaptive_thresholds" not in found
    model.reset_cache_statistics()
    assert model.get_cache_statistics()["cache_hit_rate"] == 0.0


def test_the_decision_of_every_sublayer_can_be_asked_for() -> None:
    model = cached(HARTCacheConfig([100, 169, 256], [64, 100, 169], threshold=0.86))
    model.autoregressive_infer_cfg(**CALL)
    every = itertools.product(model.stages.tokens, KINDS, range(OLD.depth))
    hits = sum(event.hit for event in model.plan().events)
    assert sum(model.should_use_cache(*each) for each in every) == hits == model.statistics.used / 2
    assert not model.should_use_cache(64, "attn"), "stored, never skipped"


@pytest.mark.parametrize(
    "off",
    [
        {"config": HARTCacheConfig([169, 256], [100, 169], threshold=1.0)},
        {"config": HARTCacheConfig([169, 256], [100, 169], enable_attn_cache=False, enable_mlp_cache=False)},
        {"config": HARTCacheConfig()},
        {"use_cache": False},
        {"calibration": True},
    ],
)
def test_what_reuses_nothing_is_the_model_alone(off: dict[str, Any]) -> None:
    model = cached(**off)
    assert torch.equal(model.autoregressive_infer_cfg(**CALL), plain())
    assert model.get_cache_statistics()["cache_hit_rate"] == 0.0


def test_legacy_switches_still_work() -> None:
    for made in (HARTForT2I(OLD), EnhancedHARTForT2I(OLD)):
        assert torch.equal(made.autoregressive_infer_cfg(**CALL), plain())
        made.use_cache, made.threshold, made.force = True, 0.6, True
        assert made.cache_config.threshold == 0.6
        original = StageCache(skip_stages=[169, 256], cache_stages=[100, 169], force=True)
        assert torch.equal(made.autoregressive_infer_cfg(**CALL), alone(original).images)
    made.set_cache_config(HARTCacheConfig.from_preset("aggressive-cache", mapping="v1"))
    assert made.plan().options.skip_stages == [64, 100, 169, 256]


def test_legacy_calibration_leaves_a_file_that_another_model_of_the_same_weights_reuses_by(tmp_path: Path) -> None:
    path = tmp_path / "calibration/mine.yaml"
    path.parent.mkdir()
    first = cached(calibration=True, sim_path=path)
    first.autoregressive_infer_cfg(B=1, prompts=PROMPTS[0], g_seed=1)
    first.autoregressive_infer_cfg(B=2, prompts=PROMPTS, g_seed=2)
    assert similarity(first)["of"]["samples"] == 3
    assert first.similarities.samples is not None
    assert np.allclose(similarity(first)["mlp"], first.similarities.samples.mean(0)[1][:, 2:], atol=1e-5)
    first.calibration = False
    second = EnhancedHARTForT2I(OLD, HARTCacheConfig([169, 256], [100, 169]), use_cache=True, sim_path=path)
    assert torch.equal(first.autoregressive_infer_cfg(**CALL), second.autoregressive_infer_cfg(**CALL))
    second.save_similarity_data(tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_bytes() == path.read_bytes()


def test_a_file_that_is_not_there_yet_is_measured_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sim.yaml"
    models = [cached(sim_path=path) for _ in range(2)]
    images = [model.autoregressive_infer_cfg(**CALL) for model in models]
    assert torch.equal(*images) and capsys.readouterr().err.count("measuring") == 1
    models[0].cache_config.interpolation_mode = "nearest"
    models[0].autoregressive_infer_cfg(**CALL)
    assert capsys.readouterr().err.count("measuring") == 1, "the file is of another interpolation, and is measured anew"


def test_similarities_are_of_the_interpolation_that_reuses() -> None:
    model = cached()
    tables = []
    for mode in ("bilinear", "nearest", "bilinear"):
        model.cache_config.interpolation_mode = mode
        model.autoregressive_infer_cfg(**CALL)
        tables.append(similarity(model)["attn"])
    assert tables[0] == tables[2] != tables[1]


def test_thresholds_let_the_likest_three_in_ten_through() -> None:
    model = cached(HARTCacheConfig([64, 100, 169, 256], [36, 64, 100, 169]))
    found = model.calibrate_thresholds(num_samples=FEW)
    assert list(found) == ["attn_threshold", "mlp_threshold"]
    for kind in KINDS:
        values = np.array(similarity(model)[kind])[:, -4:].ravel()
        above = (values > found[f"{kind}_threshold"]).sum()
        assert len(set(values)) == 8 and above == 3 and found[f"{kind}_threshold"] == np.percentile(values, 70)
    cache_config = model.cache_config
    cache_config.threshold = found["attn_threshold"]
    model.set_cache_config(cache_config)
    assert sum(event.hit for event in model.plan().events if event.kind == "attn") <= 3


def test_adaptive_thresholds_end_where_the_seeds_rule_ends_and_begin_anew_with_every_picture() -> None:
    model = cached(replace(CUSTOM, threshold=0.5))
    first = model.get_effective_threshold("attn")
    images = [model.autoregressive_infer_cfg(**CALL) for _ in range(2)]
    found, table = model.get_cache_statistics()["adaptive_thresholds"], model.plan().table
    assert torch.equal(*images) and table is not None and first == 0.5
    history = {kind: table[kind][:, 2:].T.ravel() for kind in KINDS}
    for kind in KINDS:
        assert found[kind][-1] == np.percentile(history[kind][-20:], 80) == model.get_effective_threshold(kind, OLD.depth - 1)
    model.reset_cache_statistics()
    for stage in range(2, OLD.steps - 1):
        for layer in range(OLD.depth):
            for kind in KINDS:
                after = model.update_adaptive_threshold(table[kind][layer, stage], kind, layer)
    assert after == model.get_effective_threshold("mlp", OLD.depth - 1)
    for kind in KINDS:
        last = [model.get_effective_threshold(kind, layer) for layer in range(OLD.depth)]
        assert last == model.plan().thresholds[kind][:, -1].tolist(), "what the last stage was held against"
    assert cached(replace(CUSTOM, adaptive_threshold=False)).get_effective_threshold("mlp") == CUSTOM.threshold


def test_the_benchmark_has_upstreams_figures_and_counts_what_it_ran() -> None:
    model = cached(HARTCacheConfig([9, 16], [4, 9], threshold=0.86), of=TINY)
    found = model.benchmark_performance(num_samples=1, batch_size=2, prompts=PROMPTS)
    figures = found["benchmark"]
    assert {"mean_time", "std_time", "mean_memory_mb", "throughput_img_per_sec", "cache_hit_rate"} <= figures.keys()
    assert figures["throughput_img_per_sec"] * figures["mean_time"] == pytest.approx(2)
    assert figures["cache_hit_rate"] == model.plan().counted()["hit_rate"] > 0 and figures["mean_memory_mb"] > 0
    assert model.statistics.asked == 2 * len(model.plan().events)
    assert found["cache_config"] == asdict(model.cache_config) and found["similarity_stats"]["mlp"]["p90"] > 0
    off = cached(of=TINY, use_cache=False, config=HARTCacheConfig([16], [9])).benchmark_performance(num_samples=1)
    assert off["benchmark"]["cache_hit_rate"] == 0 and off["similarity_stats"] == {"attn": {}, "mlp": {}}


@pytest.mark.parametrize("mode", [None, "nearest"])
def test_features_are_enlarged_to_the_next_stage(mode: str | None) -> None:
    x = torch.randn(2, 36, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cached().enhanced_feature_interpolate(x, mode), interpolate(x, 8, mode or "bilinear"))


def test_configurations_are_saved_and_loaded(tmp_path: Path) -> None:
    model = cached(CUSTOM)
    model.save_cache_config(tmp_path / "my_config.json")
    other = EnhancedHARTForT2I(OLD)
    other.load_cache_config(tmp_path / "my_config.json")
    assert other.cache_config == model.cache_config and other.use_cache


def test_stages_of_document_001_run_on_harts_map_and_late_ones_of_document_000_too() -> None:
    """Its second example, at the published fourteen stages; its first one skips 2304 without 1296."""
    config = HARTForT2IConfig.from_pretrained(NEW)
    model = create_enhanced_hart_model(config, custom_cache_config=CUSTOM, force=True)
    assert model.plan().options.skip_stages == [81, 144, 256] and model.cache_config.skip_stages == [100, 169, 256]
    model.set_cache_config(HARTCacheConfig([2304, 4096], [1296, 2304], threshold=0.8))
    assert model.autoregressive_infer_cfg(B=1, prompts=PROMPTS[0], g_seed=0).shape == (
        1,
        3,
        config.image_size,
        config.image_size,
    )
    assert model.get_cache_statistics()["cache_hit_rate"] == 1.0
    with pytest.raises(BadInput, match="2304, whose predecessor 1296"):
        model.set_cache_config(HARTCacheConfig([441, 729, 1296, 2304, 4096], [144, 256, 441, 729]))


def test_a_folder_is_the_published_model_with_its_text_encoder(tmp_path: Path) -> None:
    config = HARTForT2IConfig.from_pretrained(tmp_path, tokenizer_path="t")
    assert replace(config, weights=None, vae_weights=None, text_weights=None) == HARTForT2IConfig.from_pretrained("hart_0.7b")
    assert (config.weights, config.vae_weights, config.text_weights) == (str(tmp_path), "t", ENCODER)


def test_rows_follow_from_their_prompt_and_seed(capsys: pytest.CaptureFixture[str]) -> None:
    model = cached(force=True)
    one, all_alike = (model.autoregressive_infer_cfg(B=2, prompts=p, g_seed=3) for p in (PROMPTS, PROMPTS[0]))
    assert torch.equal(one[0], all_alike[0]) and not torch.equal(one[1], all_alike[1])
    smooth: Tensor = model.autoregressive_infer_cfg(B=2, prompts=PROMPTS, g_seed=3, more_smooth=True)
    assert not torch.equal(smooth, one) and model.config.more_smooth is False
    assert "measuring" not in capsys.readouterr().err, "what is forced asks for no similarity"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: 3", "holds no strategy.similarity"),
        ("[1]", "holds list and not options by name"),
        ("a: [", "is not YAML"),
        ("strategy: {similarity: {attn: [[0.5]]}}", "has no mlp"),
        ("strategy: {similarity: {attn: [[0.5]], mlp: [[0.5]]}}", r"attn is \(1, 1\), and this model has 2 layers"),
    ],
)
def test_a_file_of_something_else_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sim.yaml").write_text(text)
    with pytest.raises(BadInput, match=message):
        cached(sim_path=tmp_path / "sim.yaml").autoregressive_infer_cfg(**CALL)


def test_a_file_of_another_model_or_an_edited_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sim.yaml"
    cached(sim_path=path).calibrate_thresholds(1)
    with pytest.raises(BadInput, match=r"sim_path=.* was measured on another model"):
        cached(of=replace(OLD, init_seed=1), sim_path=path).autoregressive_infer_cfg(**CALL)
    path.write_text(re.sub(r"0\.9\d", "0.11", path.read_text(), count=1))
    with pytest.raises(BadInput, match=r"sim_path=.* was cut short or edited"):
        cached(sim_path=path).autoregressive_infer_cfg(**CALL)


ONE_WINDOW = AdaptiveThresholds(OLD.depth, 0.5, 20)
MUTANTS: dict[str, tuple[Any, Any, str, Any]] = {
    "every eligible sublayer counts as reused": (
        lambda folder: test_hits_are_those_of_the_run(),
        CacheStatistics,
        "record_cache_usage",
        lambda self, hit: Statistics.record_cache_usage(self, True),
    ),
    "only one picture of a batch is counted": (
        lambda folder: test_the_decision_of_every_sublayer_can_be_asked_for(),
        CacheStatistics,
        "record_plan",
        lambda self, plan, pictures, honest=CacheStatistics.record_plan: honest(self, plan, 1),
    ),
    "no similarity is asked": (
        lambda folder: test_what_reuses_nothing_is_the_model_alone({"config": HARTCacheConfig([256], [169], threshold=1.0)}),
        StageCache,
        "table",
        lambda self: None,
    ),
    "the code's percentile": (
        lambda folder: test_thresholds_let_the_likest_three_in_ten_through(),
        sdaccel.compat.hart,
        "PERCENTILE",
        80,
    ),
    "a window outlives its picture": (
        lambda folder: test_adaptive_thresholds_end_where_the_seeds_rule_ends_and_begin_anew_with_every_picture(),
        EnhancedHARTForT2I,
        "_unadapted",
        lambda self: ONE_WINDOW,
    ),
    "features stay as small as they were": (
        lambda folder: test_features_are_enlarged_to_the_next_stage(None),
        sdaccel.compat.hart,
        "interpolate",
        lambda x, side, mode: x,
    ),
    "any model's file will do": (
        test_a_file_of_another_model_or_an_edited_one_is_refused,
        sdaccel.compat.hart_similarity,
        "check_bound",
        lambda similarity, generator: None,
    ),
    "each call forgets the one before": (
        test_legacy_calibration_leaves_a_file_that_another_model_of_the_same_weights_reuses_by,
        Similarities,
        "_learn",
        lambda self, samples, mode, honest=Similarities._learn: honest(self, samples[-1:], mode),
    ),
}
"""What is wrong -> the law that sees it, and where it is planted."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_law_sees_its_mutant(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law, where, attribute, wrong = MUTANTS[name]
    monkeypatch.setattr(where, attribute, wrong)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        law(tmp_path)


def test_the_example_of_the_module_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = [line[4:] for line in str(sdaccel.compat.hart.__doc__).splitlines() if line.startswith("    ")]
    found: dict[str, Any] = {}
    exec("\n".join(example).replace("hart_mini", "hart_tiny"), found)  # which takes seconds an image
    assert found["images"].shape == (1, 3, 12, 12) and "attn_threshold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.autoregressive_infer_cfg(B=4, label_B=None, g_seed=42, cfg=1.5), "label_B=None asks HART for nothing"),
        (lambda m: m.autoregressive_infer_cfg(B=1, label_B=3, prompts="a"), "label_B asks HART for classes"),
        (lambda m: m.autoregressive_infer_cfg(B=3, prompts=["a", "b"]), "prompts holds 2 texts for B=3"),
        (lambda m: m.autoregressive_infer_cfg(B=1, prompts=[" "]), "which is no text"),
        (lambda m: m.autoregressive_infer_cfg(B=1, prompts=7), "prompts holds 7, which is no text"),
        (lambda m: m.autoregressive_infer_cfg(B=0, prompts="a"), "B=0 is less than 1"),
        (lambda m: m.autoregressive_infer_cfg(B=1, prompts="a", top_k=900), "top_k=900 has no effect"),
        (lambda m: m.autoregressive_infer_cfg(B=1, prompts="a", cfg="2"), "cfg='2' is no finite number"),
        (lambda m: m.calibrate_thresholds(0), "num_samples=0 is less than 1"),
        (lambda m: m.calibrate_thresholds(prompts=[]), "prompts is empty"),
        (lambda m: m.calibrate_thresholds(prompts=["a", ""]), "prompts holds '', which is no text"),
        (lambda m: m.benchmark_performance(num_samples=0), "num_samples=0 is less than 1"),
        (lambda m: m.should_use_cache(144, "attn"), "stage 144 does not exist in this model; the nearest is 169"),
        (lambda m: m.should_use_cache(169, "ffn"), "layer_type=ffn is unknown"),
        (lambda m: m.should_use_cache(169, "attn", 2), r"layer_idx=2 is outside 0 \.\. 1"),
        (lambda m: m.update_adaptive_threshold("high", "attn"), "similarity='high' is no finite number"),
        (lambda m: m.enhanced_feature_interpolate(torch.zeros(1, 256, 2)), r"shape \(1, 256, 2\)"),
        (lambda m: m.enhanced_feature_interpolate(torch.zeros(1, 36, 2), "area"), "mode=area is unknown"),
        (lambda m: m.save_similarity_data("nowhere.yaml"), "no similarity was measured yet"),
        (lambda m: m.load_cache_config("nowhere.json"), "nowhere.json does not exist"),
        (lambda m: m.save_cache_config("nowhere/a.json"), "nowhere/a.json cannot be written"),
        (
            lambda m: EnhancedHARTForT2I(OLD, sim_path="nowhere/a.yaml").calibrate_thresholds(1),
            "nowhere/a.yaml cannot be written",
        ),
        (lambda m: m.set_cache_config(HARTCacheConfig([256], [])), "whose predecessor 169"),
        (lambda m: EnhancedHARTForT2I("hart_mimi"), "did you mean hart_mini"),
        (lambda m: EnhancedHARTForT2I("hart_reconstructed"), "is no HART that draws"),
        (lambda m: EnhancedHARTForT2I(3), "config is a int"),  # type: ignore[arg-type]
        (lambda m: EnhancedHARTForT2I(OLD, device="tpu"), "device='tpu' is no device"),
        (lambda m: EnhancedHARTForT2I(OLD, threshold=None, use_cache=1), "use_cache=1 is neither"),  # type: ignore[arg-type]
        (lambda m: create_enhanced_hart_model(OLD, "memory-efficient"), "memory-efficient-mended"),
        (lambda m: create_enhanced_hart_model("hart_tiny", "original-cache"), "preset original-cache"),
    ],
)
def test_what_cannot_work_is_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        call(cached())
    assert "\n" not in str(error.value)
