"""The command lines of HART's cache documents, and what they mean here."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from sdaccel.cli import run
from sdaccel.compat.hart import EnhancedHARTForT2I, HARTCacheConfig, main
from sdaccel.compat.hart_command import overrides, quoted
from sdaccel.compat.hart_flags import KNOWN, USAGE
from sdaccel.errors import BadInput
from sdaccel.processes import RUN
from sdaccel.strategies.stage_cache.maps import MAPS
from sdaccel.strategies.stage_cache.presets import PRESETS
from sdaccel.studies import calibrate, compose
from tests.conftest import CONF

OLD = "--model_path hart_tiny_v1"
NEW = "--model_path hart_tiny_v2"
CUSTOM = "--skip_stages 100 169 256 --cache_stages 64 100 169 --threshold 0.65 --interpolation_mode bicubic"


def means(line: str) -> str:
    return shlex.join(overrides(shlex.split(line)))


def composed(line: str) -> Any:
    return compose.plan(overrides(shlex.split(line)), conf=CONF)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            "--cache_preset original-cache",
            "generator=hart_mini strategy=stage_cache_original-cache strategy.calibrate=true data.limit=4 "
            "study.timing.repeats=0",
        ),
        (
            "--cache-preset aggressive strategy.force=true",
            "generator=hart_mini strategy=stage_cache_aggressive-cache data.limit=4 study.timing.repeats=0 strategy.force=true",
        ),
        (
            f"{OLD} {CUSTOM} --prompts red --num_samples 2 strategy.force=true",
            "generator=hart_tiny_v1 strategy=stage_cache 'strategy.skip_stages=[100,169,256]' "
            "'strategy.cache_stages=[64,100,169]' strategy.threshold=0.65 strategy.interpolation_mode=bicubic "
            '\'data.prompts=["red","red"]\' '
            "data.limit=2 study.timing.repeats=0 strategy.force=true",
        ),
        (
            "--cache-skip-stages 2304 4096 --cache-cache-stages 1296 2304 --cache-threshold 0.8 +calibration=x --dry-run",
            "generator=hart_mini strategy=stage_cache 'strategy.skip_stages=[2304,4096]' 'strategy.cache_stages=[1296,2304]' "
            "strategy.threshold=0.8 data.limit=4 study.timing.repeats=0 +calibration=x --dry-run",
        ),
        (
            "--cache-preset ultra-fast --cache-threshold 0.6 --cache-disable-mlp --benchmark --batch_size 2 --seed 42",
            "generator=hart_mini data.batch_size=2 seed=42 strategy=stage_cache_ultra-fast strategy.enable_mlp_cache=false "
            "strategy.threshold=0.6 strategy.calibrate=true data.limit=2 study.timing.repeats=10",
        ),
        (
            "--use-cache --threshold 0.6 --cfg_scale 1.5 --save_images --output_dir out strategy.force=true",
            "generator=hart_mini generator.cfg=1.5 'output=\"out\"' strategy=stage_cache_original-cache "
            "strategy.threshold=0.6 data.limit=4 study.timing.repeats=0 strategy.force=true",
        ),
        ("--cache_preset no-cache", "generator=hart_mini strategy=original data.limit=4 study.timing.repeats=0"),
        (
            "--calibrate --num_samples 3 --cache_preset late-2",
            "generator=hart_mini +exp=threshold_calibration strategy=stage_cache_late-2 strategy.calibration_samples=3 "
            "data.limit=3 data.batch_size=3",
        ),
        (
            "--model_path mit-han-lab/hart-0.7b-1024px --tokenizer_path t --prompts 'A cat' --benchmark --num_samples 5 "
            "strategy.force=true",
            "generator=hart_0.7b 'generator.weights=\"mit-han-lab/hart-0.7b-1024px\"' "
            "generator.text_weights=mit-han-lab/Qwen2-VL-1.5B-Instruct 'generator.vae_weights=\"t\"' "
            "strategy=stage_cache_original-cache 'data.prompts=[\"A cat\"]' data.limit=1 study.timing.repeats=5 "
            "strategy.force=true",
        ),
    ],
)
def test_what_a_documented_command_means(line: str, command: str) -> None:
    assert means(line) == command


@pytest.mark.parametrize("name", ["late-3", "mlp-only-cache", "demo-fast-mended", "research-quality"])
def test_a_preset_is_the_configuration_of_its_name(name: str) -> None:
    """Tests of the strategy compare those with the presets, on every map."""
    wanted = f"strategy=stage_cache_{name} " if PRESETS[name].on(MAPS["v1"]).skip_stages else "strategy=original "
    assert wanted in means(f"{OLD} --cache_preset {name} --num_samples 1 strategy.calibrate=false")


def test_the_comparison_has_the_lines_of_the_document_and_what_was_not_measured_is_measured_first() -> None:
    plan = composed(f"{NEW} --compare_configs +study.arms.cached.calibration_samples=2 data.limit=1 data.prompts=[a,b,c]")
    names = ["conservative-cache", "original-cache", "aggressive-cache", "ultra-fast"]
    assert [arm.strategy.stages_of for arm in plan.arms[1:]] == names and plan.cfg.study.baseline == plan.arms[0].name
    assert all(arm.strategy.calibrate for arm in plan.arms[1:])


def test_prompts_are_repeated_as_far_as_a_calibration_reads_and_no_further() -> None:
    plan = composed(f"{OLD} --prompts 'a cat' 'two dogs' strategy.calibration_samples=3")
    assert plan.conditions == ["a cat", "two dogs"] and (first := calibrate.measuring(plan))
    assert first.conditions == ["a cat", "two dogs", "a cat", "two dogs", "a cat"]
    assert len(composed(f"{OLD} --num_samples 6 strategy.force=true").conditions) == 6
    assert "'data.prompts=[\"a\"]' data.limit=1 " in means(f"{OLD} --cache_preset production-balanced --prompts a")


@given(st.text(st.sampled_from("ab'\"\\,[]{}=: \t"), min_size=1))
def test_a_text_arrives_as_it_was_written(text: str) -> None:
    assert OverridesParser.create().parse_override(f"x={quoted(text)}").value() == text


def test_a_prompt_arrives_as_it_was_written() -> None:
    prompts = ['it\'s "a, b" [c] {d: e}', "x=1", "$5 \\'", "generator"]
    line = ["--model_path", "hart_tiny_v1", "--prompts", *prompts, "strategy.force=true"]
    assert compose.plan(overrides(line), conf=CONF).conditions == prompts


def test_a_configuration_of_ones_own_and_similarities_of_ones_own(tmp_path: Path) -> None:
    config, similarities = tmp_path / "mine.json", tmp_path / "calibration/mine.yaml"
    HARTCacheConfig([64, 100], [36, 64], threshold=0.3, interpolation_mode="nearest", calibration_samples=2).to_json(config)
    assert " strategy.calibration_samples=2 " in means(f"{OLD} --custom_cache_config {config}")
    similarities.parent.mkdir()
    EnhancedHARTForT2I("hart_tiny_v1", sim_path=similarities).calibrate_thresholds(1)
    line = f"{OLD} --custom_cache_config {config} --sim-path {similarities} data.prompts=[a]"
    strategy = composed(line).arms[-1].strategy
    assert strategy.similarity["of"]["samples"] == 1 and (strategy.skip_stages, strategy.threshold) == ([64, 100], 0.3)
    with pytest.raises(BadInput, match="measured on another model"):
        overrides(f"{NEW} --sim-path {similarities}".split())
    elsewhere = similarities.rename(tmp_path / "sim.json")
    with pytest.raises(BadInput, match="cannot be named to a study"):
        overrides(f"{OLD} --sim-path {elsewhere}".split())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--skip_stage 256", "--skip_stage is not a flag of the scripts that is known here; the nearest is --skip_stages."),
        ("--skip_stages 256.0", "invalid int value: '256.0'"),
        ("--prompts", "argument --prompts: expected at least one argument"),
        ("red", "unrecognized arguments: red"),
        ("--benchmark --compare_configs", "--benchmark and --compare_configs are two commands"),
        ("--compare_configs --threshold 0.5", "--threshold has no effect with --compare_configs"),
        ("--compare_configs --sim_path nowhere.yaml", "--sim_path has no effect with --compare_configs"),
        ("--calibrate --prompts red", "--prompts has no effect with --calibrate"),
        ("--calibrate --cache-adaptive-threshold", "--cache_adaptive_threshold has no effect with --calibrate"),
        (f"--calibrate {OLD}", "judges pictures of the small world and --model_path hart_tiny_v1 draws others"),
        ("--cache_preset fast", "preset fast is unknown"),
        ("--cache_preset demo-fast", "preset demo-fast-mended does the former"),
        ("--cache_preset original-cache --custom_cache_config a.json", "both give the cache; choose one"),
        ("--custom_cache_config nowhere.json", "nowhere.json does not exist"),
        ("--sim_path nowhere.yaml", "nowhere.yaml does not exist"),
        ("--cache-skip-stages 441 729 1296 2304 4096 --cache-cache-stages 144 256 441 729", "2304, whose predecessor 1296"),
        ("--cache-skip-stages 35 --cache-cache-stages 25", "holds 35, and this model's stages"),
        ("--threshold 1.5", "threshold=1.5 is no similarity"),
        ("--interpolation_mode area", "interpolation_mode=area is unknown"),
        ("--top_k 900", "top_k=900 has no effect"),
        ("--model_path hart_mimi", "did you mean hart_mini"),
        ("--model_path hart_tiny", "preset original-cache: "),
        (f"{OLD} --num_samples 0 --prompts a", "--num_samples=0 is less than 1"),
    ],
)
def test_what_cannot_be_meant_is_one_line(line: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        overrides(shlex.split(line))
    assert "\n" not in str(caught.value)


def test_every_flag_is_told() -> None:
    assert [flag for flag in KNOWN if flag not in USAGE] == []


def test_it_runs_what_it_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"{OLD} --cache-preset original --num_samples 1 strategy.calibration_samples=1 --dry-run".split()
    monkeypatch.setattr("sys.argv", ["hart", *line])
    monkeypatch.setattr(os, "execve", lambda path, argv, environment: run.main(argv[len(RUN) :]))
    assert main() == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert shlex.split(first) == ["sdaccel", "run", *overrides(line)]
    assert any("1 samples of a calibration, made first" in said for said in rest)


def test_what_cannot_be_run_is_told_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["hart", "--cache_preset", "fast"])
    assert main() == 2 and capsys.readouterr().err.startswith("preset fast is unknown")
    monkeypatch.setattr("sys.argv", ["hart", "--help"])
    assert main() == 0 and capsys.readouterr().out.strip() == USAGE
