"""Checks on aggregates: what each compares, what it says where samples are too few, and what it refuses before a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.metrics.aggregate import Aggregate, Scores
from sdaccel.samples import Samples
from sdaccel.strategies.plain import Dense
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks.base import Verdict, failures, parse
from sdaccel.studies.results import Result
from tests.studies.frame import run_argv


def result(template: str, *, macs: float = 0, point: dict[str, Any] | None = None, **found: Aggregate) -> Result:
    arm = Arm(template, point or {}, generator=None, backend=Dense(), strategy=None, config={"generator": {}})
    return Result(arm, Samples(Path("nowhere")), range(9), macs=macs, metrics=Scores(found))


def value(estimate: float | None, low: float | None = None, high: float | None = None, note: str = "") -> Aggregate:
    return Aggregate(estimate, 9, low, high, note)


def verdict(spec: dict[str, Any], *results: Result) -> Verdict:
    (found,) = parse(spec).judge(results)
    return found


def span(estimate: float, reach: float = 0.01) -> Aggregate:
    return value(estimate, estimate - reach, estimate + reach)


@pytest.mark.parametrize(("bound", "passed"), [(0.85, True), (0.9, None), (0.95, False)])
def test_ratio_divides_the_second_arm_by_the_first_and_counts_by_its_ends(bound: float, passed: bool | None) -> None:
    arms = result("real", m=span(0.8)), result("target", m=span(0.72))
    found = verdict({"ratio": ["real", "target"], "metric": "m", "at_least": bound}, *arms)
    assert (found.arm, found.against, found.measured, found.passed) == ("target", "real", 0.9, passed)
    wanted = None if passed is None else not passed
    assert verdict({"ratio": ["real", "target"], "metric": "m", "at_most": bound}, *arms).passed is wanted


def test_a_ratio_to_nothing_fails() -> None:
    found = verdict({"ratio": ["a", "b"], "metric": "m", "at_least": 2}, result("a", m=value(0)), result("b", m=value(1)))
    assert (found.measured, found.passed) == (None, False)


def test_a_ratio_to_what_may_be_nothing_has_no_upper_end() -> None:
    arms = result("a", fid=value(1, -0.1, 2)), result("b", fid=value(10, 9, 11))
    assert verdict({"ratio": ["a", "b"], "metric": "fid", "at_least": 4}, *arms).passed is True
    found = verdict({"ratio": ["a", "b"], "metric": "fid", "at_most": 99}, *arms)
    assert found.passed is None and found.evidence and (found.evidence.high, found.evidence.detectable) == (None, None)


def test_macs_divides_the_first_arm_by_the_second() -> None:
    found = verdict({"macs": ["target", "draft"], "at_least": 4}, result("target", macs=12), result("draft", macs=3))
    assert (found.check, found.arm, found.against, found.measured, found.passed) == ("macs", "draft", "target", 4, True)


@pytest.mark.parametrize(("low", "passed"), [(2.1, True), (1.9, False)])
def test_disjoint_wants_the_second_interval_wholly_above(low: float, passed: bool) -> None:
    found = verdict(
        {"disjoint": ["a", "b"], "metric": "fid"}, result("a", fid=value(1, 0, 2)), result("b", fid=value(3, low, 4))
    )
    assert (found.passed, found.relation, found.bound) == (passed, ">=", 0)


@pytest.mark.parametrize(
    ("metric", "values", "passed"),
    [
        ("judge.mean", [0.9, 0.8, 0.7, 0.2], True),
        ("judge.mean", [0.9, 0.8, 0.8, 0.2], None),
        ("judge.mean", [0.9, 0.8, 0.85, 0.2], False),
        ("fid", [1, 2, 3, 4], True),
        ("fid", [1, 2, 1.5, 4], False),
    ],
)
def test_monotone_knows_which_way_is_worse(metric: str, values: list[float], passed: bool | None) -> None:
    measured: list[Any] = [{metric: span(v)} for v in values]
    steps = [result("s", point={"generator.num_steps": 50 - i}, **found) for i, found in enumerate(measured)]
    found = verdict({"monotone": ["s"], "metric": metric}, *steps)
    assert found.passed is passed
    if not passed:
        assert (found.arm, found.against) == ("s[num_steps=48]", "s[num_steps=49]")
        assert verdict({"monotone": ["s"], "metric": metric, "within": 0.6}, *steps).passed


def test_a_rise_had_as_many_chances_as_there_are_steps() -> None:
    """One step of three rises with p = 0.03: open, where of two arms alone it would fail."""
    rise = 0.02 / np.hypot(1, 1) * 2.17 / 1.96
    steps = [result("s", point={"n": i}, m=span(v, 0.01)) for i, v in enumerate([0.9, 0.8, 0.8 + 0.01 * rise / 0.01, 0.1])]
    alone = verdict({"monotone": ["s"], "metric": "m"}, *steps[1:3])
    assert alone.passed is False and alone.evidence and 0.01 < alone.evidence.p < 0.05
    found = verdict({"monotone": ["s"], "metric": "m"}, *steps)
    assert found.evidence and found.evidence.p == pytest.approx(3 * alone.evidence.p)
    assert found.passed is None and "reaches over the bound" in found.where


def test_bounds_look_at_every_arm_of_a_template_by_its_ends() -> None:
    arms = [result("a", point={"cfg": i}, m=value(i, i - 0.5, i + 0.5)) for i in range(3)]
    assert [v.passed for v in parse({"at_least": ["a"], "metric": "m", "bound": 1}).judge(arms)] == [False, None, True]
    assert [v.passed for v in parse({"at_most": ["a"], "metric": "m", "bound": 1}).judge(arms)] == [True, None, False]


def test_one_sample_and_few_that_agree_tell_nothing() -> None:
    check = parse({"at_least": ["a"], "metric": "m", "bound": 0.5})
    (one,) = check.judge([result("a", m=value(1, note="an interval needs two or more samples"))])
    assert (one.passed, one.evidence) == (None, None) and "two or more" in one.where
    (few,) = check.judge([result("a", m=Aggregate(1, 24, 1, 1))])
    assert few.passed is None and "100 or more would tell" in few.where
    (many,) = check.judge([result("a", m=Aggregate(1, 100, 1, 1))])
    assert many.passed is True


def test_too_few_samples_leave_a_check_open_which_is_no_failure() -> None:
    found = verdict(
        {"disjoint": ["a", "b"], "metric": "fid"},
        result("a", fid=value(1, 0, 2)),
        result("b", fid=value(None, note="512 or more are needed")),
    )
    assert found.passed is None and "512" in found.where
    assert failures([found], []) == []


WORLD = [
    "generator=world_classes",
    "data=world_classes",
    "data.limit=4",
    "+study.arms.real={}",
    "+study.arms.other={generator.split: val}",
    "+study.arms.alone={generator.split: train, against: alone}",
    "study.baseline=real",
    "metrics=world",
]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("{ratio: [real, other], metric: judge.clas, at_least: 1}", "judge.clas is unknown"),
        ("{ratio: [real, othr], metric: judge.class, at_least: 1}", "names arm othr"),
        ("{ratio: [real], metric: judge.class, at_least: 1}", "list of 2"),
        ("{ratio: [real, other], metric: judge.class}", "needs one bound"),
        ("{ratio: [real, other], metric: judge.class, at_least: 1, at_most: 2}", "needs one bound"),
        ("{ratio: [real, other], metric: judge.class, at_lest: 1}", "no option at_lest"),
        ("{ratio: [real, other], at_least: 1}", "needs a metric"),
        ("{at_least: [real], metric: judge.class, bound: much}", "must be a number"),
        ("{at_least: [real], metric: judge.class}", "must be a number"),
        ("{at_least: [real], metric: clip_top1, bound: 1}", "clip_top1 is unknown"),
        ("{disjoint: [real, other], metric: precision}", "has no interval"),
        ("{at_least: [real], metric: recall, bound: 1}", "has no interval"),
        ("{at_least: [alone], metric: psnr, bound: 1}", "psnr compares"),
        ("{monotone: [real], metric: judge.class}", "two or more arms"),
        ("{ratios: [real, other]}", "did you mean ratio?"),
    ],
)
def test_a_check_that_means_nothing_is_refused_before_the_run(
    check: str, words: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_argv([*WORLD, f"metrics.clip={clip}", f"study.checks=[{check}]", f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1 and words in err, err


CLASSES = ["generator=world_classes"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["metrics=world", "generator=var_tiny", "generator.num_classes=50", "data.labels=[24]"], "0 .. 23"),
        (["metrics=world", "metrics.clip={folder}", *CLASSES], "open_clip_config.json is not there"),
        (["metrics=world", "metrics.reference=1", *CLASSES], "metrics.reference=1"),
        (["metrics=world", "data.prompts=[a red cube on a blue table]"], "'cube' is not in the vocabulary"),
        (["metrics=files"], "needs a network: metrics.inception=PATH (inception-2015-12-05.pt from https"),
        (
            ["metrics=files", "metrics.inception={folder}", "metrics.reference={pictures}"],
            "inception-2015-12-05.pt is not there",
        ),
        (["metrics=files", "metrics.lpips={folder}"], "alexnet-owt-7be5be79.pth is not there"),
        (["metrics=files", "metrics.inception={folder}"], "metrics.reference is missing"),
        (["metrics=files", "metrics.clip={folder}", "metrics.reference={folder}"], "holds 0 images"),
        (["metrics=worlds"], "metrics/worlds"),
    ],
)
def test_metrics_that_cannot_be_had_are_refused_before_the_run(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    folder, pictures = tmp_path / "empty", tmp_path / "pictures"
    folder.mkdir()
    pictures.mkdir()
    for i in range(2):
        Image.new("RGB", (8, 8)).save(pictures / f"{i}.png")
    filled = [arg.format(folder=folder, pictures=pictures) for arg in argv]
    assert run_argv([*filled, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1 and words in err, err
